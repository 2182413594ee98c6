//! The part of etcd's gRPC that a snapshot needs, following etcd's own `rpc.proto`.
//!
//! The messages are written by hand: their generator needs `protoc` on every machine that builds windlass.

use std::path::PathBuf;
use std::time::Duration;

use tonic::client::Grpc;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Request, Streaming};
use tonic_prost::ProstCodec;

/// A member on the same machine answers at once, or not at all.
const CONNECT: Duration = Duration::from_secs(10);
/// How often a silent connection is checked, and for how long.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

#[derive(Clone, PartialEq, Eq, prost::Message)]
struct SnapshotRequest {}

/// A piece of a snapshot. The last one is the SHA-256 digest of all before it.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(crate) struct SnapshotResponse {
    #[prost(uint64, tag = "2")]
    pub(crate) remaining_bytes: u64,
    #[prost(bytes = "vec", tag = "3")]
    pub(crate) blob: Vec<u8>,
}

/// How members are reached: the files are read again each time, since certificates are renewed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Access {
    /// URLs of members, asked in this order until one answers.
    pub(crate) endpoints: Vec<String>,
    pub(crate) authority: PathBuf,
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

/// Why a member gives no snapshot.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EtcdError {
    /// A file that the connection needs cannot be read.
    #[error("`{}` cannot be read", path.display())]
    Unreadable { path: PathBuf, source: std::io::Error },
    /// The URL is invalid, or the files contain no certificates.
    #[error("{endpoint} cannot be spoken to")]
    Unfit { endpoint: String, source: tonic::transport::Error },
    /// Nothing answers there, or not the server that the certificates require.
    #[error("{endpoint} does not answer")]
    Unreached { endpoint: String, source: tonic::transport::Error },
    /// The member refuses.
    #[error("{endpoint} gives no snapshot: {}", status.message())]
    Refused { endpoint: String, status: Box<tonic::Status> },
}

impl Access {
    /// Begins a snapshot of the member at this endpoint.
    pub(crate) async fn snapshot(&self, endpoint: &str) -> Result<Streaming<SnapshotResponse>, EtcdError> {
        let refused = |status| EtcdError::Refused { endpoint: endpoint.to_owned(), status: Box::new(status) };
        let unreached = |source| EtcdError::Unreached { endpoint: endpoint.to_owned(), source };
        let mut grpc = Grpc::new(self.connect(endpoint).await?);
        grpc.ready().await.map_err(unreached)?;
        let path =
            "/etcdserverpb.Maintenance/Snapshot".parse().expect("the path of the call is a path of a URL");
        let codec: ProstCodec<SnapshotRequest, SnapshotResponse> = ProstCodec::default();
        let answer = grpc.server_streaming(Request::new(SnapshotRequest {}), path, codec).await;
        Ok(answer.map_err(refused)?.into_inner())
    }

    async fn connect(&self, endpoint: &str) -> Result<Channel, EtcdError> {
        let unfit = |source| EtcdError::Unfit { endpoint: endpoint.to_owned(), source };
        let read = |path: &PathBuf| {
            std::fs::read(path).map_err(|source| EtcdError::Unreadable { path: path.clone(), source })
        };
        let mut target = Endpoint::from_shared(endpoint.to_owned())
            .map_err(unfit)?
            .connect_timeout(CONNECT)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE);
        if target.uri().scheme_str() == Some("https") {
            let host = target.uri().host().unwrap_or_default();
            let tls = ClientTlsConfig::new()
                .domain_name(host.trim_start_matches('[').trim_end_matches(']'))
                .ca_certificate(Certificate::from_pem(read(&self.authority)?))
                .identity(Identity::from_pem(read(&self.certificate)?, read(&self.key)?))
                .timeout(CONNECT);
            target = target.tls_config(tls).map_err(unfit)?;
        }
        target
            .connect()
            .await
            .map_err(|source| EtcdError::Unreached { endpoint: endpoint.to_owned(), source })
    }
}

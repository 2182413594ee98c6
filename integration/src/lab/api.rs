//! Connections to an API server with the certificates of a kubeconfig.

use std::io::{self, BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_yaml::Value;

use super::LabError;

/// The time limit of an answer: what Kubernetes' own clients give a TLS handshake (`TLSHandshakeTimeout` of
/// client-go). kube-apiserver listens two to three seconds before it serves, so a client of a starting one
/// waits that long; where nothing listens, the connection is refused, and recorded, at once.
const PATIENCE: Duration = Duration::from_secs(10);

/// A connection with TLS.
pub(super) type Stream = StreamOwned<ClientConnection, TcpStream>;

/// A client of one address, with the first user of a kubeconfig. It accepts only a server with a certificate for
/// the name `kubernetes`.
#[derive(Clone, Debug)]
pub(super) struct ApiClient {
    address: SocketAddr,
    config: Arc<ClientConfig>,
}

impl ApiClient {
    /// Nothing is asked yet. The address has a port: `172.30.0.14:6443`.
    pub(super) fn new(address: &str, kubeconfig: &Path) -> Result<Self, LabError> {
        let address: SocketAddr = address.parse().map_err(|error| LabError::NotUnderstood {
            what: address.to_owned(),
            why: format!("it is no address with a port: {error}"),
        })?;
        Ok(Self { address, config: Arc::new(client_of(kubeconfig)?) })
    }

    /// Connects; TLS shakes hands with the first bytes that are written.
    pub(super) fn connect(&self) -> io::Result<Stream> {
        let stream = TcpStream::connect_timeout(&self.address, PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let name = ServerName::try_from("kubernetes").map_err(io::Error::other)?;
        let connection = ClientConnection::new(Arc::clone(&self.config), name).map_err(io::Error::other)?;
        Ok(StreamOwned::new(connection, stream))
    }
}

/// A connection on which one request follows another.
#[derive(Debug)]
pub(super) struct Connection(BufReader<Stream>);

impl Connection {
    pub(super) fn open(client: &ApiClient) -> io::Result<Self> {
        client.connect().map(|stream| Self(BufReader::new(stream)))
    }

    /// Creates an object: the HTTP status of the answer, and its body. After an error the connection is of no use.
    pub(super) fn post(&mut self, path: &str, body: &str) -> io::Result<(u16, String)> {
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: kubernetes\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.0.get_mut().write_all(request.as_bytes())?;
        let head = self.line()?;
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.ok_or_else(|| io::Error::new(ErrorKind::InvalidData, head))?;
        let (mut length, mut is_chunked) = (0, false);
        loop {
            let line = self.line()?.to_ascii_lowercase();
            match line.split_once(':').map(|(name, value)| (name, value.trim())) {
                Some(("content-length", value)) => length = value.parse().map_err(io::Error::other)?,
                Some(("transfer-encoding", "chunked")) => is_chunked = true,
                Some(_) => {}
                None => break,
            }
        }
        let mut answer = self.bytes(length)?;
        while is_chunked {
            let size = usize::from_str_radix(&self.line()?, 16).map_err(io::Error::other)?;
            answer.extend(self.bytes(size)?);
            self.line()?;
            is_chunked = size > 0;
        }
        Ok((status, String::from_utf8_lossy(&answer).into_owned()))
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        match self.0.read_line(&mut line)? {
            0 => Err(ErrorKind::UnexpectedEof.into()),
            _ => Ok(line.trim_end().to_owned()),
        }
    }

    fn bytes(&mut self, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        self.0.read_exact(&mut bytes).map(|()| bytes)
    }
}

/// A client that trusts the CA of a kubeconfig and presents its first user's certificate.
fn client_of(kubeconfig: &Path) -> Result<ClientConfig, LabError> {
    let wrong = |why: String| LabError::NotUnderstood { what: kubeconfig.display().to_string(), why };
    let text = super::read(kubeconfig)?;
    let document: Value = serde_yaml::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    let pem = |list: &str, kind: &str, key: &str| -> Result<Vec<u8>, LabError> {
        let data = document[list][0][kind][key].as_str().ok_or_else(|| wrong(format!("it has no {key}")))?;
        STANDARD.decode(data).map_err(|error| wrong(format!("{key}: {error}")))
    };
    let certificates = |pem: &[u8]| -> Result<Vec<CertificateDer<'static>>, LabError> {
        CertificateDer::pem_slice_iter(pem)
            .collect::<Result<_, _>>()
            .map_err(|error| wrong(error.to_string()))
    };
    let mut trusted = RootCertStore::empty();
    for certificate in certificates(&pem("clusters", "cluster", "certificate-authority-data")?)? {
        trusted.add(certificate).map_err(|error| wrong(error.to_string()))?;
    }
    let chain = certificates(&pem("users", "user", "client-certificate-data")?)?;
    let key = PrivateKeyDer::from_pem_slice(&pem("users", "user", "client-key-data")?)
        .map_err(|error| wrong(error.to_string()))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong(error.to_string()))?
        .with_root_certificates(trusted)
        .with_client_auth_cert(chain, key)
        .map_err(|error| wrong(error.to_string()))
}

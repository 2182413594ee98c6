//! Asks an API server at this program's loopback, as the trial of a snapshot does: when it is ready, and how many objects of
//! a kind it reads.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http_body_util::{BodyExt as _, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http1::handshake;
use hyper::header::{ACCEPT, HOST};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;
use windlass_model::FilePath;

use crate::fault::{At, Fault};
use crate::protocol::Counting;

/// Where it listens.
const ADDRESS: &str = "127.0.0.1:6443";
/// How long a page of objects may take.
const PAGE_WITHIN: Duration = Duration::from_secs(60);
/// How many objects are asked for at once.
const PAGE: u32 = 500;
/// How long to wait between two questions whether it is ready.
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(250);

/// A list of objects, as far as it is counted.
#[derive(Deserialize)]
struct Page {
    metadata: PageMetadata,
    items: Vec<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct PageMetadata {
    #[serde(rename = "continue", default)]
    next: String,
}

/// Waits until the API server is ready, and reads all objects of a path.
pub(crate) fn count(counting: &Counting) -> Result<u64, Fault> {
    let client = Client::new(counting)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().at(ADDRESS)?;
    let refused = |why: String| Fault::Refused { path: format!("the API server at {ADDRESS}"), why };
    runtime.block_on(async {
        client.until_ready(Duration::from_secs(counting.ready_within_seconds)).await.map_err(refused)?;
        client.count(&counting.path).await.map_err(refused)
    })
}

struct Client(TlsConnector);

impl Client {
    fn new(counting: &Counting) -> Result<Self, Fault> {
        let at = |path: &FilePath, error: &dyn std::error::Error| Fault::Refused {
            path: path.to_string(),
            why: error.to_string(),
        };
        let Counting { authority, certificate, key, .. } = counting;
        let read = |path: &FilePath| -> Result<Vec<CertificateDer<'static>>, Fault> {
            let certificates =
                CertificateDer::pem_file_iter(path.as_str()).map_err(|error| at(path, &error))?;
            certificates.collect::<Result<_, _>>().map_err(|error| at(path, &error))
        };
        let mut roots = RootCertStore::empty();
        for root in read(authority)? {
            roots.add(root).map_err(|error| at(authority, &error))?;
        }
        let own = PrivateKeyDer::from_pem_file(key.as_str()).map_err(|error| at(key, &error))?;
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("ring knows the versions that rustls does by default")
            .with_root_certificates(roots)
            .with_client_auth_cert(read(certificate)?, own)
            .map_err(|error| at(certificate, &error))?;
        Ok(Self(TlsConnector::from(Arc::new(config))))
    }

    async fn until_ready(&self, within: Duration) -> Result<(), String> {
        let deadline = Instant::now() + within;
        loop {
            let seen = match self.get("/readyz").await {
                Ok((StatusCode::OK, _)) => return Ok(()),
                Ok((status, body)) => format!("{status}: {}", beginning(&body)),
                Err(error) => error,
            };
            if Instant::now() >= deadline {
                return Err(format!("not ready within {} s: {seen}", within.as_secs()));
            }
            sleep(ASK_AGAIN_AFTER).await;
        }
    }

    async fn count(&self, path: &str) -> Result<u64, String> {
        let (mut count, mut from) = (0, String::new());
        loop {
            let (status, body) = self.get(&format!("{path}?limit={PAGE}&continue={from}")).await?;
            if status != StatusCode::OK {
                return Err(format!("{path}: {status}: {}", beginning(&body)));
            }
            let page: Page = serde_json::from_slice(&body).map_err(|error| format!("{path}: {error}"))?;
            count += page.items.len() as u64;
            if page.metadata.next.is_empty() {
                return Ok(count);
            }
            from = page.metadata.next;
        }
    }

    async fn get(&self, path: &str) -> Result<(StatusCode, Bytes), String> {
        let host = ServerName::try_from("127.0.0.1").map_err(|error| error.to_string())?;
        let asked = async {
            let stream = TcpStream::connect(ADDRESS).await.map_err(said)?;
            let stream = self.0.connect(host, stream).await.map_err(said)?;
            let (mut sender, connection) = handshake(TokioIo::new(stream)).await.map_err(said)?;
            // It ends with its only exchange; what goes wrong is seen there.
            let _connection = tokio::spawn(connection);
            let request = Request::get(path)
                .header(HOST, ADDRESS)
                .header(ACCEPT, "application/json")
                .body(Empty::<Bytes>::new())
                .map_err(said)?;
            let response = sender.send_request(request).await.map_err(said)?;
            let status = response.status();
            let body = response.into_body().collect().await.map_err(said)?.to_bytes();
            Ok((status, body))
        };
        timeout(PAGE_WITHIN, asked)
            .await
            .unwrap_or_else(|_| Err(format!("no answer within {} s", PAGE_WITHIN.as_secs())))
    }
}

fn said(error: impl std::error::Error) -> String {
    super::snapshots::reported(&error)
}

/// What a server says of itself, in short. It is an error, so no object is in it.
fn beginning(body: &[u8]) -> String {
    let text: String = String::from_utf8_lossy(body).chars().take(300).collect();
    text.trim().replace('\n', " ")
}

//! A client that asks the API server twenty times a second, and remembers when it got no answer.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_yaml::Value;

use super::LabError;

/// Twenty a second.
const PERIOD: Duration = Duration::from_millis(50);
/// No answer within this is none: what Kubernetes' own clients give a TLS handshake (`TLSHandshakeTimeout` of
/// client-go). kube-apiserver listens two to three seconds before it serves, so whoever is sent to one that starts
/// waits so long; nobody listening is refused, and seen, at once.
const PATIENCE: Duration = Duration::from_secs(10);
/// What is asked for. The answer comes out of etcd.
const PATH: &str = "/api/v1/namespaces/default";

/// What a prober has seen.
#[derive(Clone, Debug, Default)]
pub struct Probed {
    /// Requests that were answered with 200.
    pub answered: usize,
    /// The others: seconds after the prober's start, and what came instead.
    pub failures: Vec<(f64, String)>,
    /// The slowest answer.
    pub slowest: Duration,
}

/// A prober that runs until it is stopped.
///
/// Each request is a connection of its own, with the certificate of the kubeconfig and the server's name
/// `kubernetes` checked, so that an API server which is gone, hung or presents a wrong certificate is seen at once.
/// A late answer delays no other request.
#[derive(Debug)]
pub struct ApiProber {
    seen: Arc<Mutex<Probed>>,
    ends: Arc<AtomicBool>,
    pacer: Option<JoinHandle<()>>,
}

impl ApiProber {
    /// Asks at this address (`172.30.0.14:6443`) with the first user of a kubeconfig.
    ///
    /// # Errors
    /// The kubeconfig or the address is not understood.
    pub fn start(address: &str, kubeconfig: &Path) -> Result<Self, LabError> {
        let address: SocketAddr = address.parse().map_err(|error| LabError::NotUnderstood {
            what: address.to_owned(),
            why: format!("it is no address with a port: {error}"),
        })?;
        let client = Arc::new(client_of(kubeconfig)?);
        let seen = Arc::new(Mutex::new(Probed::default()));
        let ends = Arc::new(AtomicBool::new(false));
        let pacer = thread::spawn({
            let (seen, ends) = (Arc::clone(&seen), Arc::clone(&ends));
            move || pace(address, &client, &seen, &ends)
        });
        Ok(Self { seen, ends, pacer: Some(pacer) })
    }

    /// What was seen so far.
    pub fn so_far(&self) -> Probed {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Ends it, when the last request is answered or given up.
    pub fn stop(mut self) -> Probed {
        self.end();
        self.so_far()
    }

    fn end(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        if let Some(pacer) = self.pacer.take() {
            let _ = pacer.join();
        }
    }
}

impl Drop for ApiProber {
    fn drop(&mut self) {
        self.end();
    }
}

fn pace(address: SocketAddr, client: &Arc<ClientConfig>, seen: &Arc<Mutex<Probed>>, ends: &AtomicBool) {
    let start = Instant::now();
    let mut running: Vec<JoinHandle<()>> = Vec::new();
    let mut next = start;
    while !ends.load(Ordering::Relaxed) {
        let (client, seen) = (Arc::clone(client), Arc::clone(seen));
        running.push(thread::spawn(move || {
            let began = Instant::now();
            let answer = ask(address, client);
            let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            match answer {
                Ok(()) => {
                    seen.answered += 1;
                    seen.slowest = seen.slowest.max(began.elapsed());
                }
                Err(why) => seen.failures.push(((began - start).as_secs_f64(), why)),
            }
        }));
        running.retain(|request| !request.is_finished());
        next += PERIOD;
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    for request in running {
        let _ = request.join();
    }
}

/// One request on a connection of its own.
fn ask(address: SocketAddr, client: Arc<ClientConfig>) -> Result<(), String> {
    let say = |doing: &'static str| move |error: std::io::Error| format!("{doing}: {error}");
    let stream = TcpStream::connect_timeout(&address, PATIENCE).map_err(say("connect"))?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(say("connect"))?;
    stream.set_write_timeout(Some(PATIENCE)).map_err(say("connect"))?;
    let name = ServerName::try_from("kubernetes").map_err(|error| error.to_string())?;
    let connection = ClientConnection::new(client, name).map_err(|error| format!("TLS: {error}"))?;
    let mut stream = StreamOwned::new(connection, stream);
    let request = format!("GET {PATH} HTTP/1.1\r\nHost: kubernetes\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).map_err(say("ask"))?;
    let mut head = [0; 12];
    stream.read_exact(&mut head).map_err(say("answer"))?;
    if head == *b"HTTP/1.1 200" {
        return Ok(());
    }
    let mut rest = Vec::new();
    // What came until the connection ended says why, however it ended.
    let _ = stream.take(4_096).read_to_end(&mut rest);
    let (head, rest) = (String::from_utf8_lossy(&head), String::from_utf8_lossy(&rest));
    Err(format!("answer: {head} {}", rest.split("\r\n\r\n").last().unwrap_or_default().trim()))
}

/// A client that trusts the CA of a kubeconfig and shows its first user's certificate.
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

//! One HTTP request over a forward, in clear text or over TLS with the cluster's own CAs and keys.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::handshake;
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::docker_error::chain;

/// A request.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    pub(crate) method: Method,
    pub(crate) path: &'a str,
    /// Content type and content.
    pub(crate) body: Option<(&'static str, Vec<u8>)>,
    /// The content type of the answer.
    pub(crate) accept: &'static str,
}

impl<'a> Call<'a> {
    pub(crate) fn get(path: &'a str) -> Self {
        Self { method: Method::GET, path, body: None, accept: "application/json" }
    }

    pub(crate) fn post(path: &'a str, body: &serde_json::Value) -> Self {
        let body = Some(("application/json", body.to_string().into_bytes()));
        Self { method: Method::POST, body, ..Self::get(path) }
    }

    pub(crate) fn accepting(self, accept: &'static str) -> Self {
        Self { accept, ..self }
    }
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// The header `Api-Version`: the newest version that Docker speaks.
    pub(crate) api_version: Option<String>,
    pub(crate) body: Vec<u8>,
}

/// The protocol for a server.
#[derive(Clone, Debug)]
pub(crate) enum Speech {
    Clear,
    Tls(Arc<ClientConfig>, ServerName<'static>),
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Silence {
    /// Nothing answers.
    Nobody(String),
    /// A server answers, and refuses these keys.
    Refused(String),
    /// There was no complete answer in time.
    Late(String),
}

impl std::fmt::Display for Silence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Nobody(why) | Self::Refused(why) | Self::Late(why) => f.write_str(why),
        }
    }
}

/// Sends one request through the local socket of a forward.
pub(crate) async fn ask(
    near: &Path,
    speech: &Speech,
    call: Call<'_>,
    within: Duration,
) -> Result<Reply, Silence> {
    let talk = async {
        let stream = UnixStream::connect(near).await.map_err(nobody)?;
        match speech {
            Speech::Clear => exchange(stream, "localhost", call).await,
            Speech::Tls(config, name) => {
                let connected = TlsConnector::from(config.clone()).connect(name.clone(), stream).await;
                let stream = connected.map_err(|error| {
                    let reported = chain(&error);
                    let is_tls = error
                        .get_ref()
                        .is_some_and(<dyn std::error::Error + Send + Sync>::is::<rustls::Error>);
                    if is_tls { Silence::Refused(reported) } else { Silence::Nobody(reported) }
                })?;
                exchange(stream, &name.to_str(), call).await
            }
        }
    };
    match timeout(within, talk).await {
        Ok(ended) => ended,
        Err(_) => Err(Silence::Late(format!("no answer within {} s", within.as_secs()))),
    }
}

fn nobody(error: impl std::error::Error) -> Silence {
    Silence::Nobody(chain(&error))
}

async fn exchange<S>(stream: S, host: &str, call: Call<'_>) -> Result<Reply, Silence>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let Call { method, path, body, accept } = call;
    let broken = |error: hyper::Error| {
        let reported = chain(&error);
        if reported.contains("alert") { Silence::Refused(reported) } else { Silence::Nobody(reported) }
    };
    let mut request = Request::builder().method(method).uri(path).header("host", host);
    request = request.header("accept", accept).header("user-agent", "windlass");
    if let Some((kind, _)) = &body {
        request = request.header("content-type", *kind);
    }
    let body = Full::new(Bytes::from(body.map(|(_, content)| content).unwrap_or_default()));
    let request = request.body(body).map_err(nobody)?;
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await.map_err(broken)?;
    let exchange = async {
        let response = sender.send_request(request).await.map_err(broken)?;
        let status = response.status().as_u16();
        let api_version =
            response.headers().get("api-version").and_then(|value| value.to_str().ok()).map(str::to_owned);
        let body = response.into_body().collect().await.map_err(broken)?.to_bytes().to_vec();
        Ok(Reply { status, api_version, body })
    };
    tokio::pin!(exchange);
    tokio::select! {
        reply = &mut exchange => reply,
        // The connection has ended: either the answer is there, or an error.
        _ = connection => exchange.await,
    }
}

/// A client that trusts one CA, and presents a certificate.
pub(crate) fn client(authority: &str, own: Option<(&str, &str)>) -> Result<Arc<ClientConfig>, String> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(authority.as_bytes()) {
        roots.add(certificate.map_err(|error| error.to_string())?).map_err(|error| error.to_string())?;
    }
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots);
    let Some((certificate, key)) = own else { return Ok(Arc::new(builder.with_no_client_auth())) };
    let certificates = CertificateDer::pem_slice_iter(certificate.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| error.to_string())?;
    // The error of a key must not quote it.
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|_| "no private key".to_owned())?;
    let config = builder.with_client_auth_cert(certificates, key).map_err(|error| error.to_string())?;
    Ok(Arc::new(config))
}

/// A client that trusts any server: only for asking a component on its own machine whether it is healthy.
pub(crate) fn credulous() -> Arc<ClientConfig> {
    let provider = provider();
    let config = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .expect("ring knows the versions that rustls does by default")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Credulous(provider)))
        .with_no_client_auth();
    Arc::new(config)
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

#[derive(Debug)]
struct Credulous(Arc<CryptoProvider>);

impl ServerCertVerifier for Credulous {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

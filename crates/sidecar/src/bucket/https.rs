//! Requests to an S3 service, each on a connection of its own: `object_store` signs and repeats them.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use hyper::body::{Body, Bytes, Frame, Incoming};
use hyper::client::conn::http1::handshake;
use hyper::header::{HOST, HeaderValue};
use hyper_util::rt::TokioIo;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody,
    HttpService,
};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep, timeout};
use tokio_rustls::TlsConnector;

/// How long a connection may take to be there, with its TLS.
const CONNECT: Duration = Duration::from_secs(10);
/// How long a service may take until it begins to answer: it has received a part of a snapshot by then.
const ANSWER: Duration = Duration::from_secs(300);
/// How long it may be silent in the middle of an answer.
const SILENCE: Duration = Duration::from_secs(60);

/// Why nothing can be trusted: an authority of cluster.yml is none.
#[derive(Debug, thiserror::Error)]
#[error("custom_ca holds no certificate: {0}")]
pub(crate) struct NoAuthority(String);

/// Makes clients that trust the authorities of public services, and one more.
#[derive(Clone, Debug)]
pub(crate) struct Https(Arc<ClientConfig>);

impl Https {
    /// Trusts these authorities, too, in PEM.
    pub(crate) fn new(authority: Option<&str>) -> Result<Self, NoAuthority> {
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        let wrong = |error: &dyn std::error::Error| NoAuthority(error.to_string());
        for certificate in CertificateDer::pem_slice_iter(authority.unwrap_or_default().as_bytes()) {
            roots.add(certificate.map_err(|error| wrong(&error))?).map_err(|error| wrong(&error))?;
        }
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("ring knows the versions that rustls does by default")
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self(Arc::new(config)))
    }
}

impl HttpConnector for Https {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

#[async_trait]
impl HttpService for Https {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let uri = request.uri();
        let is_tls = uri.scheme_str() == Some("https");
        let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        let connected = timeout(CONNECT, async {
            let stream = TcpStream::connect((host.as_str(), port)).await?;
            stream.set_nodelay(true)?;
            Ok::<TcpStream, std::io::Error>(stream)
        });
        let stream = in_time(connected.await, HttpErrorKind::Connect)?;
        if !is_tls {
            return exchange(stream, request).await;
        }
        let name =
            ServerName::try_from(host).map_err(|error| HttpError::new(HttpErrorKind::Unknown, error))?;
        let connected = timeout(CONNECT, TlsConnector::from(self.0.clone()).connect(name, stream)).await;
        exchange(in_time(connected, HttpErrorKind::Connect)?, request).await
    }
}

fn in_time<T, E>(
    result: Result<Result<T, E>, tokio::time::error::Elapsed>,
    kind: HttpErrorKind,
) -> Result<T, HttpError>
where
    E: std::error::Error + Send + Sync + 'static,
{
    match result {
        Ok(result) => result.map_err(|error| HttpError::new(kind, error)),
        Err(late) => Err(HttpError::new(HttpErrorKind::Timeout, late)),
    }
}

async fn exchange<S>(stream: S, mut request: HttpRequest) -> Result<HttpResponse, HttpError>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let uri = request.uri().clone();
    if let Some(authority) = uri.authority()
        && !request.headers().contains_key(HOST)
        && let Ok(host) = HeaderValue::from_str(authority.as_str())
    {
        request.headers_mut().insert(HOST, host);
    }
    // A server, unlike a proxy, is asked for the path alone.
    if let Some(path) = uri.path_and_query() {
        *request.uri_mut() = path.clone().into();
    }
    let failed = |error| HttpError::new(HttpErrorKind::Request, error);
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await.map_err(failed)?;
    // It ends with its only exchange; what goes wrong is seen there.
    let _connection = tokio::spawn(connection);
    let response = in_time(timeout(ANSWER, sender.send_request(request)).await, HttpErrorKind::Request)?;
    let (parts, body) = response.into_parts();
    let body = Patient { body, until: Box::pin(sleep(SILENCE)) };
    Ok(HttpResponse::from_parts(parts, HttpResponseBody::new(body)))
}

/// A body that may not be silent for long.
struct Patient {
    body: Incoming,
    until: Pin<Box<Sleep>>,
}

/// The service has sent nothing for a while.
#[derive(Debug, thiserror::Error)]
#[error("nothing was sent for {} s", SILENCE.as_secs())]
struct Silent;

impl Body for Patient {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        match Pin::new(&mut self.body).poll_frame(context) {
            Poll::Ready(frame) => {
                self.until.as_mut().reset(Instant::now() + SILENCE);
                let broken = |error| HttpError::new(HttpErrorKind::Interrupted, error);
                Poll::Ready(frame.map(|frame| frame.map_err(broken)))
            }
            Poll::Pending => match self.until.as_mut().poll(context) {
                Poll::Ready(()) => Poll::Ready(Some(Err(HttpError::new(HttpErrorKind::Timeout, Silent)))),
                Poll::Pending => Poll::Pending,
            },
        }
    }
}

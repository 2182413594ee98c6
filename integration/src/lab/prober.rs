//! A client that asks the API server twenty times a second as Kubernetes' own clients do, and records when it
//! got no answer.

use std::io::{ErrorKind, Read as _, Write as _};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::LabError;
use super::api::{ApiClient, Stream};
use super::pacer::Pacer;

/// Twenty a second.
const PERIOD: Duration = Duration::from_millis(50);
/// How often a request is repeated, and the delay where the server names no time.
///
/// Source: `maxRetries` and `IsNextRetry` in `rest/with_retry.go` of client-go.
const REPEATS: usize = 10;
const PAUSE: Duration = Duration::from_secs(1);
/// The requested object. The answer comes from etcd.
const PATH: &str = "/api/v1/namespaces/default";

/// What a prober has recorded.
#[derive(Clone, Debug, Default)]
pub struct Probed {
    /// Requests that were answered with 200.
    pub answered: usize,
    /// The others: seconds after the prober's start, and the error.
    pub failures: Vec<(f64, String)>,
    /// Requests that had to be repeated, whether they then succeeded or not: seconds after the prober's
    /// start, and the first error; `cut: ` is before it where the connection ended.
    pub repeated: Vec<(f64, String)>,
    /// The slowest answer.
    pub slowest: Duration,
}

/// A prober that runs until it is stopped.
///
/// Each request is a connection of its own, with the certificate of the kubeconfig and the server's name
/// `kubernetes` checked, so that an API server which is gone, hung or presents a wrong certificate is noticed
/// at once. A late answer delays no other request. What client-go repeats by itself is repeated: a read whose
/// connection ended before an answer began, and one to which the server answered `Retry-After`.
#[derive(Debug)]
pub struct ApiProber {
    seen: Arc<Mutex<Probed>>,
    pacer: Pacer,
}

impl ApiProber {
    /// Asks at this address (`172.30.0.14:6443`) with the first user of a kubeconfig.
    ///
    /// # Errors
    /// The kubeconfig or the address is invalid.
    pub fn start(address: &str, kubeconfig: &Path) -> Result<Self, LabError> {
        let client = ApiClient::new(address, kubeconfig)?;
        let seen = Arc::new(Mutex::new(Probed::default()));
        let start = Instant::now();
        let pacer = Pacer::start(PERIOD, {
            let seen = Arc::clone(&seen);
            move |_| probe(&client, start, &seen)
        });
        Ok(Self { seen, pacer })
    }

    /// What was recorded so far.
    pub fn so_far(&self) -> Probed {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Stops it, when the last request is answered or has failed.
    pub fn stop(mut self) -> Probed {
        self.pacer.stop();
        self.so_far()
    }
}

fn probe(client: &ApiClient, start: Instant, seen: &Mutex<Probed>) {
    let began = Instant::now();
    let answer = ask_as_clients_do(client, |why| {
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.repeated.push(((began - start).as_secs_f64(), why));
    });
    let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    match answer {
        Ok(()) => {
            seen.answered += 1;
            seen.slowest = seen.slowest.max(began.elapsed());
        }
        Err(why) => seen.failures.push(((began - start).as_secs_f64(), why)),
    }
}

/// Why a request has no valid answer, and what client-go does then.
struct Unanswered {
    why: String,
    /// It asks again after this time; it gives up where there is none.
    again: Option<Duration>,
}

/// One request, repeated as client-go repeats it; each repetition is reported with its reason.
fn ask_as_clients_do(client: &ApiClient, mut repeating: impl FnMut(String)) -> Result<(), String> {
    for _ in 0..REPEATS {
        match ask(client) {
            Ok(()) => return Ok(()),
            Err(Unanswered { why, again: Some(pause) }) => {
                repeating(why);
                thread::sleep(pause);
            }
            Err(Unanswered { why, again: None }) => return Err(why),
        }
    }
    ask(client).map_err(|unanswered| unanswered.why)
}

/// One request on a connection of its own.
fn ask(client: &ApiClient) -> Result<(), Unanswered> {
    let fails = |doing: &str, error: std::io::Error, read: usize| match read {
        0 if is_cut(&error) => Unanswered { why: format!("cut: {doing}: {error}"), again: Some(PAUSE) },
        _ => Unanswered { why: format!("{doing}: {error}"), again: None },
    };
    let say = |doing: &'static str| move |error| fails(doing, error, 0);
    let mut stream: Stream = client.connect().map_err(say("connect"))?;
    let request = format!("GET {PATH} HTTP/1.1\r\nHost: kubernetes\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).map_err(say("ask"))?;
    let mut head = [0; 12];
    let mut read = 0;
    while read < head.len() {
        match stream.read(&mut head[read..]) {
            Ok(0) => return Err(fails("answer", ErrorKind::UnexpectedEof.into(), read)),
            Ok(more) => read += more,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(fails("answer", error, read)),
        }
    }
    if head == *b"HTTP/1.1 200" {
        return Ok(());
    }
    let mut rest = Vec::new();
    // What was received until the connection ended says why, however it ended.
    let _ = stream.take(4_096).read_to_end(&mut rest);
    Err(refused(&String::from_utf8_lossy(&head), &String::from_utf8_lossy(&rest)))
}

/// Whether the connection ended rather than the time: `IsConnectionReset` and `IsProbableEOF` of
/// apimachinery's `util/net`.
fn is_cut(error: &std::io::Error) -> bool {
    use ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof)
}

/// The meaning of an answer other than 200: `HTTP/1.1 503`, and what followed it.
///
/// Source: `isRetryableAfter` of client-go's `rest/with_retry.go`: 429 and 5xx with the header `Retry-After`.
fn refused(status: &str, rest: &str) -> Unanswered {
    let (headers, body) = rest.split_once("\r\n\r\n").unwrap_or((rest, ""));
    let code = status.rsplit(' ').next().unwrap_or_default();
    let may_repeat = code == "429" || code.starts_with('5');
    let seconds = headers.lines().filter_map(|line| line.split_once(':')).find_map(|(name, value)| {
        name.eq_ignore_ascii_case("retry-after").then(|| value.trim().parse().ok()).flatten()
    });
    Unanswered {
        why: format!("answer: {status} {}", body.trim()),
        again: seconds.filter(|_| may_repeat).map(Duration::from_secs),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_says_when_is_asked_again() {
        let again = |status, rest| refused(status, rest).again;
        let header = "OK\r\nretry-after: 1\r\n\r\nbody";
        assert_eq!(again("HTTP/1.1 503", header), Some(Duration::from_secs(1)));
        assert_eq!(again("HTTP/1.1 429", header), Some(Duration::from_secs(1)));
        assert_eq!(again("HTTP/1.1 403", header), None);
        assert_eq!(again("HTTP/1.1 503", "\r\n\r\nretry-after: 1"), None);
        assert_eq!(refused("HTTP/1.1 503", header).why, "answer: HTTP/1.1 503 body");
    }

    #[test]
    fn only_an_end_of_the_connection_is_repeated() {
        assert!(is_cut(&ErrorKind::ConnectionReset.into()) && is_cut(&ErrorKind::UnexpectedEof.into()));
        assert!(!is_cut(&ErrorKind::TimedOut.into()) && !is_cut(&ErrorKind::ConnectionRefused.into()));
    }
}

//! A client that creates an object fifty times a second, and records which of them an API server acknowledged.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::LabError;
use super::api::{ApiClient, Connection};
use super::pacer::Pacer;

/// Fifty a second.
const PERIOD: Duration = Duration::from_millis(20);
/// What is created: etcd's majority has it when the answer comes.
const PATH: &str = "/api/v1/namespaces/default/configmaps";
const CREATED: u16 = 201;

/// What a writer has recorded. All moments are seconds after its start.
#[derive(Clone, Debug, Default)]
pub struct Written {
    /// The names of the `ConfigMap`s whose creation was acknowledged, and when, in this order.
    pub acknowledged: Vec<(f64, String)>,
    /// When a write had begun that was refused or got no answer, and why: whether it took effect is unknown.
    pub failures: Vec<(f64, String)>,
}

impl Written {
    /// The longest time between two acknowledged writes after one moment and before another, both of which count as
    /// acknowledged writes: in seconds, and when it began.
    pub fn longest_gap(&self, after: f64, before: f64) -> (f64, f64) {
        let within = self.acknowledged.iter().map(|(at, _)| *at).filter(|at| (after..before).contains(at));
        let (mut longest, mut last) = ((0.0, after), after);
        for at in within.chain([before]) {
            if at - last > longest.0 {
                longest = (at - last, last);
            }
            last = at;
        }
        longest
    }
}

/// A writer that runs until it is stopped.
///
/// It keeps connections open for the next write, as Kubernetes' own clients do, and opens another where all are in
/// use. A late answer delays no other write. Nothing is repeated.
#[derive(Debug)]
pub struct Writer {
    start: Instant,
    written: Arc<Mutex<Written>>,
    pacer: Pacer,
}

impl Writer {
    /// Writes at this address (`172.30.0.3:6443`) with the first user of a kubeconfig. The names of what it creates
    /// begin with `written-`.
    ///
    /// # Errors
    /// The kubeconfig or the address is invalid.
    pub fn start(address: &str, kubeconfig: &Path) -> Result<Self, LabError> {
        let client = ApiClient::new(address, kubeconfig)?;
        let idle: Mutex<Vec<Connection>> = Mutex::default();
        let written: Arc<Mutex<Written>> = Arc::default();
        let start = Instant::now();
        let pacer = Pacer::start(PERIOD, {
            let written = Arc::clone(&written);
            move |number| {
                let began = start.elapsed().as_secs_f64();
                let name = format!("written-{number}");
                let kept = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
                let created = create(kept, &client, &name);
                let mut written = written.lock().unwrap_or_else(PoisonError::into_inner);
                match created {
                    Ok(connection) => {
                        written.acknowledged.push((start.elapsed().as_secs_f64(), name));
                        idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
                    }
                    Err(why) => written.failures.push((began, why)),
                }
            }
        });
        Ok(Self { start, written, pacer })
    }

    /// Seconds after its start.
    pub fn now(&self) -> f64 {
        self.start.elapsed().as_secs_f64()
    }

    /// What was recorded so far.
    pub fn so_far(&self) -> Written {
        self.written.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Stops it, when the last write is answered or has failed.
    pub fn stop(mut self) -> Written {
        self.pacer.stop();
        self.so_far()
    }
}

/// Creates a `ConfigMap`, and returns the connection if that was acknowledged.
fn create(kept: Option<Connection>, client: &ApiClient, name: &str) -> Result<Connection, String> {
    let mut connection = match kept {
        Some(connection) => connection,
        None => Connection::open(client).map_err(|error| format!("connect: {error}"))?,
    };
    let body = format!(
        r#"{{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"{name}"}},"data":{{"name":"{name}"}}}}"#
    );
    match connection.post(PATH, &body) {
        Ok((CREATED, _)) => Ok(connection),
        Ok((status, answer)) => Err(format!("answer: {status} {}", answer.trim())),
        Err(error) => Err(format!("ask: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_gap_is_between_acknowledged_writes_or_the_ends() {
        let acknowledged = [1.0, 1.5, 4.0, 4.5].map(|at| (at, String::new())).to_vec();
        let written = Written { acknowledged, failures: Vec::new() };
        assert_eq!(written.longest_gap(1.0, 5.0), (2.5, 1.5));
        assert_eq!(written.longest_gap(4.0, 5.0), (0.5, 4.0));
        assert_eq!(written.longest_gap(1.0, 9.0), (4.5, 4.5));
        assert_eq!(written.longest_gap(2.0, 3.0), (1.0, 2.0));
    }
}

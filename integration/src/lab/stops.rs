//! Which requests a stopping server may interrupt, as opposed to all other failures that a client notices.

use super::Probed;

/// How many servers stop while requests are counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stops {
    /// Members of etcd.
    pub members: usize,
    /// API servers.
    pub api_servers: usize,
}

impl Stops {
    /// The failures that these stops do not explain, as seconds after the prober's start with the error:
    /// requests without an answer, and those that had to be repeated at more moments than servers stopped.
    pub fn unexplained(self, seen: &Probed) -> Vec<(f64, String)> {
        let within = |list: &[(f64, String)], is_cut: fn(&str) -> bool, stops: usize| {
            let at = list.iter().filter(|(_, why)| is_cut(why)).map(|(at, _)| *at);
            moments(at.collect()) <= stops
        };
        let by_etcd = within(&seen.failures, is_cut_by_etcd, self.members);
        let by_server = within(&seen.repeated, is_cut_by_server, self.api_servers);
        let lost = seen.failures.iter().filter(|(_, why)| !(by_etcd && is_cut_by_etcd(why)));
        let repeated = seen.repeated.iter().filter(|(_, why)| !(by_server && is_cut_by_server(why)));
        lost.chain(repeated).cloned().collect()
    }
}

/// How many moments these are, in seconds: one includes everything from a server's signal to stop until its
/// end.
fn moments(mut at: Vec<f64>) -> usize {
    /// A little more than the time that an API server has to stop.
    const ONE_MOMENT: f64 = 4.0;
    at.sort_by(f64::total_cmp);
    let mut moments = 0;
    let mut began = f64::NEG_INFINITY;
    for at in at {
        if at - began > ONE_MOMENT {
            (moments, began) = (moments + 1, at);
        }
    }
    moments
}

/// Whether it is an answer that is caused only by a member of etcd that stops or transfers leadership while
/// it handles a request: kube-apiserver 1.20 asks no other member then.
///
/// Source: `stopServers` of etcd's `embed/etcd.go` drains nothing where TLS is on
/// (<https://github.com/etcd-io/etcd/issues/8916>); docs/decisions/0034-requests-on-a-member-that-stops.md.
fn is_cut_by_etcd(failure: &str) -> bool {
    let texts = [
        "HTTP status code 200; transport: missing content-type field",
        "server closed the stream without sending trailers",
        "etcdserver: leader changed",
    ];
    failure.starts_with("answer: HTTP/1.1 500 ") && texts.iter().any(|text| failure.contains(text))
}

/// Whether an API server that stops gave no answer: the kernel had accepted the connection for it before it
/// closed its port, it exited before it had read the request, or it reported that it stops. Kubernetes' own
/// clients repeat all three.
///
/// See docs/decisions/0052-what-a-stopping-api-server-cuts.md.
fn is_cut_by_server(failure: &str) -> bool {
    // `waitGroupWriteRetryAfterToResponse` in `filters/waitgroup.go` of apiserver.
    failure.starts_with("cut: ")
        || failure.starts_with("answer: HTTP/1.1 503 ") && failure.contains("apiserver is shutting down")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const ETCD: &str = "answer: HTTP/1.1 500 etcdserver: leader changed";
    const SERVER: &str = "cut: ask: unexpected end of file";

    const ENDS: &str = "answer: HTTP/1.1 503 {\"message\":\"apiserver is shutting down\"}";

    fn unexplained(stops: Stops, failures: &[(f64, &str)], repeated: &[(f64, &str)]) -> usize {
        let owned = |list: &[(f64, &str)]| list.iter().map(|(at, why)| (*at, (*why).to_owned())).collect();
        let (failures, repeated) = (owned(failures), owned(repeated));
        stops.unexplained(&Probed { answered: 1, failures, repeated, slowest: Duration::ZERO }).len()
    }

    #[test]
    fn a_server_that_stops_explains_one_moment_of_its_own_kind() {
        let (member, server) = (Stops { members: 1, api_servers: 0 }, Stops { members: 0, api_servers: 1 });
        assert_eq!(unexplained(member, &[(1.0, ETCD), (1.1, ETCD)], &[]), 0);
        assert_eq!(unexplained(server, &[], &[(1.0, ENDS), (3.5, SERVER)]), 0);
        assert_eq!(unexplained(server, &[(1.0, ETCD)], &[]), 1);
        assert_eq!(unexplained(member, &[], &[(1.0, SERVER)]), 1);
        assert_eq!(unexplained(server, &[], &[(1.0, SERVER), (9.0, SERVER)]), 2);
    }

    #[test]
    fn nothing_explains_a_request_that_a_client_gives_up() {
        let all = Stops { members: 3, api_servers: 3 };
        for why in ["connect: Connection refused", "ask: timed out", SERVER, ENDS] {
            assert_eq!(unexplained(all, &[(1.0, why)], &[]), 1, "{why}");
        }
        assert_eq!(unexplained(all, &[], &[(1.0, "answer: HTTP/1.1 429 too many requests")]), 1);
    }
}

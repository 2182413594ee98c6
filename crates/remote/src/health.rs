//! Whether a component works: it is asked on its own machine.

use std::time::Duration;

use rustls::pki_types::ServerName;
use windlass_model::{Health, Manner, Probe, Unasked};

use crate::https::{self, Call, Reply, Silence, Speech};
use crate::keys::Keys;
use crate::link::{Counts, Far, Link};

/// How long a component may take to answer. Whether a slower one works is unknown.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);
/// The name in every API server's certificate.
const API_NAME: &str = "kubernetes";

/// Asks once.
pub(crate) async fn ask(link: &Link, probe: &Probe, keys: Option<&Keys>) -> Health {
    let Probe { host, port, path, manner } = probe;
    let far = Far::Port(host.to_string(), *port);
    let Ok(near) = link.forward(&far).await else { return Health::Unknown(Unasked::NoWay) };
    let credulous = || Speech::Tls(https::credulous(), server_name(API_NAME));
    let anonymously = || (credulous(), Asker::Anonymous);
    let with = |config: &Option<_>, name: &str| config.clone().map(|it| Speech::Tls(it, server_name(name)));
    let (speech, asker) = match (manner, keys) {
        (Manner::Clear, _) => (Speech::Clear, Asker::Known),
        (Manner::Unchecked, _) => (credulous(), Asker::Known),
        (Manner::Kube, Some(keys)) => {
            with(&keys.kube, API_NAME).map_or_else(anonymously, |speech| (speech, Asker::Known))
        }
        (Manner::Etcd, Some(keys)) => {
            with(&keys.etcd, host).map_or_else(anonymously, |speech| (speech, Asker::Known))
        }
        (Manner::Kube | Manner::Etcd, None) => anonymously(),
    };
    Counts::count(&link.counts.probes);
    judge(https::ask(&near, &speech, Call::get(path), ANSWER_WITHIN).await, asker)
}

/// Whether the client presents a certificate where one is requested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asker {
    Known,
    Anonymous,
}

/// Without keys only an answer of any kind can be seen; with a ledger there are keys for a better check.
fn judge(reply: Result<Reply, Silence>, asker: Asker) -> Health {
    match (reply, asker) {
        // etcd reports its health in its answer; some versions in the status as well.
        (Ok(Reply { status: 200, body, .. }), _) => {
            let is_well = !String::from_utf8_lossy(&body).contains(r#""health":"false""#);
            if is_well { Health::Healthy } else { Health::Unhealthy }
        }
        (Ok(Reply { status: 401 | 403, .. }) | Err(Silence::Refused(_)), Asker::Anonymous) => Health::Healthy,
        (Ok(Reply { status: 401 | 403, .. }) | Err(Silence::Refused(_)), Asker::Known) => {
            Health::Unknown(Unasked::Certificates)
        }
        (Ok(_) | Err(Silence::Nobody(_)), _) => Health::Unhealthy,
        (Err(Silence::Late(_)), _) => Health::Unknown(Unasked::NoAnswer),
    }
}

/// A name, or an address, in the form of certificates.
pub(crate) fn server_name(name: &str) -> ServerName<'static> {
    ServerName::try_from(name.to_owned())
        .unwrap_or_else(|_| ServerName::try_from(API_NAME).expect("a word of letters is a host name"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_health_only_if_it_says_so() {
        let reply =
            |status, body: &str| Ok(Reply { status, api_version: None, body: body.as_bytes().to_vec() });
        for (reply, asker, wanted) in [
            (reply(200, "ok"), Asker::Known, Health::Healthy),
            (reply(200, r#"{"health":"true"}"#), Asker::Known, Health::Healthy),
            (reply(200, r#"{"health":"false"}"#), Asker::Known, Health::Unhealthy),
            (reply(500, "[-]etcd failed"), Asker::Known, Health::Unhealthy),
            (reply(401, ""), Asker::Known, Health::Unknown(Unasked::Certificates)),
            (reply(401, ""), Asker::Anonymous, Health::Healthy),
            (Err(Silence::Refused("alert".to_owned())), Asker::Anonymous, Health::Healthy),
            (Err(Silence::Refused("alert".to_owned())), Asker::Known, Health::Unknown(Unasked::Certificates)),
            (Err(Silence::Late("3 s".to_owned())), Asker::Known, Health::Unknown(Unasked::NoAnswer)),
            (Err(Silence::Late("3 s".to_owned())), Asker::Anonymous, Health::Unknown(Unasked::NoAnswer)),
            (Err(Silence::Nobody("refused".to_owned())), Asker::Anonymous, Health::Unhealthy),
        ] {
            assert_eq!(judge(reply.clone(), asker), wanted, "{reply:?}");
        }
    }
}

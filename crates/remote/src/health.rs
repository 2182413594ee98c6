//! Whether a component does its work: asked of itself, on its own machine.

use std::time::Duration;

use rustls::pki_types::ServerName;
use windlass_model::{Health, Manner, Probe};

use crate::https::{self, Call, Reply, Silence, Speech};
use crate::keys::Keys;
use crate::link::{Counts, Far, Link};

/// How long a component may take to answer. etcd without a majority takes longer, and is not healthy.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);
/// The name that every API server's certificate carries.
const API_NAME: &str = "kubernetes";

/// Asks once.
pub(crate) async fn ask(link: &Link, probe: &Probe, keys: Option<&Keys>) -> Health {
    let Probe { host, port, path, manner } = probe;
    let far = Far::Port(host.to_string(), *port);
    let Ok(near) = link.forward(&far).await else { return Health::Unhealthy };
    let credulous = || Speech::Tls(https::credulous(), server_name(API_NAME));
    let with = |config: &Option<_>, name: &str| config.clone().map(|it| Speech::Tls(it, server_name(name)));
    let (speech, is_anonymous) = match (manner, keys) {
        (Manner::Clear, _) => (Speech::Clear, false),
        (Manner::Unchecked, _) => (credulous(), false),
        (Manner::Kube, Some(keys)) => {
            with(&keys.kube, API_NAME).map_or_else(|| (credulous(), true), |speech| (speech, false))
        }
        (Manner::Etcd, Some(keys)) => {
            with(&keys.etcd, host).map_or_else(|| (credulous(), true), |speech| (speech, false))
        }
        (Manner::Kube | Manner::Etcd, None) => (credulous(), true),
    };
    Counts::count(&link.counts.probes);
    judge(https::ask(&near, &speech, Call::get(path), ANSWER_WITHIN).await, is_anonymous)
}

/// Without keys all that can be told is that somebody answers; with the next ledger it is told better.
fn judge(reply: Result<Reply, Silence>, is_anonymous: bool) -> Health {
    let is_well = match reply {
        // etcd tells in its answer; some versions with a status beside it.
        Ok(Reply { status: 200, body, .. }) => {
            !String::from_utf8_lossy(&body).contains(r#""health":"false""#)
        }
        Ok(Reply { status: 401 | 403, .. }) | Err(Silence::Refused(_)) => is_anonymous,
        Ok(_) | Err(Silence::Nobody(_)) => false,
    };
    if is_well { Health::Healthy } else { Health::Unhealthy }
}

/// A name, or an address, as a certificate carries it.
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
        for (reply, is_anonymous, wanted) in [
            (reply(200, "ok"), false, Health::Healthy),
            (reply(200, r#"{"health":"true"}"#), false, Health::Healthy),
            (reply(200, r#"{"health":"false"}"#), false, Health::Unhealthy),
            (reply(500, "[-]etcd failed"), false, Health::Unhealthy),
            (reply(401, ""), false, Health::Unhealthy),
            (reply(401, ""), true, Health::Healthy),
            (Err(Silence::Refused("alert".to_owned())), true, Health::Healthy),
            (Err(Silence::Refused("alert".to_owned())), false, Health::Unhealthy),
            (Err(Silence::Nobody("refused".to_owned())), true, Health::Unhealthy),
        ] {
            assert_eq!(judge(reply.clone(), is_anonymous), wanted, "{reply:?}");
        }
    }
}

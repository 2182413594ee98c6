//! Whether a component does its work: asked of itself, on its own machine.

use std::time::Duration;

use rustls::pki_types::ServerName;
use windlass_model::{Component, ContainerName, ContainerSpec, Health};

use crate::https::{self, Call, Reply, Silence, Speech};
use crate::keys::Keys;
use crate::link::{Counts, Far, Link};

/// How long a component may take to answer. etcd without a majority takes longer, and is not healthy.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);
/// The name that every API server's certificate carries.
const API_NAME: &str = "kubernetes";

/// How a component is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Question {
    far: Far,
    path: &'static str,
    manner: Manner,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Manner {
    Clear,
    /// It signs for itself: nobody can check that, and nobody needs to on the machine itself.
    Unchecked,
    Kube,
    /// With the name that its certificate must carry.
    Etcd(String),
}

/// How to ask the component that a container of this name runs; none if there is nothing to ask.
pub(crate) fn question(name: &ContainerName, spec: &ContainerSpec) -> Option<Question> {
    let base = name.as_str().strip_suffix(".next").unwrap_or(name.as_str());
    let port = |flag: &str, usual: u16| match spec.flag(flag).map(str::parse::<u16>) {
        Some(Ok(0)) => None,
        Some(Ok(port)) => Some(port),
        Some(Err(_)) | None => Some(usual),
    };
    let local =
        |port: u16, path, manner| Question { far: Far::Port("127.0.0.1".to_owned(), port), path, manner };
    Some(match Component::named(base)? {
        Component::Etcd => {
            let (host, port) = client_url(spec)?;
            let near = if is_any(&host) { "127.0.0.1".to_owned() } else { host.clone() };
            Question { far: Far::Port(near.clone(), port), path: "/health", manner: Manner::Etcd(near) }
        }
        Component::KubeApiserver => local(port("secure-port", 6443)?, "/readyz", Manner::Kube),
        Component::NginxProxy => local(6443, "/readyz", Manner::Kube),
        Component::KubeControllerManager => local(port("secure-port", 10257)?, "/healthz", Manner::Unchecked),
        Component::KubeScheduler => local(port("secure-port", 10259)?, "/healthz", Manner::Unchecked),
        Component::Kubelet => local(port("healthz-port", 10248)?, "/healthz", Manner::Clear),
        Component::KubeProxy => {
            let bound = spec.flag("healthz-bind-address").and_then(|address| address.rsplit_once(':'));
            let port = bound.and_then(|(_, port)| port.parse().ok()).unwrap_or(10256);
            local(port, "/healthz", Manner::Clear)
        }
        Component::EtcdRollingSnapshots => return None,
    })
}

/// Host and port of the first URL at which a member serves clients.
fn client_url(spec: &ContainerSpec) -> Option<(String, u16)> {
    let urls = spec.flag("listen-client-urls").unwrap_or("https://127.0.0.1:2379");
    let first = urls.split(',').next()?;
    let (host, port) = first.split_once("://")?.1.rsplit_once(':')?;
    Some((host.trim_matches(['[', ']']).to_owned(), port.trim_end_matches('/').parse().ok()?))
}

fn is_any(host: &str) -> bool {
    ["0.0.0.0", "::", ""].contains(&host)
}

/// For how many seconds after its start a component that does not answer counts as starting.
pub(crate) fn grace(name: &ContainerName) -> u64 {
    match Component::of_container(name) {
        Some(Component::Etcd) => 30,
        // They wait for others: for etcd's majority, for an API server, for Docker.
        _ => 60,
    }
}

/// Asks once.
pub(crate) async fn ask(link: &Link, question: &Question, keys: Option<&Keys>) -> Health {
    let Question { far, path, manner } = question;
    let Ok(near) = link.forward(far).await else { return Health::Unhealthy };
    let credulous = || Speech::Tls(https::credulous(), server_name(API_NAME));
    let with = |config: &Option<_>, name: &str| config.clone().map(|it| Speech::Tls(it, server_name(name)));
    let (speech, is_anonymous) = match (manner, keys) {
        (Manner::Clear, _) => (Speech::Clear, false),
        (Manner::Unchecked, _) => (credulous(), false),
        (Manner::Kube, Some(keys)) => {
            with(&keys.kube, API_NAME).map_or_else(|| (credulous(), true), |speech| (speech, false))
        }
        (Manner::Etcd(name), Some(keys)) => {
            with(&keys.etcd, name).map_or_else(|| (credulous(), true), |speech| (speech, false))
        }
        (Manner::Kube | Manner::Etcd(_), None) => (credulous(), true),
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
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use windlass_model::{PidMode, Privilege};

    use super::*;

    fn asked(name: &str, flags: &[&str]) -> Option<(Far, &'static str)> {
        let spec = ContainerSpec {
            image: "x".into(),
            command: std::iter::once(name).chain(flags.iter().copied()).map(Arc::from).collect(),
            env: BTreeMap::new(),
            binds: Vec::new(),
            pid: PidMode::Own,
            privilege: Privilege::Confined,
            user: None,
            reads: BTreeMap::new(),
            version: None,
        };
        question(&name.into(), &spec).map(|question| (question.far, question.path))
    }

    fn port(host: &str, port: u16) -> Far {
        Far::Port(host.to_owned(), port)
    }

    #[test]
    fn each_component_is_asked_where_it_listens() {
        for (name, flags, wanted) in [
            (
                "etcd",
                &["--listen-client-urls=https://10.0.0.1:2379"][..],
                Some((port("10.0.0.1", 2379), "/health")),
            ),
            (
                "etcd",
                &["--listen-client-urls=https://[fd00::1]:2379"],
                Some((port("fd00::1", 2379), "/health")),
            ),
            (
                "etcd",
                &["--listen-client-urls=https://0.0.0.0:2379"],
                Some((port("127.0.0.1", 2379), "/health")),
            ),
            ("kube-apiserver", &["--secure-port=7443"], Some((port("127.0.0.1", 7443), "/readyz"))),
            ("kube-apiserver.next", &[], Some((port("127.0.0.1", 6443), "/readyz"))),
            ("kube-controller-manager", &[], Some((port("127.0.0.1", 10257), "/healthz"))),
            ("kube-scheduler", &[], Some((port("127.0.0.1", 10259), "/healthz"))),
            ("kubelet", &["--healthz-port=0"], None),
            (
                "kube-proxy",
                &["--healthz-bind-address=127.0.0.1"],
                Some((port("127.0.0.1", 10256), "/healthz")),
            ),
            ("kube-proxy", &["--healthz-bind-address=0.0.0.0:1"], Some((port("127.0.0.1", 1), "/healthz"))),
            ("nginx-proxy", &[], Some((port("127.0.0.1", 6443), "/readyz"))),
            ("etcd-rolling-snapshots", &[], None),
            ("other", &[], None),
        ] {
            assert_eq!(asked(name, flags), wanted, "{name} {flags:?}");
        }
    }

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

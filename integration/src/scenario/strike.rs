//! What happens to a world, in the words of people: commands that they would type, and faults that happen by
//! themselves.

use windlass_model::{Alarm, Component, FilePath, Mode, NodeName, ObjectRef, Taint};
use windlass_simulator::{Fault, How, Mischief, When};

use super::text::{cut, number};

/// Reads what happens.
///
/// # Errors
/// It is invalid.
pub(super) fn read(said: &str, block: Option<String>) -> Result<Fault, String> {
    let (first, rest) = cut(said);
    match first {
        "on" => {
            let (node, command) = cut(rest);
            by_hand(NodeName::from(node), command, block).map(Fault::ByHand)
        }
        "kubectl" => kubectl(rest).map(Fault::ByHand),
        "registry" => match cut(rest) {
            ("down", time) => Ok(Fault::RegistryDown { seconds: for_seconds(time)? }),
            _ => Err("the registry is `down`, or `down for 60s`".to_owned()),
        },
        "bucket" => match rest {
            "down" => Ok(Fault::BucketDown),
            _ => Err("the bucket is `down`".to_owned()),
        },
        "external-etcd" => match cut(rest) {
            ("down", time) => Ok(Fault::ExternalEtcdDown { seconds: for_seconds(time)? }),
            ("up", "") => Ok(Fault::ExternalEtcdUp),
            _ => Err("the external etcd is `up`, `down`, or `down for 60s`".to_owned()),
        },
        "days" => Ok(Fault::DaysPass { days: number(rest)? }),
        "ledger" => match rest {
            "lost" => Ok(Fault::LedgerLost),
            "aged" => Ok(Fault::LedgerAged),
            _ => Err("the ledger is `lost` or `aged`".to_owned()),
        },
        "evictions" => match rest {
            "blocked" => Ok(Fault::EvictionsBlocked),
            "unblocked" => Ok(Fault::EvictionsUnblocked),
            _ => Err("evictions are `blocked` or `unblocked`".to_owned()),
        },
        "operator" => match rest {
            "dies before" => Ok(Fault::OperatorDies { when: When::Before }),
            "dies after" => Ok(Fault::OperatorDies { when: When::After }),
            _ if rest.starts_with("clock ") => operators_clock(rest),
            _ => Err("the operator's machine `dies before` a verb or `dies after` it".to_owned()),
        },
        "verb" => match rest {
            "fails" => Ok(Fault::Fails { when: When::Before, how: How::Lasting }),
            "fails once" => Ok(Fault::Fails { when: When::Before, how: How::Passing }),
            "fails after" => Ok(Fault::Fails { when: When::After, how: How::Lasting }),
            _ => Err("a verb `fails`, `fails once` or `fails after`".to_owned()),
        },
        "fault" => serde_yaml::from_str(rest).map_err(|error| error.to_string()),
        _ => machine(NodeName::from(first), rest).ok_or_else(|| "not understood".to_owned()),
    }
}

/// `60s`, `5m` or `2h` in seconds.
///
/// # Errors
/// It is none of these.
pub(super) fn seconds(text: &str) -> Result<u64, String> {
    let units = [("s", 1), ("m", 60), ("h", 3_600)];
    let found = units.iter().find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, factor)));
    let (count, factor) = found.ok_or_else(|| format!("`{text}` is no time such as `60s`"))?;
    number::<u64>(count).map(|count| count * factor)
}

/// `clock ahead 1h`, `clock behind 1h`.
fn operators_clock(rest: &str) -> Result<Fault, String> {
    let words: Vec<&str> = rest.split_whitespace().collect();
    let of = |time: &str| -> Result<i64, String> {
        i64::try_from(seconds(time)?).map_err(|_| format!("`{time}` is too long"))
    };
    match words.as_slice() {
        ["clock", "ahead", time] => Ok(Fault::OperatorClock { ahead_seconds: of(time)? }),
        ["clock", "behind", time] => Ok(Fault::OperatorClock { ahead_seconds: -of(time)? }),
        _ => Err("the operator's clock is `ahead 1h` or `behind 1h`".to_owned()),
    }
}

fn for_seconds(text: &str) -> Result<Option<u64>, String> {
    match text.strip_prefix("for ") {
        Some(time) => seconds(time.trim()).map(Some),
        None if text.is_empty() => Ok(None),
        None => Err(format!("`{text}` is no time such as `for 60s`")),
    }
}

/// `node-2 power-off for 60s`.
fn machine(node: NodeName, what: &str) -> Option<Fault> {
    let (what, rest) = cut(what);
    Some(match what {
        "power-off" => Fault::PowerOff { node, seconds: for_seconds(rest).ok()? },
        "power-on" => Fault::PowerOn { node },
        "unreachable" => Fault::Unreachable { node, seconds: for_seconds(rest).ok()? },
        "partitioned" => Fault::Partitioned { node, seconds: for_seconds(rest).ok()? },
        "reconnected" => Fault::Reconnected { node },
        "docker-restarts" => Fault::DockerRestarts { node },
        "slow-start" => Fault::SlowStart { node, factor: number(rest).ok()? },
        "busy" => {
            let (component, time) = cut(rest);
            Fault::Busy { node, component: Component::named(component)?, seconds: for_seconds(time).ok()? }
        }
        "disk-full" => Fault::DiskFull { node, seconds: for_seconds(rest).ok()? },
        _ => return None,
    })
}

/// `on node-2 docker stop etcd`.
fn by_hand(node: NodeName, command: &str, block: Option<String>) -> Result<Mischief, String> {
    let words: Vec<&str> = command.split_whitespace().collect();
    Ok(match words.as_slice() {
        ["docker", "stop", name] => Mischief::ContainerStopped { node, container: (*name).into() },
        ["docker", "pause", name] => Mischief::ContainerPaused { node, container: (*name).into() },
        ["docker", "rm", "-f", name] => Mischief::ContainerRemoved { node, container: (*name).into() },
        ["docker", "rmi", image] => Mischief::ImageRemoved { node, image: (*image).into() },
        ["docker", "run", "other", name] => Mischief::ForeignContainer { node, container: (*name).into() },
        ["docker", "run", "rke", name] => {
            Mischief::ClustersContainer { node, container: (*name).into(), lineage: None }
        }
        ["docker", "run", "of", lineage, name] => {
            Mischief::ClustersContainer { node, container: (*name).into(), lineage: Some((*lineage).into()) }
        }
        ["etcd", "of", "others", "in", path] => Mischief::ForeignData { node, path: FilePath::from(*path) },
        ["docker", "recreate", name] => Mischief::ContainerRecreated { node, container: (*name).into() },
        ["docker", "recreate", name, "with", argument] => {
            Mischief::ContainerEdited { node, container: (*name).into(), argument: (*argument).to_owned() }
        }
        ["docker", "copy", name, "as", copy] => {
            Mischief::ContainerLeftOver { node, container: (*name).into(), name: (*copy).into() }
        }
        ["rm", "-r", path] => Mischief::DirectoryDeleted { node, path: FilePath::from(*path) },
        ["rm", path] => Mischief::FileDeleted { node, path: FilePath::from(*path) },
        ["chmod", mode, path] => Mischief::FileMode {
            node,
            path: FilePath::from(*path),
            mode: Mode(u32::from_str_radix(mode, 8).map_err(|_| format!("`{mode}` is no mode"))?),
        },
        ["write", path] => Mischief::FileEdited {
            node,
            path: FilePath::from(*path),
            text: block.ok_or("`write` wants a text between `<<` and `>>`")?,
        },
        ["machine", fact, ..] => {
            let value = command.split_once(fact).map_or("", |(_, value)| value.trim()).to_owned();
            Mischief::MachineChanged { node, fact: (*fact).to_owned(), value }
        }
        ["etcd", "alarm", "NOSPACE"] => Mischief::EtcdAlarm { node, alarm: Alarm::NoSpace },
        ["etcd", "alarm", "CORRUPT"] => Mischief::EtcdAlarm { node, alarm: Alarm::Corrupt },
        ["etcdctl", "alarm", "disarm"] => Mischief::EtcdDisarmed { node },
        ["is", "changed", "by", holder @ ..] => {
            Mischief::OperatorElsewhere { node, holder: holder.join(" ") }
        }
        ["is", "changed", "no", "more"] => Mischief::OperatorElsewhereEnds { node },
        ["etcd", "grows", "to", bytes] => Mischief::EtcdGrows { node, bytes: number(bytes)? },
        ["snapshots", "fail", ..] => {
            let why = command.split_once("fail").map_or("", |(_, why)| why.trim()).to_owned();
            Mischief::SnapshotsFail { node, why }
        }
        ["snapshots", "succeed"] => Mischief::SnapshotsSucceed { node },
        ["snapshot", "is", "damaged"] => Mischief::SnapshotDamaged { node },
        ["boots", "without", path] => Mischief::BootsWithoutDisk { node, path: FilePath::from(*path) },
        ["mount", path] => Mischief::DiskMounted { node, path: FilePath::from(*path) },
        ["lose", "etcd", "data"] => Mischief::EtcdDataLost { node },
        ["etcd", "ends", ..] => {
            let said = command.split_once("ends").map_or("", |(_, said)| said.trim()).to_owned();
            Mischief::EtcdEnds { node, said }
        }
        ["etcd", "runs", "again"] => Mischief::EtcdEndsNoMore { node },
        ["etcdctl", "member", "add", "--learner", peer_url] => {
            Mischief::MemberAdded { node, peer_url: (*peer_url).to_owned() }
        }
        _ => return Err("no such thing is done by hand".to_owned()),
    })
}

/// `kubectl cordon node-2`.
fn kubectl(command: &str) -> Result<Mischief, String> {
    let words: Vec<&str> = command.split_whitespace().collect();
    Ok(match words.as_slice() {
        ["cordon", node] => Mischief::Cordoned { node: (*node).into() },
        ["uncordon", node] => Mischief::Uncordoned { node: (*node).into() },
        ["rewrite", "secrets"] => Mischief::SecretsRewritten,
        ["delete", "node", node] => Mischief::NodeObjectDeleted { node: (*node).into() },
        ["label", node, label] => {
            let node = (*node).into();
            match (label.strip_suffix('-'), label.split_once('=')) {
                (_, Some((key, value))) => {
                    Mischief::Labelled { node, key: key.to_owned(), value: Some(value.to_owned()) }
                }
                (Some(key), None) => Mischief::Labelled { node, key: key.to_owned(), value: None },
                (None, None) => return Err("a label is `key=value` or `key-`".to_owned()),
            }
        }
        ["delete", kind, name] => Mischief::ObjectDeleted { object: object(kind, name) },
        ["edit", kind, name, pointer, value] => Mischief::ObjectEdited {
            object: object(kind, name),
            pointer: (*pointer).to_owned(),
            value: (*value).to_owned(),
        },
        [owner, "owns", kind, name] => {
            Mischief::ObjectOwned { object: object(kind, name), owner: (*owner).to_owned() }
        }
        [owner, "makes", body] => {
            Mischief::ObjectMade { body: (*body).to_owned(), owner: (*owner).to_owned() }
        }
        ["webhook", "takes", kind, name] => Mischief::ObjectRefused { object: object(kind, name), why: None },
        ["webhook", "refuses", kind, name, why @ ..] => {
            Mischief::ObjectRefused { object: object(kind, name), why: Some(why.join(" ")) }
        }
        ["pods", "of", kind, name, "run"] => Mischief::PodsBroken { object: object(kind, name), why: None },
        ["pods", "of", kind, name, why @ ..] => {
            Mischief::PodsBroken { object: object(kind, name), why: Some(why.join(" ")) }
        }
        ["taint", node, taint] => Mischief::Tainted { node: (*node).into(), taint: tainted(taint)? },
        _ => return Err("no such kubectl command".to_owned()),
    })
}

/// An object by its kind and `NAMESPACE/NAME`, or its name alone.
fn object(kind: &str, name: &str) -> ObjectRef {
    let api_version = match kind {
        "DaemonSet" | "Deployment" => "apps/v1",
        "Job" => "batch/v1",
        "CustomResourceDefinition" => "apiextensions.k8s.io/v1",
        "ClusterRole" | "ClusterRoleBinding" | "Role" | "RoleBinding" => "rbac.authorization.k8s.io/v1",
        _ => "v1",
    };
    let (namespace, name) = name.split_once('/').unwrap_or(("", name));
    ObjectRef {
        api_version: api_version.into(),
        kind: kind.into(),
        namespace: namespace.into(),
        name: name.into(),
    }
}

fn tainted(text: &str) -> Result<Taint, String> {
    let (label, effect) = text.split_once(':').ok_or("a taint is `key=value:Effect`")?;
    let (key, value) = label.split_once('=').unwrap_or((label, ""));
    Ok(Taint { key: key.into(), value: value.into(), effect: effect.into() })
}

//! The request with which Docker creates a container.

use std::sync::Arc;

use bollard::models::{
    ContainerCreateBody, HostConfig, HostConfigLogConfig, Mount, MountBindOptions,
    MountBindOptionsPropagationEnum, MountType, ResourcesUlimits, RestartPolicy, RestartPolicyNameEnum,
};
use windlass_engine::{NewContainer, labels_of};
use windlass_model::{ContainerSpec, FilePath, PidMode, Privilege};

/// The directory of a node's configuration. Docker creates a missing source of a mount as an empty directory,
/// which is never right there: such a mount is requested in the form that Docker refuses then.
const CONFIGURATION: &str = "/etc/kubernetes";

/// The size of a file of a container's log, and how many of them are kept. Docker's own default has no limit,
/// and etcd stops where logs have filled the disk.
const LOG_FILES: [(&str, &str); 2] = [("max-size", "50m"), ("max-file", "3")];
/// The kernel's preference for ending a process where memory runs out: components come after every pod, whose
/// value is at least -997 (`guaranteedOOMScoreAdj` of `pkg/kubelet/qos/policy.go` in Kubernetes).
const OOM_SCORE: i64 = -998;
/// How many files a component may have open. Docker 29 passes on 1024 where containerd is configured so
/// (<https://github.com/moby/moby/issues/51485>), and etcd and API servers have one for each watch.
const OPEN_FILES: i64 = 1_048_576;

/// The body of the request that creates a container.
pub(crate) fn create_body(new: &NewContainer) -> ContainerCreateBody {
    let NewContainer { spec, birth, loaded: _, lineage: _, beside_data, beside_log } = new;
    let ContainerSpec { image, command, env, binds, pid, privilege, user, reads: _, ciphers: _, version: _ } =
        &**spec;
    let (program, arguments) = match command.split_first() {
        Some((program, rest)) => (Some(vec![program.to_string()]), rest),
        None => (None, &command[..]),
    };
    let arguments = arguments.iter().chain(birth).map(ToString::to_string).collect();
    let labels = labels_of(new).into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let (mounts, plain): (Vec<_>, Vec<_>) = binds.iter().map(|bind| (bind, strict_mount(bind, spec))).fold(
        (Vec::new(), Vec::new()),
        |(mut mounts, mut plain), (bind, mount)| {
            match mount {
                Some(mount) => mounts.push(mount),
                None => plain.push(bind.to_string()),
            }
            (mounts, plain)
        },
    );
    let marks = [(beside_data, BESIDE_DATA_INSIDE), (beside_log, BESIDE_LOG_INSIDE)];
    let marks = marks.into_iter().filter_map(|(path, inside)| Some(mount_of_mark(path.as_ref()?, inside)));
    let mounts = mounts.into_iter().chain(marks).collect();
    ContainerCreateBody {
        image: Some(image.to_string()),
        entrypoint: program,
        cmd: Some(arguments),
        env: Some(env.iter().map(|(name, value)| format!("{name}={value}")).collect()),
        user: user.as_deref().map(ToOwned::to_owned),
        labels: Some(labels),
        host_config: Some(HostConfig {
            network_mode: Some("host".to_owned()),
            restart_policy: Some(RestartPolicy {
                name: Some(RestartPolicyNameEnum::ALWAYS),
                maximum_retry_count: None,
            }),
            privileged: Some(*privilege == Privilege::Privileged),
            pid_mode: (*pid == PidMode::Host).then(|| "host".to_owned()),
            binds: Some(plain),
            mounts: Some(mounts),
            log_config: Some(HostConfigLogConfig {
                typ: Some("json-file".to_owned()),
                config: Some(LOG_FILES.map(|(key, value)| (key.to_owned(), value.to_owned())).into()),
            }),
            oom_score_adj: Some(OOM_SCORE),
            ulimits: Some(vec![ResourcesUlimits {
                name: Some("nofile".to_owned()),
                soft: Some(OPEN_FILES),
                hard: Some(OPEN_FILES),
            }]),
            ..HostConfig::default()
        }),
        ..ContainerCreateBody::default()
    }
}

/// The path in a container of the file without which it does not start. The container never reads it; it only
/// has to be mountable.
pub(crate) const BESIDE_DATA_INSIDE: &str = "/windlass/beside-data";
/// The same of the file beside a log at a place of its own.
pub(crate) const BESIDE_LOG_INSIDE: &str = "/windlass/beside-log";

/// The mount of such a file, in the form that Docker refuses at a start if its source is missing.
fn mount_of_mark(path: &FilePath, inside: &str) -> Mount {
    Mount {
        target: Some(inside.to_owned()),
        source: Some(path.to_string()),
        typ: Some(MountType::BIND),
        read_only: Some(true),
        ..Mount::default()
    }
}

/// The mount in the form that fails if its source is missing, if it concerns configuration and that form can
/// express it.
fn strict_mount(bind: &Arc<str>, spec: &ContainerSpec) -> Option<Mount> {
    let mut parts = bind.splitn(3, ':');
    let (source, target, options) = (parts.next()?, parts.next()?, parts.next().unwrap_or_default());
    let trimmed = source.trim_end_matches('/');
    let concerns = trimmed.ends_with(CONFIGURATION)
        || trimmed.contains(&format!("{CONFIGURATION}/"))
        || spec.reads.contains_key(trimmed);
    if !concerns {
        return None;
    }
    let mut mount = Mount {
        target: Some(target.to_owned()),
        source: Some(source.to_owned()),
        typ: Some(MountType::BIND),
        ..Mount::default()
    };
    for option in options.split(',').filter(|option| !option.is_empty()) {
        match option {
            "ro" => mount.read_only = Some(true),
            "rw" => mount.read_only = Some(false),
            // Relabelling for SELinux, for example, cannot be expressed in this form.
            other => {
                let propagation = propagation(other)?;
                mount.bind_options =
                    Some(MountBindOptions { propagation: Some(propagation), ..MountBindOptions::default() });
            }
        }
    }
    Some(mount)
}

fn propagation(option: &str) -> Option<MountBindOptionsPropagationEnum> {
    Some(match option {
        "private" => MountBindOptionsPropagationEnum::PRIVATE,
        "rprivate" => MountBindOptionsPropagationEnum::RPRIVATE,
        "shared" => MountBindOptionsPropagationEnum::SHARED,
        "rshared" => MountBindOptionsPropagationEnum::RSHARED,
        "slave" => MountBindOptionsPropagationEnum::SLAVE,
        "rslave" => MountBindOptionsPropagationEnum::RSLAVE,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use windlass_model::{Ciphers, Digest, Loaded, OnChange};

    use super::*;

    #[test]
    fn a_container_is_asked_for_as_its_spec_says() {
        let texts = |texts: &[&str]| texts.iter().copied().map(Arc::from).collect::<Vec<Arc<str>>>();
        let spec = ContainerSpec {
            image: "r:5000/etcd:v3".into(),
            command: texts(&["etcd", "--name=etcd-n1", "--listen=a b"]),
            env: BTreeMap::from([("A".into(), "1".into()), ("B".into(), String::new().into())]),
            binds: texts(&[
                "/var/lib/etcd:/data",
                "/etc/kubernetes:/etc/kubernetes:ro,rslave",
                "/etc/kubernetes/ssl:/ssl:z",
                "/etc/own.conf:/own.conf",
            ]),
            pid: PidMode::Host,
            privilege: Privilege::Privileged,
            user: Some("52034:52034".into()),
            reads: BTreeMap::from([("/etc/own.conf".into(), OnChange::Replace)]),
            ciphers: Ciphers::default(),
            version: None,
        };
        let new = NewContainer {
            spec: Arc::new(spec),
            birth: texts(&["--initial-cluster-state=new"]),
            loaded: Loaded::from([("/etc/own.conf".into(), Digest::of("x"))]),
            lineage: Some("blue".into()),
            beside_data: Some("/var/lib/etcd/member/windlass".into()),
            beside_log: None,
        };
        let body = serde_json::to_value(create_body(&new)).unwrap();
        let frozen: serde_json::Value =
            serde_json::from_str(include_str!("../tests/frozen/create.json")).unwrap();
        assert_eq!(body, frozen, "{}", serde_json::to_string_pretty(&body).unwrap());
    }
}

//! The cause of a finding in words: the only place that turns a cause into text.

use std::collections::BTreeSet;

use super::cause::{Cause, KeptByKubernetes, Note, Refusal, RestartObstacle, Waiting};
use super::etcd_data;
use super::gone::{FORMER_READY, RETURNED_READY};
use super::kubelet;
use super::machine::{ClockOf, MachineFault};
use crate::ciphers::SECRETS;
use crate::foundation::Fact;
use crate::host_report::ContainerdCri;
use crate::inventory::Alarm;
use crate::names::{CertName, ContainerName, Lineage, NodeName, Role};
use crate::objects::ObjectRef;
use crate::pod_runtime::{CONTAINERD_CONFIG, CONTAINERD_SOCKET, CRI_DOCKERD_SOCKET};
use crate::words::{counted, named, row, row_of};

const KIBIBYTE: u64 = 1 << 10;
const MEBIBYTE: u64 = KIBIBYTE << 10;
const GIBIBYTE: u64 = MEBIBYTE << 10;

/// The cause in words.
pub(super) fn what(cause: &Cause) -> String {
    match cause {
        Cause::Refusal(refusal) => refused(refusal),
        Cause::Waiting(waiting) => not_planned(waiting),
        Cause::Machine(fault) => machine(fault),
        Cause::Note(note) => noticed(note),
    }
}

const CUSTOM_KEYS_GONE: &str =
    "Secrets in etcd are encrypted with the keys of `custom_config`, and cluster.yml no longer has them";

fn refused(cause: &Refusal) -> String {
    match cause {
        Refusal::Restore { refused } => refused.what(),
        Refusal::UnreadableContainers { containers } => {
            format!("this version of windlass cannot read the labels of {}", named(&on_nodes(containers)))
        }
        Refusal::OtherLineage { nodes, lineage, own } => other_lineage(nodes, lineage, own.as_ref()),
        Refusal::EncryptionKeysDropped { keys } => keys_dropped(keys),
        Refusal::CustomEncryptionDropped => CUSTOM_KEYS_GONE.to_owned(),
        Refusal::EncryptionKeyLost { resource, keys } => keys_lost(resource, keys),
        Refusal::EncryptionKeyStillNeeded { keys } => still_stored_with(keys),
        Refusal::PlainTextUnread { resource } => format!(
            "{} in etcd are stored in plain text, and cluster.yml has no provider `identity` that reads it",
            kind_of(resource)
        ),
        Refusal::EncryptionKeyTooNew { resource, key, nodes } => key_too_new(resource, key, nodes),
        Refusal::LedgerLost { nodes } if nodes.is_empty() => {
            "a cluster exists here, and its ledger with the keys was not found".to_owned()
        }
        Refusal::LedgerLost { nodes } => {
            format!("a cluster exists here ({}), and its ledger with the keys was not found", named(nodes))
        }
        Refusal::DataOfSomebody { nodes } => {
            format!(
                "data of an etcd is on {}, and neither a ledger nor a container tells whose",
                named(nodes)
            )
        }
        Refusal::OtherToolsCluster { made_by, containers, files } => made_by.cluster(containers, files),
        Refusal::TooFewReachable { role, reachable, total } => {
            format!("only {reachable} of {total} {role} nodes are reachable, and no ledger was found")
        }
        Refusal::FoundationChanged { fact, from, to, .. } => {
            format!("{} cannot change from {from} to {to} while the cluster exists", fact_words(*fact))
        }
        Refusal::PrefixChanged { from, to } => format!(
            "`prefix_path` cannot change from {} to {} while the cluster exists",
            prefix(from),
            prefix(to)
        ),
        Refusal::NodeRenamed { former } => format!("this machine is {former} in the cluster"),
        Refusal::MemberMoved { from, to } => {
            format!("it is a member of etcd with the address {from}, which cannot change to {to}")
        }
        Refusal::VersionBack { from, to } => format!("Kubernetes {from} cannot be downgraded to {to}"),
        Refusal::VersionNotNamed { runs, default } => format!(
            "cluster.yml names no version, and the default of this windlass is {default}; the cluster runs {runs}"
        ),
        Refusal::VersionSkipped { from, to } => {
            format!("Kubernetes cannot be upgraded from {from} to {to} at once")
        }
        Refusal::LinkImpossible { kubernetes, problems } => {
            format!(
                "the upgrade goes through {kubernetes}, which does not allow what cluster.yml says: {}",
                problems.join("; ")
            )
        }
        Refusal::EtcdBack { from, to } => {
            format!("etcd cannot go back from {from} to {to}: it does not start with newer data")
        }
        Refusal::EtcdSkipped { from, to } => {
            format!("etcd cannot go from {from} to {to} at once: it goes one minor version at a time")
        }
        Refusal::MemberElsewhere { nodes, is, desired } => etcd_data::elsewhere(&named(nodes), is, desired),
        Refusal::FirstStartUnseen { nodes } => format!(
            "etcd cannot start for the first time: an interrupted run may have started it with other members, on {}",
            named(nodes)
        ),
        Refusal::EtcdDataLost { nodes, waits_for } => etcd_data::lost(&named(nodes), waits_for),
        Refusal::OtherExternalEtcd { servers } => {
            format!("API servers use etcd at {servers}, and cluster.yml names none of these addresses")
        }
        Refusal::NotGone { because } => because.what(),
        Refusal::FirstStartWithoutMajority { usable, total } => {
            format!(
                "etcd cannot start for the first time: {usable} of its {total} nodes can be used, which is no majority"
            )
        }
    }
}

fn other_lineage(nodes: &[NodeName], lineage: &Lineage, own: Option<&Lineage>) -> String {
    let own =
        own.map_or_else(|| "this cluster has none".to_owned(), |own| format!("this cluster's is {own}"));
    format!("{} belong to another cluster: the lineage of their ledger is {lineage}, {own}", named(nodes))
}

fn keys_dropped(keys: &[CertName]) -> String {
    let keys = row(keys.iter().map(|key| format!("`{key}`")));
    format!("Secrets in etcd are encrypted with {keys}, and cluster.yml no longer asks for encryption")
}

fn keys_lost(resource: &str, keys: &[String]) -> String {
    let (kind, keys) = (kind_of(resource), row(keys));
    format!("{kind} in etcd are encrypted with {keys}, which no provider of cluster.yml has")
}

fn key_too_new(resource: &str, key: &str, nodes: &[NodeName]) -> String {
    let (kind, nodes) = (kind_of(resource), named(nodes));
    format!("cluster.yml has {key} first for {kind}, and the API servers of {nodes} cannot read it yet")
}

fn not_planned(cause: &Waiting) -> String {
    match cause {
        Waiting::AfterRestore => {
            "the control plane starts on the restored etcd, and all nodes become as cluster.yml says"
                .to_owned()
        }
        Waiting::Link { kubernetes, etcd, images, ends, begins, waits: _ } => {
            let etcd = etcd.as_ref().map_or_else(String::new, |etcd| format!(" with etcd {etcd}"));
            let images = counted(images.len(), "new image");
            format!("Kubernetes {kubernetes}{etcd} follows: {images}{}", flags_that_change(ends, begins))
        }
        Waiting::NodeUnreachable { roles, error } => unreachable(roles, error),
        Waiting::NodeUnreachableForRemoval { error } => format!("unreachable: {error}"),
        Waiting::NotThisClusters { found } => found.what(),
        Waiting::FormerNodeReady => FORMER_READY.to_owned(),
        Waiting::ReturnedNodeReady => RETURNED_READY.to_owned(),
        Waiting::FormerNodeKept { .. } => "the node has left cluster.yml and is not cleared yet".to_owned(),
        Waiting::KubeletMoves { from, to } => kubelet::moves(from, to),
        Waiting::NodeUnchanged { .. } => "the containers of this node are not replaced yet".to_owned(),
        Waiting::NotStarted { .. } => "missing, and not started yet".to_owned(),
        Waiting::CannotWork { .. } => "runs and cannot work yet".to_owned(),
        Waiting::ControlPlaneUnchanged { .. } => {
            "the control plane of this node is not changed yet".to_owned()
        }
        Waiting::KeyLearned { key, .. } => format!("API servers do not write with {key} yet"),
        Waiting::KeyLeaves { key, .. } => format!("API servers still read what was written with {key}"),
        Waiting::SecretsNotRewritten { cipher, .. } => {
            format!("Secrets are not rewritten with {cipher} yet")
        }
        Waiting::ControlPlaneKept { .. } => "the control plane is not removed from this node yet".to_owned(),
        Waiting::ProxyListKept => "nginx-proxy keeps its list of API servers".to_owned(),
        Waiting::NodeObjectsUnknown => {
            "which nodes are registered, and their labels and taints, are not known yet".to_owned()
        }
        Waiting::ObjectsUnknown => "which objects of add-ons are there is not known yet".to_owned(),
        Waiting::OtherNetworkKept => {
            "nodes have a network for pods that windlass did not bring: no other one is put beside it"
                .to_owned()
        }
        Waiting::NetworkKept => "the network is no longer asked for, and is not removed".to_owned(),
        Waiting::ObjectsOfOthers { objects } => format!("not applied: others made {}", listed(objects)),
        Waiting::JobsChanged { objects } => {
            format!("not applied: Kubernetes does not change a Job that it has: {}", listed(objects))
        }
        Waiting::OldCertificateKept { obstacle } => old_certificate_kept(obstacle),
        Waiting::KeysWithoutCopy => {
            "the cluster is not started: its keys would be on this machine only".to_owned()
        }
        Waiting::FirstStartUnreachable => "etcd is not started for the first time".to_owned(),
        Waiting::FirstStartInterrupted { members } => {
            format!("an interrupted run has begun to start etcd with the members {members}")
        }
        Waiting::NoDataToRevive { .. } => "this node holds no data of etcd".to_owned(),
        Waiting::MemberUnchanged => "etcd runs and is not changed yet".to_owned(),
        Waiting::UnexplainedCrashes { said } => {
            let said = said.as_ref().map(|said| format!("; its log says `{said}`")).unwrap_or_default();
            format!("etcd ends again and again, and nothing shows that its member cannot come back{said}")
        }
        Waiting::EtcdAlarm { alarm, members } => alarm_raised(*alarm, members),
        Waiting::HealthUnknown { why } => {
            format!("nobody knows whether it works, so it is left as it is: {why}")
        }
        Waiting::MemberDiskMissing { path } => etcd_data::disk_missing(path),
        Waiting::MemberIncomplete { places } => etcd_data::incomplete(places),
        Waiting::MemberDataUnseen { path } => {
            format!("etcd runs and is not healthy, and no data of a member is in {path}")
        }
        Waiting::MembersUnchanged => {
            "healthy members are not changed, and no member joins or leaves".to_owned()
        }
        Waiting::MemberUnchangedForMajority => {
            "the member is not changed: while it is down, the others would have no majority".to_owned()
        }
        Waiting::MemberNeeded => {
            "the member is not removed from etcd: the others would have no majority".to_owned()
        }
        Waiting::MembersInUse => "the members that are to leave etcd stay in it".to_owned(),
        Waiting::EtcdKept => "etcd is not removed from this node yet".to_owned(),
    }
}

fn unreachable(roles: &[Role], error: &str) -> String {
    let roles: Vec<&str> = roles.iter().map(|role| role.as_str()).collect();
    format!("({}) unreachable: {error}", roles.join(", "))
}

fn listed(objects: &[ObjectRef]) -> String {
    objects.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn alarm_raised(alarm: Alarm, members: &[String]) -> String {
    let by = row_of(members, 5);
    let effect = match alarm {
        Alarm::NoSpace => "its database is full, and it stores nothing until the alarm is disarmed",
        Alarm::Corrupt => "members hold different data, and it answers no request",
    };
    format!("etcd has raised the alarm {alarm} ({by}): {effect}")
}

fn noticed(cause: &Note) -> String {
    match cause {
        Note::FormerNodeUnreachable => "has left cluster.yml, is unreachable and not cleared".to_owned(),
        Note::ForeignContainer => {
            "a container of this name was made by somebody else: it is left alone".to_owned()
        }
        Note::ForeignData { path } => {
            format!("{path} holds data of an etcd that was none of this cluster's: it is left alone")
        }
        Note::FormerDataKept { path } => format!("the data of the former member is kept in {path}"),
        Note::ExternalEtcdSuspected { .. } => {
            "API servers run and none answers: the external etcd may be the cause".to_owned()
        }
        Note::ExternalEtcdDataKept { prefix, .. } => {
            format!("everything that the cluster stored stays in the external etcd, under {prefix}")
        }
        Note::EncryptionKeyLeaves { resource, keys } => {
            format!("API servers no longer read {} that were written with {}", kind_of(resource), row(keys))
        }
        Note::NetworkMissing { nodes } => {
            format!("{} lack only a pod network to be ready", named(nodes))
        }
        Note::OperatorClockOff { ahead_seconds } => {
            let direction = if *ahead_seconds > 0 { "ahead of" } else { "behind" };
            format!(
                "the clock of this machine is {} s {direction} that of the nodes, which agree with each other",
                ahead_seconds.unsigned_abs()
            )
        }
        Note::SnapshotsKept { path } => format!("the snapshots of etcd in {path} are kept"),
        Note::SnapshotsStale { fault } => fault.to_string(),
        Note::EtcdNearlyFull { bytes, quota } => format!(
            "the database of etcd takes {} of the {} that it may; when it is full, Kubernetes can store nothing",
            size(*bytes),
            size(*quota)
        ),
        Note::DefaultNotAdded { name } => format!("{name} is not added: this cluster lives without it"),
        Note::KubeletsUnverified => {
            "metrics-server believes whatever answers in the place of a kubelet: kubelets sign their certificates themselves"
                .to_owned()
        }
        Note::ObjectsKept { objects } => {
            let objects: Vec<String> = objects.iter().map(ToString::to_string).collect();
            format!("no longer asked for, and not deleted: {}", objects.join(", "))
        }
        Note::CaExpires { on } => {
            format!("the CA expires {on}, and with it every certificate that it signed")
        }
        Note::LedgerInKubernetesKept { kept } => {
            let which = match kept {
                KeptByKubernetes::OtherCluster => "the ledger of another cluster".to_owned(),
                KeptByKubernetes::Newer(serial) => format!("a newer ledger, with serial {serial}"),
            };
            format!("the Secret kube-system/windlass-ledger holds {which}")
        }
    }
}

fn prefix(text: &str) -> String {
    if text.is_empty() { "none".to_owned() } else { text.to_owned() }
}

fn fact_words(fact: Fact) -> &'static str {
    match fact {
        Fact::ServiceRange => "the range of Service addresses",
        Fact::PodRange => "the range of pod addresses",
        Fact::ClusterDomain => "the cluster's domain",
        Fact::ServiceAccountIssuer => "the issuer of service-account tokens",
        Fact::EtcdData => "the place of etcd's data",
    }
}

fn no_cri_dockerd() -> String {
    format!("no cri-dockerd listens at {CRI_DOCKERD_SOCKET}, by which kubelet reaches Docker")
}

fn machine(fault: &MachineFault) -> String {
    match fault {
        MachineFault::OfAnotherCluster { found } | MachineFault::NamesTaken { found } => found.what(),
        MachineFault::Architecture { machine, program } => {
            format!(
                "its architecture is {machine}, and this windlass, which is copied there, is built for {program}"
            )
        }
        MachineFault::PortsTaken { ports, component } => {
            let (noun, verb) = if ports.len() > 1 { ("ports", "are") } else { ("port", "is") };
            format!("{noun} {}, which {component} needs, {verb} taken by something else", row(ports))
        }
        MachineFault::AddressMissing { address, component, has } => {
            format!("it does not have the address {address}, which {component} needs; it has {}", row(has))
        }
        MachineFault::AddressTranslated { address, has } => {
            format!("it does not have the address {address} of cluster.yml itself; it has {}", row(has))
        }
        MachineFault::SwapOn => "swap is on, and kubelet does not start with it".to_owned(),
        MachineFault::NoRoomForImages { path, free, needed } => {
            format!("{} are free under {path}, and the missing images need {}", size(*free), size(*needed))
        }
        MachineFault::NoRoomForEtcd { path, free, needed } => {
            format!("{} are free under {path}, and etcd needs {}", size(*free), size(*needed))
        }
        MachineFault::LittleRoomForEtcd { path, free, quota } => {
            format!("{} are free under {path}, and etcd may grow to {}", size(*free), size(*quota))
        }
        MachineFault::DockerTooOld { version } => format!("its Docker {version} is too old for kubelet"),
        MachineFault::DockerUntried { version, kubernetes, .. } => {
            format!("its Docker {version} is newer than any that RKE 1 ran Kubernetes {kubernetes} with")
        }
        MachineFault::SettingsUnknown { settings, .. } => {
            format!("its kernel does not know {}: pods or Services may not work", row(settings))
        }
        MachineFault::CgroupV2 { kubernetes } => format!(
            "it has cgroup v2, which Kubernetes fully supports only from v1.25 on, not in {kubernetes}"
        ),
        MachineFault::CgroupV1 { kubernetes } => {
            format!("it has cgroup v1, on which kubelet {kubernetes} does not start")
        }
        MachineFault::Containerd { serves: ContainerdCri::Off } => {
            format!("its containerd does not run pods: CRI is disabled in {CONTAINERD_CONFIG}")
        }
        MachineFault::Containerd { .. } => {
            format!("no containerd answers at {CONTAINERD_SOCKET}, by which pods are to be run")
        }
        MachineFault::CriDockerd => no_cri_dockerd(),
        MachineFault::NoCgroups => {
            "it shows no control groups under /sys/fs/cgroup, without which kubelet does not start".to_owned()
        }
        MachineFault::Selinux { components } => format!(
            "its Docker confines containers with SELinux, and {} could not read what is in /etc/kubernetes",
            row(components)
        ),
        MachineFault::LittleMemory { has, wants, control_plane } => {
            let what = if *control_plane { "a control-plane node" } else { "a node" };
            format!("it has {} of memory, and {what} needs {}", size(*has), size(*wants))
        }
        MachineFault::ClockOff { ahead_seconds, of } => {
            let direction = if *ahead_seconds > 0 { "ahead of" } else { "behind" };
            let of = match of {
                ClockOf::Operator => "this machine's",
                ClockOf::Nodes => "that of most nodes",
            };
            format!("its clock is {} s {direction} {of}", ahead_seconds.unsigned_abs())
        }
        MachineFault::SameMachine { other } => format!("it is the same machine as {other}"),
        MachineFault::SameHostname { hostname, others } => {
            format!("its host name is `{hostname}`, the same as that of {}", row(others))
        }
        MachineFault::SameMachineId { others } => {
            format!("it has the same /etc/machine-id as {}", row(others))
        }
        MachineFault::NotReachedBy { others, address, ports, error } => {
            format!("{} cannot connect to it at {address}, TCP {} ({error})", row(others), row(ports))
        }
        MachineFault::DoesNotReach { other, address, ports, error } => {
            format!("it cannot connect to {other} at {address}, TCP {} ({error})", row(ports))
        }
    }
}

/// A kind of resource as a person writes it.
fn still_stored_with(keys: &[String]) -> String {
    format!(
        "Secrets in etcd may still be stored with {}, which no provider of cluster.yml has, and cannot be rewritten now",
        row(keys)
    )
}

fn kind_of(resource: &str) -> &str {
    if resource == SECRETS { "Secrets" } else { resource }
}

fn on_nodes(containers: &[(NodeName, ContainerName)]) -> Vec<String> {
    containers.iter().map(|(node, container)| format!("{container} on {node}")).collect()
}

/// Bytes as a person reads them.
fn size(bytes: u64) -> String {
    // Tenths of a gibibyte, or whole mebibytes, are precise enough.
    if bytes >= GIBIBYTE {
        format!("{}.{} GiB", bytes / GIBIBYTE, bytes % GIBIBYTE * 10 / GIBIBYTE)
    } else {
        format!("{} MiB", bytes / MEBIBYTE)
    }
}

/// `; ends: --a; begins: --b`.
fn flags_that_change(ends: &BTreeSet<String>, begins: &BTreeSet<String>) -> String {
    let changes = [("ends", ends), ("begins", begins)].into_iter().filter(|(_, flags)| !flags.is_empty());
    changes.map(|(what, flags)| format!("; {what}: {}", row(flags))).collect::<Vec<_>>().concat()
}

/// Why a container keeps its old certificate.
fn old_certificate_kept(obstacle: &RestartObstacle) -> String {
    let why = match obstacle {
        RestartObstacle::MadeByOther => {
            return "not created by windlass: it is not replaced, and keeps its old certificate".to_owned();
        }
        RestartObstacle::FileMissing { path } => format!("{path} is missing"),
        RestartObstacle::CgroupDriver => {
            "it and the container runtime have different cgroup drivers".to_owned()
        }
        RestartObstacle::KernelSetting { name } => format!("the kernel setting {name} is not as it requires"),
    };
    format!("not replaced, and keeps its old certificate: it would not start again, as {why}")
}

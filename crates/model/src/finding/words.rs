//! Findings in words: the one place that turns a cause into text.

use std::fmt::Display;

use super::{
    Cause, ClockOf, Finding, KeptByKubernetes, MachineFault, Note, Refusal, Waiting, WaitsFor, Weight,
};
use crate::foundation::Fact;
use crate::names::{ContainerName, NodeName};
use crate::words::row_of;

const KIBIBYTE: u64 = 1 << 10;
const MEBIBYTE: u64 = KIBIBYTE << 10;
const GIBIBYTE: u64 = MEBIBYTE << 10;

/// What is the matter.
pub(super) fn what(cause: &Cause) -> String {
    match cause {
        Cause::Refusal(refusal) => refused(refusal),
        Cause::Waiting(waiting) => not_planned(waiting),
        Cause::Machine(fault) => machine(fault),
        Cause::Note(note) => noticed(note),
    }
}

fn refused(cause: &Refusal) -> String {
    match cause {
        Refusal::UnreadableContainers { containers } => {
            format!("this version of windlass cannot read the labels of {}", named(&on_nodes(containers)))
        }
        Refusal::OtherLineage { nodes, lineage, own } => {
            let own = own.as_ref().map_or_else(
                || "this cluster has none".to_owned(),
                |own| format!("this cluster's is {own}"),
            );
            format!("{} belong to another cluster: the lineage of their ledger is {lineage}, {own}", named(nodes))
        }
        Refusal::EncryptionKeysDropped { keys } => format!(
            "Secrets in etcd are encrypted with {}, and cluster.yml no longer asks for encryption",
            row(keys.iter().map(|key| format!("`{key}`")))
        ),
        Refusal::CustomEncryptionDropped => {
            "Secrets in etcd are encrypted with the keys of `custom_config`, and cluster.yml no longer has them".to_owned()
        }
        Refusal::LedgerLost { nodes } if nodes.is_empty() => {
            "a cluster exists here, and its ledger with the keys was not found".to_owned()
        }
        Refusal::LedgerLost { nodes } => {
            format!("a cluster exists here ({}), and its ledger with the keys was not found", named(nodes))
        }
        Refusal::OtherToolsCluster { containers } => format!(
            "a cluster of another tool seems to exist here: {}",
            named(&on_nodes(containers))
        ),
        Refusal::TooFewReachable { role, reachable, total } => {
            format!("only {reachable} of {total} {role} nodes are reachable, and no ledger was found")
        }
        Refusal::FoundationChanged { fact, from, to, .. } => {
            format!("{} cannot change from {from} to {to} while the cluster exists", fact_words(*fact))
        }
        Refusal::NodeRenamed { former } => format!("this machine is {former} in the cluster"),
        Refusal::MemberMoved { from, to } => {
            format!("it is a member of etcd with the address {from}, which cannot change to {to}")
        }
        Refusal::VersionBack { from, to } => format!("Kubernetes {from} cannot be downgraded to {to}"),
        Refusal::VersionSkipped { from, to } => format!("Kubernetes cannot be upgraded from {from} to {to} at once"),
        Refusal::EtcdDataLost { nodes } => format!("every member of etcd has lost its data ({})", named(nodes)),
        Refusal::OtherExternalEtcd { servers } => {
            format!("API servers use etcd at {servers}, and cluster.yml names none of these addresses")
        }
        Refusal::FirstStartWithoutMajority { usable, total } => {
            format!("etcd cannot start for the first time: {usable} of its {total} nodes can be used, which is no majority")
        }
    }
}

fn not_planned(cause: &Waiting) -> String {
    match cause {
        Waiting::NodeUnreachable { roles, error } => {
            let roles: Vec<&str> = roles.iter().map(|role| role.as_str()).collect();
            format!("({}) unreachable: {error}", roles.join(", "))
        }
        Waiting::NodeUnreachableForRemoval { error } => format!("unreachable: {error}"),
        Waiting::OtherClustersNode => "belongs to another cluster".to_owned(),
        Waiting::FormerNodeKept { .. } => "the node has left cluster.yml and is not cleared yet".to_owned(),
        Waiting::NodeUnchanged { .. } => "the containers of this node are not replaced yet".to_owned(),
        Waiting::NotStarted { .. } => "missing, and not started yet".to_owned(),
        Waiting::CannotWork { .. } => "runs and cannot work yet".to_owned(),
        Waiting::ControlPlaneUnchanged { .. } => {
            "the control plane of this node is not changed yet".to_owned()
        }
        Waiting::ControlPlaneKept { .. } => "the control plane is not removed from this node yet".to_owned(),
        Waiting::ProxyListKept => "nginx-proxy keeps its list of API servers".to_owned(),
        Waiting::KeysWithoutCopy => {
            "the cluster is not started: its keys would be on this machine only".to_owned()
        }
        Waiting::FirstStartUnreachable => "etcd is not started for the first time".to_owned(),
        Waiting::FirstStartInterrupted { members } => {
            format!("an interrupted run has begun to start etcd with the members {members}")
        }
        Waiting::NoDataToRevive => "this node holds no data of etcd".to_owned(),
        Waiting::MemberUnchanged => "etcd runs and is not changed yet".to_owned(),
        Waiting::UnexplainedCrashes => {
            "etcd crashes again and again, and no other member shows that its arguments work".to_owned()
        }
        Waiting::MembersUnchanged => {
            "healthy members are not changed, and no member joins or leaves".to_owned()
        }
        Waiting::MemberNeeded => {
            "the member is not removed from etcd: the others would have no majority".to_owned()
        }
        Waiting::MembersInUse => "the members that are to leave etcd stay in it".to_owned(),
        Waiting::EtcdKept => "etcd is not removed from this node yet".to_owned(),
    }
}

fn noticed(cause: &Note) -> String {
    match cause {
        Note::FormerNodeUnreachable => "has left cluster.yml, is unreachable and not cleared".to_owned(),
        Note::ForeignContainer => {
            "a container of this name was made by somebody else, on a node where windlass never had one: it is left alone"
                .to_owned()
        }
        Note::FormerDataKept { path } => format!("the data of the former member is kept in {path}"),
        Note::ExternalEtcdSuspected { .. } => {
            "API servers run and none answers: the external etcd may be the cause".to_owned()
        }
        Note::ExternalEtcdDataKept { prefix, .. } => {
            format!("everything that the cluster stored stays in the external etcd, under {prefix}")
        }
        Note::SnapshotsKept { path } => format!("the snapshots of etcd in {path} are kept"),
        Note::CaExpires { on } => format!("the CA expires {on}, and with it every certificate that it signed"),
        Note::LedgerInKubernetesKept { kept } => {
            let which = match kept {
                KeptByKubernetes::OtherCluster => "the ledger of another cluster".to_owned(),
                KeptByKubernetes::Newer(serial) => format!("a newer ledger, with serial {serial}"),
            };
            format!("the Secret kube-system/windlass-ledger holds {which}")
        }
    }
}

/// What it waits for, or what to do.
pub(super) fn help(finding: &Finding) -> String {
    match &finding.cause {
        Cause::Machine(fault) => {
            let help = machine_help(fault);
            if finding.weight == Weight::Held {
                format!("{help}; nothing is planned on this node until then")
            } else {
                help
            }
        }
        Cause::Refusal(refusal) => refused_help(refusal),
        Cause::Waiting(waiting) => waiting_help(waiting, finding.weight),
        Cause::Note(note) => note_help(note),
    }
}

fn refused_help(cause: &Refusal) -> String {
    match cause {
        Refusal::UnreadableContainers { .. } => {
            "a newer windlass made these containers: use that version or a later one".to_owned()
        }
        Refusal::OtherLineage { .. } => {
            "remove these nodes from cluster.yml, or run `windlass remove` on them with their own cluster.yml first"
                .to_owned()
        }
        Refusal::EncryptionKeysDropped { .. } => {
            "they would become unreadable: keep `secrets_encryption_config: {enabled: true}` without `custom_config`; \
             turning encryption off is not supported yet"
                .to_owned()
        }
        Refusal::CustomEncryptionDropped => {
            "they would become unreadable: keep `custom_config`, put `identity: {}` first in its providers and rewrite \
             all Secrets (`kubectl get secrets -A -o json | kubectl replace -f -`) to store them in plain text; change \
             keys the same way, the new key first and the old one behind it"
                .to_owned()
        }
        Refusal::LedgerLost { .. } => {
            "bring back the ledger file, or the control-plane node that holds a copy; or restore a snapshot; or run \
             `windlass remove` and start again"
                .to_owned()
        }
        Refusal::OtherToolsCluster { .. } => {
            "windlass does not replace what it did not make, and does not have its keys; if nobody needs these \
             containers, remove them"
                .to_owned()
        }
        Refusal::TooFewReachable { .. } => {
            "a cluster may exist on the others: make them reachable, or remove them from cluster.yml".to_owned()
        }
        Refusal::FoundationChanged { moves_etcd: true, .. } => {
            "keep `services.etcd` and the role etcd as they were: everything that the cluster stored is there. To move \
             it, build a second cluster and move the workloads"
                .to_owned()
        }
        Refusal::FoundationChanged { from, .. } => {
            format!("set it back to {from}; for another value, build a second cluster and move the workloads")
        }
        Refusal::NodeRenamed { former } => format!(
            "set `hostname_override: {former}`; for another name, remove the node from cluster.yml, run `windlass up`, \
             then add it"
        ),
        Refusal::MemberMoved { from, .. } => format!(
            "set {from} as before; for another machine, remove the node from cluster.yml, run `windlass up`, then add it"
        ),
        Refusal::VersionBack { from, .. } => {
            format!("set `kubernetes_version: {from}`; to go back, restore a snapshot of that time")
        }
        Refusal::VersionSkipped { from, .. } => {
            format!("upgrade one minor version at a time: to v{}.{} first", from.major, from.minor + 1)
        }
        Refusal::EtcdDataLost { .. } => {
            "restore a snapshot; or, if nothing of the cluster is to be kept, run `windlass remove`, then `windlass up`"
                .to_owned()
        }
        Refusal::OtherExternalEtcd { .. } => {
            "if it is the same etcd at other addresses, name one of the old ones beside the new ones, run `windlass \
             up`, then remove the old one; another etcd knows nothing of this cluster: build a second one on it"
                .to_owned()
        }
        Refusal::FirstStartWithoutMajority { .. } => {
            "fix what is held on the other nodes, or remove these nodes from cluster.yml".to_owned()
        }
    }
}

fn waiting_help(cause: &Waiting, weight: Weight) -> String {
    match cause {
        Waiting::FormerNodeKept { waits_for }
        | Waiting::NodeUnchanged { waits_for }
        | Waiting::NotStarted { waits_for }
        | Waiting::CannotWork { waits_for }
        | Waiting::ControlPlaneUnchanged { waits_for }
        | Waiting::ControlPlaneKept { waits_for } => waits(waits_for, weight),
        Waiting::NodeUnreachable { .. } => {
            "nothing is planned there until it answers; if it is gone for good, remove it from cluster.yml".to_owned()
        }
        Waiting::NodeUnreachableForRemoval { .. } => {
            "it is not cleared; the ledger is kept, and the next `windlass remove` that reaches it goes on".to_owned()
        }
        Waiting::OtherClustersNode => "remove it with that cluster's own cluster.yml".to_owned(),
        Waiting::ProxyListKept => "one API server of the new list must work first".to_owned(),
        Waiting::KeysWithoutCopy => "a control-plane node must be reachable and take a copy of the ledger".to_owned(),
        Waiting::FirstStartUnreachable => {
            "a majority of its nodes must be reachable; if the others are gone, remove them from cluster.yml".to_owned()
        }
        Waiting::FirstStartInterrupted { .. } => {
            "put these nodes back into cluster.yml until etcd has come up once, then change them; or run `windlass \
             remove` and start again"
                .to_owned()
        }
        Waiting::NoDataToRevive => {
            "etcd must have a majority again before it takes members; if it cannot, restore a snapshot".to_owned()
        }
        Waiting::MemberUnchanged => "the members that are down come up first".to_owned(),
        Waiting::UnexplainedCrashes => {
            "see `docker logs etcd` there; if the last change of cluster.yml caused it, take it back".to_owned()
        }
        Waiting::MembersUnchanged => {
            "all etcd nodes of cluster.yml must be reachable, and no member in an unexplained crash loop".to_owned()
        }
        Waiting::MemberNeeded => "repair another member first, or restore a snapshot".to_owned(),
        Waiting::MembersInUse => {
            "API servers may still use them: every control-plane node must be reachable and know the members that stay"
                .to_owned()
        }
        Waiting::EtcdKept => "its member must leave etcd first".to_owned(),
    }
}

fn note_help(cause: &Note) -> String {
    match cause {
        Note::FormerNodeUnreachable => "the next `up` that reaches it clears it".to_owned(),
        Note::ForeignContainer => "remove it by hand if nobody needs it, or rename it".to_owned(),
        Note::FormerDataKept { .. } => "delete it when nobody needs it any more".to_owned(),
        Note::ExternalEtcdSuspected { urls } => {
            format!("windlass does not ask an external etcd: run `etcdctl endpoint health` for {}", urls.join(", "))
        }
        Note::ExternalEtcdDataKept { urls, prefix } => {
            format!("`etcdctl --endpoints={} del --prefix {prefix}/` deletes it too", urls.join(","))
        }
        Note::SnapshotsKept { .. } => {
            "they are all that is left of the cluster's data; `--delete-snapshots` deletes them too".to_owned()
        }
        Note::CaExpires { .. } => "`up` does not renew CAs: plan their rotation".to_owned(),
        Note::LedgerInKubernetesKept { kept: KeptByKubernetes::OtherCluster } => {
            "if this cluster was restored from a snapshot of that one, delete the Secret: the next `up` writes it".to_owned()
        }
        Note::LedgerInKubernetesKept { kept: KeptByKubernetes::Newer(_) } => {
            "bring it back as docs/reference/files-and-containers.md describes, or delete the Secret: the next `up` \
             writes it"
                .to_owned()
        }
    }
}

/// What something waits for; where it follows by itself, without the advice to a person.
fn waits(waits_for: &WaitsFor, weight: Weight) -> String {
    let held = weight != Weight::Next;
    match waits_for {
        WaitsFor::EtcdMajority => "etcd must have a majority first".to_owned(),
        WaitsFor::EtcdMajorityWithThisData => {
            "etcd has no majority, and the data of this node may be needed for one".to_owned()
        }
        WaitsFor::MemberLeft => "its member must leave etcd first".to_owned(),
        WaitsFor::DesiredMember => {
            "a member of etcd on a node of cluster.yml must work first: the API server would know no other".to_owned()
        }
        WaitsFor::ApiServer => "an API server must answer first".to_owned(),
        WaitsFor::OwnApiServer => "the API server of this node must work first".to_owned(),
        WaitsFor::OwnApiServerUpgraded => "the API server of this node must have the new version first".to_owned(),
        WaitsFor::ApiServersUpgraded => {
            "every API server must have the new version first: a kubelet is never newer than an API server".to_owned()
        }
        WaitsFor::ApiServersAsDesired => "the other API servers must be as desired first".to_owned(),
        WaitsFor::ApiServersOfUnknownVersion => {
            "an API server on a node that is held or unreachable may have another version: repair that node, or remove \
             it from cluster.yml"
                .to_owned()
        }
        WaitsFor::ApiServerBehindProxy => {
            "this node's nginx-proxy may be its only way to an unreachable API server and would be removed: make one \
             API server reachable, or remove the unreachable node from cluster.yml"
                .to_owned()
        }
        WaitsFor::ControlPlanesReachable if held => {
            "every control-plane node must be reachable; if one is gone, remove it from cluster.yml".to_owned()
        }
        WaitsFor::ControlPlanesReachable => "every control-plane node must be reachable first".to_owned(),
        WaitsFor::NodesReachable => {
            "every node of its kind must be reachable; if one is gone, remove it from cluster.yml".to_owned()
        }
        WaitsFor::WorkerReachable(node) => format!(
            "{node} is ready and unreachable, and its nginx-proxy may know no other API server: make it reachable, or \
             remove it from cluster.yml"
        ),
        WaitsFor::AvailableWorkers { unavailable, limit } => format!(
            "{unavailable} other {} unavailable, and the limit is {limit}: bring them back, or remove them from \
             cluster.yml",
            if *unavailable == 1 { "worker is" } else { "workers are" }
        ),
    }
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

fn machine(fault: &MachineFault) -> String {
    match fault {
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
        MachineFault::NoCgroups => {
            "it shows no control groups under /sys/fs/cgroup, without which kubelet does not start".to_owned()
        }
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

fn machine_help(fault: &MachineFault) -> String {
    match fault {
        MachineFault::Architecture { .. } => "use a machine of that architecture".to_owned(),
        MachineFault::PortsTaken { ports, .. } => {
            let first = ports.first().copied().unwrap_or_default();
            format!("stop it: `ss -ltnp sport = :{first}`, as root, shows what it is")
        }
        MachineFault::AddressMissing { .. } => {
            "set one of its own as `internal_address` in cluster.yml".to_owned()
        }
        MachineFault::AddressTranslated { .. } => {
            "fine where a router or cloud translates addresses, if the other nodes reach it there; otherwise set its \
             own as `internal_address`"
                .to_owned()
        }
        MachineFault::SwapOn => {
            "switch it off (`swapoff -a`, and its lines in /etc/fstab), or set `services.kubelet.fail_swap_on: false`"
                .to_owned()
        }
        MachineFault::NoRoomForImages { .. } => "make room: `docker system df` shows what takes it".to_owned(),
        MachineFault::NoRoomForEtcd { .. } => "make room there, or give it a disk of its own".to_owned(),
        MachineFault::LittleRoomForEtcd { .. } => {
            "make room there, or give it a disk of its own: etcd stops when its disk is full".to_owned()
        }
        MachineFault::DockerTooOld { .. } => "install Docker 20.10 or later".to_owned(),
        MachineFault::DockerUntried { newest: (major, minor), .. } => {
            format!("it may well work; {major}.{minor} is the newest that is known to")
        }
        MachineFault::SettingsUnknown { modules, .. } if modules.is_empty() => {
            "use a kernel that has it, as every distribution's own does".to_owned()
        }
        MachineFault::SettingsUnknown { modules, .. } => {
            format!("install the kernel module {}, as every distribution's own kernel has it", row(modules))
        }
        MachineFault::CgroupV2 { .. } => {
            "boot it with `systemd.unified_cgroup_hierarchy=0`, or use a later Kubernetes".to_owned()
        }
        MachineFault::NoCgroups => "mount them; every usual system does so at boot".to_owned(),
        MachineFault::LittleMemory { .. } => "give it more memory, or run less on it".to_owned(),
        MachineFault::ClockOff { .. } => {
            "set it and keep it synchronised: `timedatectl set-ntp true`, chrony or ntpd".to_owned()
        }
        MachineFault::SameMachine { .. } => "list a machine once in cluster.yml, with all its roles".to_owned(),
        MachineFault::SameHostname { .. } => {
            "give each machine a name of its own: `hostnamectl set-hostname NAME`; Kubernetes uses the names of \
             cluster.yml all the same"
                .to_owned()
        }
        MachineFault::SameMachineId { .. } => {
            "machines copied from one image need ids of their own, since systemd derives addresses of interfaces from \
             them: `rm /etc/machine-id && systemd-machine-id-setup`, then reboot"
                .to_owned()
        }
        MachineFault::NotReachedBy { ports, .. } | MachineFault::DoesNotReach { ports, .. } => {
            format!("open TCP {} between the nodes, or set the right `internal_address`", row(ports))
        }
    }
}

fn on_nodes(containers: &[(NodeName, ContainerName)]) -> Vec<String> {
    containers.iter().map(|(node, container)| format!("{container} on {node}")).collect()
}

/// The first of many names: `a, b, c, d and 3 more`.
fn named<T: Display>(names: &[T]) -> String {
    row_of(names, 4)
}

/// Bytes as a person reads them.
fn size(bytes: u64) -> String {
    // Tenths of a gibibyte, or whole mebibytes: nobody asks for more.
    if bytes >= GIBIBYTE {
        format!("{}.{} GiB", bytes / GIBIBYTE, bytes % GIBIBYTE * 10 / GIBIBYTE)
    } else {
        format!("{} MiB", bytes / MEBIBYTE)
    }
}

/// Names in a row: `a`, `a and b`, `a, b and c`.
fn row<T: Display>(names: impl IntoIterator<Item = T>) -> String {
    let names: Vec<String> = names.into_iter().map(|name| name.to_string()).collect();
    match names.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        Some((last, _)) => last.clone(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Subject;

    #[test]
    fn what_follows_by_itself_gives_no_advice() {
        let cause =
            Cause::from(Waiting::ControlPlaneUnchanged { waits_for: WaitsFor::ControlPlanesReachable });
        let finding = |weight| Finding {
            weight,
            about: Subject::ControlPlane(NodeName::from("node-1")),
            cause: cause.clone(),
            origin: None,
        };
        assert_eq!(finding(Weight::Next).help(), "every control-plane node must be reachable first");
        assert!(finding(Weight::Held).help().contains("cluster.yml"));
    }

    #[test]
    fn names_stand_in_a_row() {
        assert_eq!(row(["a", "b", "c"]), "a, b and c");
    }
}

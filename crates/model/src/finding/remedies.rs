//! What to do about a finding, or what it waits for, in words.

use super::etcd_data;
use super::gone::{FORMER_READY_HELP, RETURNED_READY_HELP};
use super::kubelet;
use super::{
    Cause, ChainWaits, Finding, KeptByKubernetes, MachineFault, Note, Refusal, RestartObstacle, Waiting,
    WaitsFor, Weight,
};
use crate::etcd_version::EtcdVersion;
use crate::host_report::ContainerdCri;
use crate::inventory::{Alarm, Unasked};
use crate::names::{ImageRef, NodeName};
use crate::pod_runtime::CONTAINERD_CONFIG;
use crate::rolling::RollingFault;
use crate::words::{counted, named, row};

/// Where a ledger may be found.
const LEDGER_BACK: &str = "bring back the ledger file, or the control-plane node that holds a copy; or run `windlass remove` and \
     start again";

/// How to restore a snapshot; what follows it says which.
const RESTORE: &str = "restore a snapshot (`windlass etcd snapshot restore NAME`)";

// How to change keys that encrypt Secrets without losing any.
const OWN_KEY_STAYS: &str = "they would become unreadable: write `enabled: false` and run `windlass up`, which rewrites them in plain text; \
     then `custom_config` may be added";
const PLAIN_TEXT_FIRST: &str = "they would become unreadable: keep `custom_config` and put `identity: {}` first in its providers; run `windlass \
     up`, which rewrites all Secrets in plain text; then remove the section";
const BEHIND_THEN_BEFORE: &str = "they would become unreadable: put the old key back. To change keys, put the new one first and the old one behind \
     it and run `windlass up`, which rewrites all Secrets with the new one; then remove the old one";
const IDENTITY_LAST: &str = "they would become unreadable: put `- identity: {}` last in the providers; it can go when everything was rewritten, \
     which `windlass up` does for Secrets";
const BEHIND_FIRST: &str = "what the first new API server writes, these could not read: put it behind the others first and run `windlass up`, \
     with every control-plane node reachable; then move it to the front";
const STILL_NEEDED: &str = "put them back behind the others and run `windlass up` with every control-plane node reachable: it rewrites all \
     Secrets; then remove them";

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
        Refusal::Restore { refused } => refused.help(),
        Refusal::UnreadableContainers { .. } => {
            "a newer windlass made these containers: use that version or a later one".to_owned()
        }
        Refusal::OtherLineage { .. } => {
            "remove these nodes from cluster.yml, or run `windlass remove` on them with their own cluster.yml first"
                .to_owned()
        }
        Refusal::EncryptionKeysDropped { .. } => OWN_KEY_STAYS.to_owned(),
        Refusal::CustomEncryptionDropped => PLAIN_TEXT_FIRST.to_owned(),
        Refusal::EncryptionKeyLost { .. } => BEHIND_THEN_BEFORE.to_owned(),
        Refusal::EncryptionKeyStillNeeded { .. } => STILL_NEEDED.to_owned(),
        Refusal::PlainTextUnread { .. } => IDENTITY_LAST.to_owned(),
        Refusal::EncryptionKeyTooNew { .. } => BEHIND_FIRST.to_owned(),
        Refusal::LedgerLost { .. } => LEDGER_BACK.to_owned(),
        Refusal::DataOfSomebody { .. } => {
            "bring back the ledger file, or the control-plane node that holds a copy; if nobody needs the data, move the \
             directory away by hand"
                .to_owned()
        }
        Refusal::OtherToolsCluster { made_by, .. } => made_by.cluster_help(),
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
        Refusal::PrefixChanged { from, .. } => {
            let again = if from.is_empty() { "remove `prefix_path`".to_owned() } else { format!("set `prefix_path: {from}`") };
            format!("{again} again, as etcd's data is there; for another, build a second cluster and move the workloads")
        }
        Refusal::NodeRenamed { former } => format!(
            "set `hostname_override: {former}`; for another name, remove the node from cluster.yml, run `windlass up`, \
             then add it"
        ),
        Refusal::MemberMoved { from, .. } => format!(
            "set {from} as before; for another machine, remove the node from cluster.yml, run `windlass up`, then add it"
        ),
        Refusal::VersionBack { from, .. } => {
            format!(
                "set `kubernetes_version: {from}`; Kubernetes goes back only together with its data: to undo an upgrade, \
                 {RESTORE} from before it (`before-…` in `windlass etcd snapshot list`)"
            )
        }
        Refusal::VersionNotNamed { runs, .. } => {
            format!("set `kubernetes_version: {runs}`: a cluster that runs never moves to another version by itself")
        }
        Refusal::VersionSkipped { from, .. } => {
            format!("upgrade one minor version at a time: to v{}.{} first", from.major, from.minor + 1)
        }
        Refusal::LinkImpossible { .. } => "upgrade to a version before it first, or change what is named; \
             `windlass.links` names other versions and images to go through"
            .to_owned(),
        Refusal::EtcdBack { from, .. } => format!(
            "set `system_images.etcd: {from}`, or an image of that minor version; to go back, {RESTORE} of that time"
        ),
        Refusal::EtcdSkipped { from, .. } => {
            format!("set `system_images.etcd` to an image of {} and run `windlass up` first", after(from))
        }
        Refusal::MemberElsewhere { .. } => etcd_data::MOVE_IT.to_owned(),
        Refusal::FirstStartUnseen { nodes } => first_start_unseen_help(nodes),
        Refusal::EtcdDataLost { waits_for, .. } => etcd_data::lost_help(waits_for, RESTORE),
        Refusal::OtherExternalEtcd { .. } => {
            "if it is the same etcd at other addresses, name one of the old ones beside the new ones, run `windlass \
             up`, then remove the old one; another etcd knows nothing of this cluster: build a second one on it"
                .to_owned()
        }
        Refusal::NotGone { because } => because.help().to_owned(),
        Refusal::FirstStartWithoutMajority { .. } => {
            "fix what is held on the other nodes, or remove these nodes from cluster.yml".to_owned()
        }
    }
}

fn first_start_unseen_help(nodes: &[NodeName]) -> String {
    let are = if nodes.len() == 1 { "is" } else { "are" };
    let mut gone = String::new();
    for node in nodes {
        gone.push_str(" --gone ");
        gone.push_str(node.as_str());
    }
    format!(
        "{} {are} unreachable, and this would be a second cluster beside theirs: make them reachable, or, where they are \
         gone for good, run `windlass up{gone}`",
        named(nodes)
    )
}

fn waiting_help(cause: &Waiting, weight: Weight) -> String {
    match cause {
        Waiting::AfterRestore => "this same run does that next".to_owned(),
        Waiting::KubeletMoves { .. } => kubelet::NODE_BY_NODE.to_owned(),
        Waiting::FormerNodeKept { waits_for }
        | Waiting::NodeUnchanged { waits_for }
        | Waiting::NotStarted { waits_for }
        | Waiting::CannotWork { waits_for }
        | Waiting::ControlPlaneUnchanged { waits_for }
        | Waiting::KeyLearned { waits_for, .. }
        | Waiting::KeyLeaves { waits_for, .. }
        | Waiting::SecretsNotRewritten { waits_for, .. }
        | Waiting::ControlPlaneKept { waits_for } => waits(waits_for, weight),
        Waiting::Link { waits: Some(waits), .. } => chain_waits(waits),
        Waiting::Link { waits: None, .. } if weight == Weight::Next => {
            "this same `up` goes on with it once all nodes and members of etcd are as they should be".to_owned()
        }
        Waiting::Link { waits: None, .. } => "what is held must be repaired first".to_owned(),
        Waiting::NodeUnreachable { .. } => {
            "nothing is planned there until it answers; if it is gone for good, remove it from cluster.yml".to_owned()
        }
        Waiting::NodeUnreachableForRemoval { .. } => {
            "it is not cleared; the ledger is kept, and the next `windlass remove` that reaches it goes on. Where the machine is \
             gone for good, `windlass remove --gone` with its name does not wait for it"
                .to_owned()
        }
        Waiting::FormerNodeReady => FORMER_READY_HELP.to_owned(),
        Waiting::ReturnedNodeReady => RETURNED_READY_HELP.to_owned(),
        Waiting::NotThisClusters { found } => found.help(),
        Waiting::ProxyListKept => "one API server of the new list must work first".to_owned(),
        Waiting::OldCertificateKept { obstacle } => old_certificate_help(obstacle).to_owned(),
        Waiting::NodeObjectsUnknown | Waiting::ObjectsUnknown => "an API server must answer first".to_owned(),
        Waiting::OtherNetworkKept => {
            "write `network.plugin: none` to keep it; to change over, remove it from the nodes first".to_owned()
        }
        Waiting::NetworkKept => {
            "pods would lose their network: write the plugin back, or delete its objects with kubectl when another network works"
                .to_owned()
        }
        Waiting::ObjectsOfOthers { .. } => {
            "name another provider (or `none`) to keep them; to hand them over, label them `windlass.io/addon`, or delete them"
                .to_owned()
        }
        Waiting::JobsChanged { .. } => "a Job runs once: give the changed one another name".to_owned(),
        Waiting::KeysWithoutCopy => "a control-plane node must be reachable and take a copy of the ledger".to_owned(),
        Waiting::FirstStartUnreachable => {
            "a majority of its nodes must be reachable; if the others are gone, remove them from cluster.yml".to_owned()
        }
        Waiting::FirstStartInterrupted { .. } => {
            "put these nodes back into cluster.yml until etcd has come up once, then change them; or run `windlass \
             remove` and start again"
                .to_owned()
        }
        Waiting::NoDataToRevive { holders } if holders.is_empty() => {
            format!("etcd must have a majority again before it takes members; if it cannot, {RESTORE}")
        }
        Waiting::NoDataToRevive { holders } => format!(
            "etcd must have a majority again before it takes members: its data is on {}, which must be reachable; if it \
             is gone for good, {RESTORE}",
            named(holders)
        ),
        Waiting::MemberUnchanged => "the members that are down come up first".to_owned(),
        Waiting::UnexplainedCrashes { .. } => CRASHES.to_owned(),
        Waiting::EtcdAlarm { alarm, .. } => alarm_help(*alarm).to_owned(),
        Waiting::HealthUnknown { why } => unasked_help(*why).to_owned(),
        Waiting::MemberDiskMissing { path } => etcd_data::mount_it(path),
        Waiting::MemberIncomplete { .. } => etcd_data::COMPLETE_IT.to_owned(),
        Waiting::MemberDataUnseen { .. } => etcd_data::SEE_ITS_LOG.to_owned(),
        Waiting::MembersUnchanged => {
            "all etcd nodes of cluster.yml must be reachable, and it must be known of each member whether it comes back".to_owned()
        }
        Waiting::MemberUnchangedForMajority => {
            "every other member must be healthy first: `windlass up` repairs or replaces those that are not".to_owned()
        }
        Waiting::MemberNeeded => format!("repair another member first, or {RESTORE}"),
        Waiting::MembersInUse => {
            "API servers may still use them: every control-plane node must be reachable and know the members that stay"
                .to_owned()
        }
        Waiting::EtcdKept => "its member must leave etcd first".to_owned(),
    }
}

/// What to do about a member that ends again and again.
const CRASHES: &str = "see `docker logs etcd` there and fix the cause; if the last change of cluster.yml is the cause, take \
                       it back; if the member is lost for good, `docker rm -f etcd` there and move its data away: a new one \
                       takes its place";

fn old_certificate_help(obstacle: &RestartObstacle) -> &'static str {
    match obstacle {
        RestartObstacle::MadeByOther => "`windlass up` replaces it",
        RestartObstacle::FileMissing { .. }
        | RestartObstacle::CgroupDriver
        | RestartObstacle::KernelSetting { .. } => {
            "run `windlass up`, which repairs that, then reissue the certificate again"
        }
    }
}

fn alarm_help(alarm: Alarm) -> &'static str {
    match alarm {
        Alarm::NoSpace => {
            "compact the history (`etcdctl compact REVISION`), then `etcdctl defrag` one member after another, then \
             `etcdctl alarm disarm`; if what is stored needs the room, raise `quota-backend-bytes` in \
             `services.etcd.extra_args` and run `windlass up` before the alarm is disarmed; a restart helps nothing"
        }
        Alarm::Corrupt => {
            "do not restart members: compare them (`etcdctl endpoint hashkv --cluster`), take a snapshot of one that is \
             right, let the wrong one join again without its data, then `etcdctl alarm disarm`; \
             https://etcd.io/docs/latest/op-guide/data_corruption/ has the steps"
        }
    }
}

fn unasked_help(why: Unasked) -> &'static str {
    match why {
        Unasked::NoWay => {
            "run windlass again; if it stays so, log in by `ssh` and see what sshd forwards there"
        }
        Unasked::NoAnswer => {
            "see its log (`docker logs`) and the load of the machine and its disk; `docker restart` it there if it \
             hangs; then run windlass again"
        }
        Unasked::Certificates => {
            "compare the clocks of this machine and of the node, and see in its log (`docker logs`) why it refuses \
             the connection; then run windlass again"
        }
    }
}

fn note_help(cause: &Note) -> String {
    match cause {
        Note::FormerNodeUnreachable => {
            "the next `up` that reaches it clears it; where the machine is gone for good, `windlass up --gone` with its name forgets it"
                .to_owned()
        }
        Note::ForeignContainer => "remove it by hand if nobody needs it, or rename it".to_owned(),
        Note::OperatorClockOff { .. } => {
            "set it (`timedatectl set-ntp true`): nodes accept the certificates all the same, but windlass expects their end \
             by this clock"
                .to_owned()
        }
        Note::ForeignData { .. } => "delete it by hand if nobody needs it".to_owned(),
        Note::FormerDataKept { .. } => "delete it when nobody needs it any more".to_owned(),
        Note::ExternalEtcdSuspected { urls } => {
            format!("windlass does not ask an external etcd: run `etcdctl endpoint health` for {}", urls.join(", "))
        }
        Note::ExternalEtcdDataKept { urls, prefix } => {
            format!("`etcdctl --endpoints={} del --prefix {prefix}/` deletes it too", urls.join(","))
        }
        Note::EncryptionKeyLeaves { resource, .. } => format!(
            "sure if everything was rewritten since it was no longer first (`kubectl get {resource} -A -o json | kubectl \
             replace -f -`); windlass rewrites Secrets, and nothing else"
        ),
        Note::NetworkMissing { .. } => {
            "write `network.plugin: flannel`, or apply another one with kubectl; nothing else waits for it".to_owned()
        }
        Note::SnapshotsKept { .. } => {
            "they are all that is left of the cluster's data; `--delete-snapshots` deletes them too".to_owned()
        }
        Note::SnapshotsStale { fault } => stale_snapshots_help(fault).to_owned(),
        Note::EtcdNearlyFull { .. } => {
            "`etcdctl defrag` one member after another, see what fills it (`etcdctl get /registry --prefix --keys-only`), \
             or raise `quota-backend-bytes` in `services.etcd.extra_args`"
                .to_owned()
        }
        Note::DefaultNotAdded { name } => {
            let section = if name == "metrics-server" { "monitoring" } else { "ingress" };
            format!("write `{section}.provider: {name}` to have it, or `none`")
        }
        Note::KubeletsUnverified => {
            "`services.kubelet.generate_serving_certificate: true` gives them certificates of the cluster's CA".to_owned()
        }
        Note::ObjectsKept { .. } => {
            "others may have put something into them, or made them: delete them with kubectl if nobody needs them".to_owned()
        }
        Note::CaExpires { .. } => "windlass cannot renew a CA yet: look for a release that does, long before this day".to_owned(),
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

fn chain_waits(waits: &ChainWaits) -> String {
    match waits {
        ChainWaits::Unreachable { node } => {
            format!(
                "{node} is unreachable: repair it, or remove it from cluster.yml; the next version comes after that"
            )
        }
        ChainWaits::Older { node, component, version } => {
            format!("{component} on {node} still has {version}: it is replaced first")
        }
        ChainWaits::NotReady { node } => format!("{node} is not ready: the next version comes when it is"),
        ChainWaits::MemberUnhealthy { node } => {
            format!("the member of etcd on {node} is unhealthy: the next version comes when it is healthy")
        }
        ChainWaits::KubernetesSilent => {
            "no API server answers: the next version comes when one does".to_owned()
        }
        ChainWaits::Cordoned { nodes } => {
            let are = if nodes.len() == 1 { "is" } else { "are" };
            let (names, first) = (named(nodes), nodes.first().map_or("NODE", |node| node.as_str()));
            format!(
                "{names} {are} cordoned, so the other workers are not replaced: run `kubectl uncordon {first}` if pods \
                 may run there"
            )
        }
    }
}

/// What something waits for; without the advice to a person where it follows by itself.
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
        WaitsFor::KeyReadEverywhere => {
            "every API server must read it first; then they write with it, and all Secrets are rewritten".to_owned()
        }
        WaitsFor::CipherEverywhere => "every API server must write so first".to_owned(),
        WaitsFor::SecretsRewritten => "all Secrets must be rewritten first".to_owned(),
        WaitsFor::NodesReachable => {
            "every node of its kind must be reachable; if one is gone, remove it from cluster.yml".to_owned()
        }
        WaitsFor::WorkerReachable(node) => format!(
            "{node} is ready and unreachable, and its nginx-proxy may know no other API server: make it reachable, or \
             remove it from cluster.yml"
        ),
        WaitsFor::AvailableWorkers { unavailable: _, cordoned, unreachable, broken, limit } => {
            too_few_workers([cordoned, unreachable, broken], *limit)
        }
    }
}

fn too_few_workers([cordoned, unreachable, broken]: [&[NodeName]; 3], limit: usize) -> String {
    let kinds = [(cordoned, "cordoned"), (unreachable, "unreachable"), (broken, "without a container")];
    let are = kinds.iter().filter(|(nodes, _)| !nodes.is_empty()).map(|(nodes, state)| {
        format!("{} {} {state}", named(nodes), if nodes.len() == 1 { "is" } else { "are" })
    });
    let mut remedies = Vec::new();
    match cordoned {
        [] => {}
        [node] => remedies.push(format!("open it again with `kubectl uncordon {node}`")),
        [first, ..] => remedies
            .push(format!("open them again, each with `kubectl uncordon`, as in `kubectl uncordon {first}`")),
    }
    match unreachable {
        [] => {}
        [node] => {
            remedies.push(format!("make {node} reachable, or remove it from cluster.yml if it is gone"));
        }
        _ => remedies.push("make them reachable, or remove from cluster.yml what is gone".to_owned()),
    }
    if !broken.is_empty() {
        remedies.push("run `windlass up`, which starts what is missing".to_owned());
    }
    format!(
        "{}, and at most {} may be unavailable: {}",
        row(are),
        counted(limit, "worker"),
        remedies.join("; ")
    )
}

/// The minor version of etcd after that of an image.
fn after(image: &ImageRef) -> String {
    let version = EtcdVersion::of_image(image.as_str()).map(EtcdVersion::minor);
    version.map_or_else(
        || "the next minor version".to_owned(),
        |(major, minor)| format!("v{major}.{}", minor + 1),
    )
}

fn machine_help(fault: &MachineFault) -> String {
    match fault {
        MachineFault::OfAnotherCluster { found } => found.help(),
        MachineFault::NamesTaken { .. } => {
            "nothing of it is touched: remove or rename it by hand, so that this cluster's own can be made".to_owned()
        }
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
        MachineFault::CgroupV1 { .. } => "boot it with cgroup v2 (`systemd.unified_cgroup_hierarchy=1`), or set \
             `services.kubelet.extra_args: {fail-cgroupv1: \"false\"}`, as long as Kubernetes allows it"
            .to_owned(),
        MachineFault::Containerd { serves: ContainerdCri::Off } => format!(
            "take `cri` out of `disabled_plugins` in {CONTAINERD_CONFIG} and restart containerd, one node at a time: Docker \
             uses it as well"
        ),
        MachineFault::Containerd { .. } => "install containerd, or let Docker use the host's own \
             (`systemctl status containerd`); otherwise set `windlass.pod_runtime: docker`"
            .to_owned(),
        MachineFault::CriDockerd => "install and start cri-dockerd there (https://github.com/Mirantis/cri-dockerd), or have the \
             host's containerd run pods: `windlass.pod_runtime: containerd`"
            .to_owned(),
        MachineFault::NoCgroups => "mount them; every usual system does so at boot".to_owned(),
        MachineFault::Selinux { .. } => {
            "set `\"selinux-enabled\": false` in /etc/docker/daemon.json, and restart Docker; windlass does not label files \
             for SELinux yet"
                .to_owned()
        }
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

fn stale_snapshots_help(fault: &RollingFault) -> &'static str {
    match fault {
        RollingFault::Overdue { .. } => {
            "`docker logs etcd-rolling-snapshots` on the node says what keeps it; `windlass etcd snapshot save` takes one now"
        }
        RollingFault::Failing { .. } => {
            "remove what keeps it: make room, or bring the member back; it tries again every five minutes at most"
        }
        RollingFault::NotCopied { .. } => {
            "look at the address, the keys and the CA in `services.etcd.backup_config.s3backupconfig`, and whether the node reaches it; it tries again every five minutes at most"
        }
        RollingFault::Damaged { .. } => {
            "look at the disk of the node; take one with `windlass etcd snapshot save`, and delete the damaged one"
        }
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
}

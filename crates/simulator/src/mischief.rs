//! What people do by hand to machines, containers and objects of Kubernetes.

use serde::{Deserialize, Serialize};
use windlass_model::{Alarm, ContainerName, FilePath, ImageRef, Lineage, Mode, NodeName, ObjectRef, Taint};

/// What people do by hand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "by_hand")]
pub enum Mischief {
    /// The machine boots, and the disk that is mounted at this directory is missing.
    BootsWithoutDisk {
        /// The machine.
        node: NodeName,
        /// The directory.
        path: FilePath,
    },
    /// The disk is mounted there again, over what is in the directory by now.
    DiskMounted {
        /// The machine.
        node: NodeName,
        /// The directory.
        path: FilePath,
    },
    /// The member of a machine raises an alarm.
    EtcdAlarm {
        /// The machine.
        node: NodeName,
        /// The alarm.
        alarm: Alarm,
    },
    /// `etcdctl alarm disarm`
    EtcdDisarmed {
        /// The machine.
        node: NodeName,
    },
    /// The databases of the members grow, or shrink, to a size.
    EtcdGrows {
        /// A machine with a member.
        node: NodeName,
        /// The size.
        bytes: u64,
    },
    /// A member lacks the last revisions on which its cluster has agreed, as it was disconnected then.
    MemberBehind {
        /// The machine.
        node: NodeName,
        /// How many.
        revisions: u64,
    },
    /// Something keeps every periodic snapshot from succeeding.
    SnapshotsFail {
        /// The machine.
        node: NodeName,
        /// The error.
        why: String,
    },
    /// Nothing keeps them from succeeding any more.
    SnapshotsSucceed {
        /// The machine.
        node: NodeName,
    },
    /// The newest periodic snapshot does not read back.
    SnapshotDamaged {
        /// The machine.
        node: NodeName,
    },
    /// A run of windlass on another machine begins to change the cluster of this node.
    OperatorElsewhere {
        /// The machine that keeps its lease.
        node: NodeName,
        /// Which command, process and machine.
        holder: String,
    },
    /// It ends.
    OperatorElsewhereEnds {
        /// The machine that kept its lease.
        node: NodeName,
    },
    /// `docker rm -f`
    ContainerRemoved {
        /// The machine.
        node: NodeName,
        /// The container.
        container: ContainerName,
    },
    /// `docker stop`
    ContainerStopped {
        /// The machine.
        node: NodeName,
        /// The container.
        container: ContainerName,
    },
    /// `docker pause`
    ContainerPaused {
        /// The machine.
        node: NodeName,
        /// The container.
        container: ContainerName,
    },
    /// Recreated with the same label and another argument.
    ContainerEdited {
        /// The machine.
        node: NodeName,
        /// The container.
        container: ContainerName,
        /// The argument, which replaces one of the same flag.
        argument: String,
    },
    /// Recreated by somebody without a label.
    ContainerRecreated {
        /// The machine.
        node: NodeName,
        /// The container.
        container: ContainerName,
    },
    /// A container that has nothing to do with windlass, whatever its name.
    ForeignContainer {
        /// The machine.
        node: NodeName,
        /// The container.
        container: ContainerName,
    },
    /// A container of another cluster.
    ClustersContainer {
        /// The machine.
        node: NodeName,
        /// The container.
        container: ContainerName,
        /// The lineage of that cluster of windlass; RKE 1 created it where there is none.
        #[serde(default)]
        lineage: Option<Lineage>,
    },
    /// Data of an etcd that windlass has nothing to do with.
    ForeignData {
        /// The machine.
        node: NodeName,
        /// The directory.
        path: FilePath,
    },
    /// A stopped copy of a container under another name, with windlass' label: a left-over of an interrupted
    /// run.
    ContainerLeftOver {
        /// The machine.
        node: NodeName,
        /// The container that is copied.
        container: ContainerName,
        /// The name of the copy.
        name: ContainerName,
    },
    /// `docker rmi`
    ImageRemoved {
        /// The machine.
        node: NodeName,
        /// The image.
        image: ImageRef,
    },
    /// `rm`
    FileDeleted {
        /// The machine.
        node: NodeName,
        /// The file.
        path: FilePath,
    },
    /// Other content, such as a certificate overwritten with nonsense.
    FileEdited {
        /// The machine.
        node: NodeName,
        /// The file.
        path: FilePath,
        /// Its new content.
        text: String,
    },
    /// `chmod`
    FileMode {
        /// The machine.
        node: NodeName,
        /// The file.
        path: FilePath,
        /// The bits.
        mode: Mode,
    },
    /// A whole directory is deleted.
    DirectoryDeleted {
        /// The machine.
        node: NodeName,
        /// The directory.
        path: FilePath,
    },
    /// A fact of the machine changes: `clock_ahead_seconds`, `swap`, `listening` … Ports that a container has
    /// stay its own.
    MachineChanged {
        /// The machine.
        node: NodeName,
        /// The fact.
        fact: String,
        /// The new value, in YAML; an invalid value changes nothing.
        value: String,
    },
    /// The data of a member is lost, and its process ends.
    EtcdDataLost {
        /// The machine.
        node: NodeName,
    },
    /// Something keeps etcd from running: it exits with this message each time that Docker starts it again.
    EtcdEnds {
        /// The machine.
        node: NodeName,
        /// The message.
        said: String,
    },
    /// Nothing keeps it from running any more, and somebody starts it again.
    EtcdEndsNoMore {
        /// The machine.
        node: NodeName,
    },
    /// `etcdctl member add --learner` with this peer address.
    MemberAdded {
        /// The machine whose member is asked.
        node: NodeName,
        /// The peer address of the new member.
        peer_url: String,
    },
    /// `kubectl cordon`
    Cordoned {
        /// The node.
        node: NodeName,
    },
    /// `kubectl uncordon`
    Uncordoned {
        /// The node.
        node: NodeName,
    },
    /// `kubectl label`
    Labelled {
        /// The node.
        node: NodeName,
        /// The label.
        key: String,
        /// Its value; the label is removed where absent.
        #[serde(default)]
        value: Option<String>,
    },
    /// `kubectl taint`
    Tainted {
        /// The node.
        node: NodeName,
        /// The taint.
        taint: Taint,
    },
    /// `kubectl delete node`
    NodeObjectDeleted {
        /// The node.
        node: NodeName,
    },
    /// `kubectl delete` of an object of an add-on.
    ObjectDeleted {
        /// The object.
        object: ObjectRef,
    },
    /// `kubectl edit` of one field.
    ObjectEdited {
        /// The object.
        object: ObjectRef,
        /// The field, as a JSON pointer.
        pointer: String,
        /// Its new value, in JSON; an invalid one changes nothing.
        value: String,
    },
    /// Another manager owns the fields of an object from now on.
    ObjectOwned {
        /// The object.
        object: ObjectRef,
        /// Their field manager.
        owner: String,
    },
    /// Somebody creates an object.
    ObjectMade {
        /// All of it, in JSON; an invalid text changes nothing.
        body: String,
        /// Their field manager.
        owner: String,
    },
    /// A webhook refuses an object with these words; none where it no longer does.
    ObjectRefused {
        /// The object.
        object: ObjectRef,
        /// Its words.
        #[serde(default)]
        why: Option<String>,
    },
    /// The pods of an object do not become ready, or do again.
    PodsBroken {
        /// The object.
        object: ObjectRef,
        /// The reason; they become ready where absent.
        #[serde(default)]
        why: Option<String>,
    },
    /// `kubectl get secrets -A -o json | kubectl replace -f -`
    SecretsRewritten,
}

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
    /// The disk is mounted there again, over what is there by now.
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
    /// Made anew with the same label and another argument.
    ContainerEdited {
        /// The machine.
        node: NodeName,
        /// The container.
        container: ContainerName,
        /// The argument, which takes the place of one of the same flag.
        argument: String,
    },
    /// Made anew by somebody who leaves no label.
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
        /// The lineage of that cluster of windlass; RKE 1 made it where there is none.
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
    /// A stopped copy of a container under another name, with windlass' label: what a cut-off run leaves.
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
        /// What is in it now.
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
    /// A fact of the machine changes: `clock_ahead_seconds`, `swap`, `listening` … Ports that a container has stay
    /// its own.
    MachineChanged {
        /// The machine.
        node: NodeName,
        /// Which.
        fact: String,
        /// The new value, in YAML; what is no value of it changes nothing.
        value: String,
    },
    /// The data of a member is lost, and its process ends.
    EtcdDataLost {
        /// The machine.
        node: NodeName,
    },
    /// Something keeps etcd from running: it ends, and says this each time that Docker starts it again.
    EtcdEnds {
        /// The machine.
        node: NodeName,
        /// What it says.
        said: String,
    },
    /// Nothing keeps it from running any more, and somebody starts it again.
    EtcdEndsNoMore {
        /// The machine.
        node: NodeName,
    },
    /// `etcdctl member add --learner` with this address of its peer.
    MemberAdded {
        /// The machine whose member is asked.
        node: NodeName,
        /// Where the new member will be.
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
        /// Its value; the label goes where absent.
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
        /// Its new value, in JSON; what is none changes nothing.
        value: String,
    },
    /// Somebody else answers for the fields of an object from now on.
    ObjectOwned {
        /// The object.
        object: ObjectRef,
        /// Their field manager.
        owner: String,
    },
    /// Somebody makes an object.
    ObjectMade {
        /// All of it, in JSON; what is none changes nothing.
        body: String,
        /// Their field manager.
        owner: String,
    },
    /// The pods of an object do not become ready, or do again.
    PodsBroken {
        /// The object.
        object: ObjectRef,
        /// Why not; they do where absent.
        #[serde(default)]
        why: Option<String>,
    },
    /// `kubectl get secrets -A -o json | kubectl replace -f -`
    SecretsRewritten,
}

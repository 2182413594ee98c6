//! The ports through which windlass acts on the world: each verb is one remote call, and there is no other
//! way.
//!
//! *Required of an implementation*: a verb that returns an error may or may not have taken effect, and so may
//! a verb whose future is dropped. Every verb is bounded in time. Repeating a verb whose effect exists
//! already succeeds, or fails with the error [`PortError::AlreadySo`].

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::Arc;

use windlass_model::{
    Alarm, BucketPlace, CertName, ChosenSnapshot, ContainerName, ContainerSeen, ContainerSpec, DesiredCert,
    DesiredKernel, DesiredObject, Digest, DrainOptions, EtcdPlaces, EtcdSeen, FilePath, Footprint,
    Footprints, ImageRef, InBucket, KeptRoots, KubeSeen, LastNode, Ledger, Lineage, Loaded, Meeting,
    MemberId, MemberReport, MemberRestore, Mode, NodeFacts, NodeName, NodeObject, ObjectChange, ObjectRef,
    ObjectsSeen, Owner, PodRuntime, Prefix, Rehearsal, Rehearsed, Role, Roles, Secret, SnapshotSeen,
    SnapshotWanted, StoredCert, Timestamp, ports_between,
};

/// Why a verb did not succeed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PortError {
    /// The node cannot be reached at all.
    #[error("{node} is unreachable: {cause}")]
    OutOfSight {
        /// The node.
        node: NodeName,
        /// The error of the attempt.
        cause: String,
    },
    /// An error that may be gone at the next attempt: a connection lost, a service starting.
    #[error("{what}")]
    Passing {
        /// What went wrong.
        what: String,
    },
    /// The effect existed already.
    #[error("already so: {what}")]
    AlreadySo {
        /// What exists.
        what: String,
    },
    /// Another attempt would not help.
    #[error("{what}")]
    Lasting {
        /// What went wrong.
        what: String,
    },
}

impl PortError {
    /// Whether the same verb may succeed a moment later.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Passing { .. } | Self::OutOfSight { .. })
    }
}

/// The result of a verb.
pub type PortResult<T> = Result<T, PortError>;

/// What a look at a node covers: nothing else on the machine is read.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct LookScope {
    /// Files whose digest, mode and owner are read.
    pub files: Arc<BTreeSet<FilePath>>,
    /// Directories of which is read whether they exist and are not empty.
    pub directories: Arc<BTreeSet<FilePath>>,
    /// Where etcd's data and the copy of the ledger are, by the operating systems of machines.
    pub footprints: Arc<Footprints>,
    /// The prefix that the ledger has for this node, where it has left cluster.yml.
    pub last_prefix: Option<Prefix>,
    /// Where the ledger has the member of etcd of this node, where that is another place than usual.
    pub last_etcd: Option<EtcdPlaces>,
    /// The directory with snapshots of etcd, whose newest periodic one is read; none where nobody asks.
    pub snapshots: Option<FilePath>,
    /// The nodes that others must reach: those of etcd and the control plane.
    pub peers: Arc<BTreeMap<NodeName, LastNode>>,
}

impl LookScope {
    /// The prefix of host directories on a machine with this operating system; none on an ordinary one.
    ///
    /// For a node that has left cluster.yml, the ledger's prefix is used first.
    pub fn prefix_on(&self, system: &str) -> Option<&Prefix> {
        let last = self.last_prefix.as_ref().filter(|last| self.footprints.knows(last));
        last.or_else(|| self.footprints.prefix_on(system))
    }

    /// Other places than those of the footprint where this node may have a member of etcd, with this container of etcd.
    pub fn etcd_elsewhere(&self, own: &Footprint, there: Option<&ContainerSpec>) -> BTreeSet<EtcdPlaces> {
        let of_container = there.and_then(EtcdPlaces::of);
        let own = own.etcd();
        self.last_etcd.clone().into_iter().chain(of_container).filter(|places| *places != own).collect()
    }

    /// Those of a cluster's nodes that others must reach.
    pub fn peers_of(nodes: &BTreeMap<NodeName, LastNode>) -> BTreeMap<NodeName, LastNode> {
        let is_peer =
            |node: &LastNode| [Role::Etcd, Role::ControlPlane].iter().any(|role| node.roles.contains(role));
        nodes
            .iter()
            .filter(|(_, node)| is_peer(node))
            .map(|(name, node)| (name.clone(), node.clone()))
            .collect()
    }

    /// Where this node must reach others.
    pub fn meetings_of(&self, node: &NodeName) -> BTreeSet<Meeting> {
        let worker = Roles::from([Role::Worker]);
        let roles = self.peers.get(node).map_or(&worker, |own| &own.roles);
        let others = self.peers.iter().filter(|(name, _)| *name != node);
        let at = |other: &LastNode, port| Meeting { address: other.target.internal_address.clone(), port };
        others
            .flat_map(|(_, other)| {
                ports_between(roles, &other.roles).into_iter().map(move |port| at(other, port))
            })
            .collect()
    }
}

/// What a look may leave behind on a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Traces {
    /// Nothing. A directory that cannot be read then counts as filled.
    None,
    /// The image of windlass' own program, where not everything could be read otherwise; and left-overs of
    /// interrupted runs are removed.
    OwnProgram,
}

/// A container to be created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewContainer {
    /// Its spec; written to its label.
    pub spec: Arc<ContainerSpec>,
    /// Arguments that are appended to the command and are not part of the spec.
    pub birth: Vec<Arc<str>>,
    /// The digests of the files that it reads at its start; written to its label.
    pub loaded: Loaded,
    /// The cluster that it is for; written to its label.
    pub lineage: Option<Lineage>,
    /// A file beside the data of etcd that is created with the container if it is missing. Docker starts the
    /// container, then and at each boot, only where that file exists; it is not on the label, and never
    /// counts as a difference.
    pub beside_data: Option<FilePath>,
    /// The same beside the log of etcd, where that is at a place of its own.
    pub beside_log: Option<FilePath>,
}

/// A file to be written, completely or not at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilePut {
    /// Its path.
    pub path: FilePath,
    /// Its content.
    pub content: Secret<Vec<u8>>,
    /// Permission bits.
    pub mode: Mode,
    /// Its owner.
    pub owner: Owner,
}

/// The machines.
pub trait Nodes {
    /// Sets where a node is; contacts no machine. Verbs on a node that was never enrolled fail permanently.
    fn enrol(&self, node: &NodeName, last: &LastNode);

    /// Sets the keys that give access to etcd and Kubernetes, as a ledger contains them; contacts no machine.
    /// It is called again whenever the ledger is read, recovered or committed; the last call counts. Before
    /// the first, verbs on etcd and Kubernetes fail permanently.
    fn entrust(&self, ledger: &Ledger);

    /// Everything that is to be known of a node, in as few round trips as possible. Changes nothing except
    /// what `traces` allows.
    fn look(
        &self,
        node: &NodeName,
        scope: &LookScope,
        traces: Traces,
    ) -> impl Future<Output = PortResult<NodeFacts>> + Send;

    /// One container, with its health checked now; none if there is no such container. Changes nothing.
    fn container(
        &self,
        node: &NodeName,
        name: &ContainerName,
    ) -> impl Future<Output = PortResult<Option<ContainerSeen>>> + Send;

    /// Makes Docker hold an image.
    fn pull(&self, node: &NodeName, image: &ImageRef) -> impl Future<Output = PortResult<()>> + Send;

    /// Creates a container without starting it. Fails if the name is in use, the image is not on the node, or
    /// the source of a bind mount inside the footprint's configuration is missing.
    fn create(
        &self,
        node: &NodeName,
        name: &ContainerName,
        new: &NewContainer,
    ) -> impl Future<Output = PortResult<()>> + Send;

    /// Gives a directory with all its contents to a user, and denies access to all others; creates it if it
    /// is missing. *Assumes* that nobody writes there meanwhile.
    fn hand_over(
        &self,
        node: &NodeName,
        directory: &FilePath,
        owner: Owner,
    ) -> impl Future<Output = PortResult<()>> + Send;

    /// Starts a container.
    fn start(&self, node: &NodeName, name: &ContainerName) -> impl Future<Output = PortResult<()>> + Send;

    /// Stops a container; it is not removed, and does not start again by itself.
    fn stop(&self, node: &NodeName, name: &ContainerName) -> impl Future<Output = PortResult<()>> + Send;

    /// Gives a container another name. Fails if the new name is in use.
    fn rename(
        &self,
        node: &NodeName,
        from: &ContainerName,
        to: &ContainerName,
    ) -> impl Future<Output = PortResult<()>> + Send;

    /// Removes a container that does not run, with its anonymous volumes.
    fn remove(&self, node: &NodeName, name: &ContainerName) -> impl Future<Output = PortResult<()>> + Send;

    /// Sends SIGHUP: the container reads its files again.
    fn reload(&self, node: &NodeName, name: &ContainerName) -> impl Future<Output = PortResult<()>> + Send;

    /// The last lines of a container's log, for a failure's report.
    fn log_tail(
        &self,
        node: &NodeName,
        name: &ContainerName,
        lines: usize,
    ) -> impl Future<Output = PortResult<Vec<String>>> + Send;

    /// Writes files in order, each by a temporary file, flush and rename, making directories as needed.
    fn put_files(&self, node: &NodeName, files: &[FilePut]) -> impl Future<Output = PortResult<()>> + Send;

    /// Loads modules into the node's kernel and changes its settings. What is as desired already is left
    /// alone.
    fn set_kernel(
        &self,
        node: &NodeName,
        kernel: &DesiredKernel,
    ) -> impl Future<Output = PortResult<()>> + Send;

    /// The content of a file; none if there is no such file. Changes nothing.
    fn read_file(
        &self,
        node: &NodeName,
        path: &FilePath,
    ) -> impl Future<Output = PortResult<Option<Secret<Vec<u8>>>>> + Send;

    /// Deletes files and directories with all their contents; a missing one is no error.
    fn remove_paths(
        &self,
        node: &NodeName,
        paths: &BTreeSet<FilePath>,
    ) -> impl Future<Output = PortResult<()>> + Send;

    /// Renames a directory. Succeeds if the source does not exist; fails if the target does.
    fn move_aside(
        &self,
        node: &NodeName,
        path: &FilePath,
        to: &FilePath,
    ) -> impl Future<Output = PortResult<()>> + Send;

    /// Removes the containers of all pods of which this kubelet has a directory, except those of the runtime
    /// that is kept; unmounts what kubelet mounted and clears the pod network where no runtime is kept.
    fn remove_pods(
        &self,
        node: &NodeName,
        kubelet: &FilePath,
        keep: Option<PodRuntime>,
    ) -> impl Future<Output = PortResult<()>> + Send;
}

/// etcd, asked through the members on the nodes of `via`, in that order until one answers.
pub trait Etcd {
    /// The members and their health; silent if none of `via` answers with a majority behind it.
    fn members(&self, via: &[NodeName]) -> impl Future<Output = PortResult<EtcdSeen>> + Send;

    /// Adds a learner. etcd refuses a second learner, and any while a voter is not connected.
    fn add_learner(&self, via: &[NodeName], peer_url: &str) -> impl Future<Output = PortResult<()>> + Send;

    /// Makes a learner a voter. Passing error while it has not caught up.
    fn promote(&self, via: &[NodeName], peer_url: &str) -> impl Future<Output = PortResult<()>> + Send;

    /// Removes a member. etcd refuses where the rest would have no majority.
    fn remove_member(&self, via: &[NodeName], id: MemberId) -> impl Future<Output = PortResult<()>> + Send;

    /// Moves leadership off the member with this peer address, if it leads and another healthy voter exists.
    fn move_leader(&self, via: &[NodeName], away_from: &str) -> impl Future<Output = PortResult<()>> + Send;
}

/// The care of etcd's members, each asked on its own node.
pub trait EtcdCare {
    /// What the member on this node reports about itself, with a majority behind it or without. Changes
    /// nothing.
    fn member_report(&self, node: &NodeName) -> impl Future<Output = PortResult<MemberReport>> + Send;

    /// Deletes from all databases the revisions before the present one, which it returns.
    fn compact(&self, via: &[NodeName]) -> impl Future<Output = PortResult<u64>> + Send;

    /// Rewrites the database of the member on this node without its free pages. The member answers nobody
    /// meanwhile.
    fn defragment(&self, node: &NodeName) -> impl Future<Output = PortResult<()>> + Send;

    /// Lifts an alarm that a member has raised. The member raises it again where its cause is still there.
    fn disarm(
        &self,
        via: &[NodeName],
        member: MemberId,
        alarm: Alarm,
    ) -> impl Future<Output = PortResult<()>> + Send;

    /// Makes the voter with this peer address the leader.
    fn give_leadership(
        &self,
        via: &[NodeName],
        peer_url: &str,
    ) -> impl Future<Output = PortResult<()>> + Send;
}

/// A pod on a node, with what a drain must know.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PodSeen {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// What recreates it.
    pub controller: PodController,
    /// Whether it has data in an `emptyDir`, which is lost with it.
    pub local_data: bool,
}

/// What recreates a pod after its eviction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PodController {
    /// A `ReplicaSet`, `StatefulSet`, `Job` or the like: on another node.
    Elsewhere,
    /// A `DaemonSet`: on the same node.
    DaemonSet,
    /// Nothing.
    Nobody,
}

/// The result of an eviction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Eviction {
    /// The pod is terminating, or gone.
    Granted,
    /// A pod disruption budget does not allow it now.
    Blocked,
}

/// The Kubernetes API, through any API server that answers.
pub trait Kube {
    /// All node objects; silent if no API server answers.
    fn nodes(&self) -> impl Future<Output = PortResult<KubeSeen>> + Send;

    /// One node object; none if there is no such object. A passing error if no API server answers.
    fn node(&self, node: &NodeName) -> impl Future<Output = PortResult<Option<NodeObject>>> + Send;

    /// Marks a node as unschedulable and as cordoned by windlass, in one patch.
    fn cordon(&self, node: &NodeName) -> impl Future<Output = PortResult<()>> + Send;

    /// Removes both marks, in one patch.
    fn uncordon(&self, node: &NodeName) -> impl Future<Output = PortResult<()>> + Send;

    /// The pods on a node.
    fn pods(&self, node: &NodeName) -> impl Future<Output = PortResult<Vec<PodSeen>>> + Send;

    /// Asks for a pod's eviction.
    fn evict(
        &self,
        pod: &PodSeen,
        options: &DrainOptions,
    ) -> impl Future<Output = PortResult<Eviction>> + Send;

    /// Sets labels, taints and the record of which are ours, in one patch.
    fn patch_node(
        &self,
        node: &NodeName,
        change: &ObjectChange,
    ) -> impl Future<Output = PortResult<()>> + Send;

    /// Deletes a node object; a missing one is no error.
    fn delete_node(&self, node: &NodeName) -> impl Future<Output = PortResult<()>> + Send;

    /// What is known of the roots of a ledger that the cluster keeps; none if it keeps none. No key is read.
    fn kept_roots(&self) -> impl Future<Output = PortResult<Option<KeptRoots>>> + Send;

    /// Makes the cluster keep the roots of a ledger instead of those that it keeps.
    fn keep_roots(
        &self,
        kept: &KeptRoots,
        content: &Secret<Vec<u8>>,
    ) -> impl Future<Output = PortResult<()>> + Send;

    /// Makes the cluster keep no roots any more; if it keeps none, that is no error.
    fn drop_roots(&self) -> impl Future<Output = PortResult<()>> + Send;

    /// Reads a page of all Secrets, after `rest` of an earlier one, and writes each as it is: it is stored with
    /// the first cipher of the API server then. One that somebody changes or deletes meanwhile is left alone.
    /// Returns the rest, if there is one.
    fn rewrite_secrets(&self, rest: Option<&str>) -> impl Future<Output = PortResult<Option<String>>> + Send;

    /// Which of these objects, and of those that windlass recorded, exist; unknown if no API server answers.
    fn objects(&self, wanted: &[ObjectRef]) -> impl Future<Output = PortResult<ObjectsSeen>> + Send;

    /// Adds objects to the record of those that windlass manages, and removes others from it, in one patch.
    fn note_objects(
        &self,
        ours: &[ObjectRef],
        gone: &[ObjectRef],
    ) -> impl Future<Output = PortResult<()>> + Send;

    /// Sets the fields of an object, and no others. A lasting error where another manager owns one of them,
    /// with its name; RKE's own jobs and kubectl do not count as managers.
    fn apply_object(&self, object: &DesiredObject) -> impl Future<Output = PortResult<()>> + Send;

    /// Deletes an object that has windlass' marks; one that is missing, or belongs to somebody else by now,
    /// is no error.
    fn delete_object(&self, object: &ObjectRef) -> impl Future<Output = PortResult<()>> + Send;

    /// Why the pods of an object are not ready, one line for each such pod: the node, the cause, and the last
    /// event.
    fn why_pods_wait(&self, object: &ObjectRef) -> impl Future<Output = PortResult<Vec<String>>> + Send;
}

/// Snapshots of etcd, in a directory of each node.
pub trait Snapshots {
    /// Those in a directory, as the metadata beside them says. Changes nothing.
    fn snapshots(
        &self,
        node: &NodeName,
        directory: &FilePath,
    ) -> impl Future<Output = PortResult<Vec<SnapshotSeen>>> + Send;

    /// Reads one from its first byte to its last, checks its tree of pages, and records the result beside it.
    /// A lasting error if there is no such file; that one is damaged is a result.
    fn verify_snapshot(
        &self,
        node: &NodeName,
        directory: &FilePath,
        name: &str,
    ) -> impl Future<Output = PortResult<SnapshotSeen>> + Send;

    /// Unpacks a snapshot of RKE 1 beside its file, under the name that [`windlass_model::unpacked_name`] gives, and reads it
    /// back; one that is there already is the result. A lasting error if the file is damaged, or there is no room.
    fn unpack_snapshot(
        &self,
        node: &NodeName,
        directory: &FilePath,
        name: &str,
    ) -> impl Future<Output = PortResult<SnapshotSeen>> + Send;

    /// Restores one into an etcd in a network of its own, asks it what it holds, and removes all of it again. A lasting error
    /// where there is no room, the image is not there, or etcd does not answer.
    fn rehearse_snapshot(
        &self,
        node: &NodeName,
        rehearsal: &Rehearsal,
    ) -> impl Future<Output = PortResult<Rehearsed>> + Send;

    /// Takes one from a node's own member, and reads it back. A lasting error where one of this name exists.
    fn save_snapshot(
        &self,
        node: &NodeName,
        wanted: &SnapshotWanted,
    ) -> impl Future<Output = PortResult<SnapshotSeen>> + Send;

    /// Deletes one, and the metadata beside it. A lasting error if there is no such file.
    fn delete_snapshot(
        &self,
        node: &NodeName,
        directory: &FilePath,
        name: &str,
    ) -> impl Future<Output = PortResult<()>> + Send;

    /// Lists the snapshots in a bucket, asked from a node. Changes nothing.
    fn bucket(
        &self,
        node: &NodeName,
        description: &Secret<String>,
    ) -> impl Future<Output = PortResult<Vec<InBucket>>> + Send;

    /// Copies one of a node into a bucket, and reads it back from there; one that is there already is left alone.
    fn copy_to_bucket(
        &self,
        node: &NodeName,
        description: &Secret<String>,
        directory: &FilePath,
        name: &str,
    ) -> impl Future<Output = PortResult<InBucket>> + Send;

    /// Fetches one of a bucket into a node's directory, and reads it back there. A lasting error where it is not what was
    /// taken, or where a file of its name exists: then nothing of it stays.
    fn fetch_from_bucket(
        &self,
        node: &NodeName,
        description: &Secret<String>,
        directory: &FilePath,
        snapshot: &InBucket,
    ) -> impl Future<Output = PortResult<SnapshotSeen>> + Send;

    /// Deletes one in a bucket, and its metadata.
    fn delete_from_bucket(
        &self,
        node: &NodeName,
        description: &Secret<String>,
        place: &BucketPlace,
        name: &str,
    ) -> impl Future<Output = PortResult<()>> + Send;

    /// Gives a node its own copy of a snapshot that it or another node holds, and reads the copy back. A
    /// lasting error where it differs in any byte from what was chosen: then there is no copy.
    fn stage_snapshot(
        &self,
        node: &NodeName,
        snapshot: &ChosenSnapshot,
    ) -> impl Future<Output = PortResult<()>> + Send;

    /// Creates the data of a member from a node's copy: all of it at once, with the mark that says from which
    /// restore it is, or nothing. Already so where the data has the mark; a lasting error where other data
    /// exists.
    fn restore_member(
        &self,
        node: &NodeName,
        restore: &MemberRestore,
    ) -> impl Future<Output = PortResult<()>> + Send;
}

/// Whose lease a node keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lease {
    /// This run's.
    Ours,
    /// That of another run, which may be on another machine.
    Anothers {
        /// Which command, process and machine, and since when.
        holder: String,
    },
}

/// The leases by which one run at a time changes a cluster.
pub trait Leases {
    /// Takes a node's only lease, unless another run has it. It ends with [`Leases::end_leases`], and by
    /// itself within a minute after this process has died or lost its connection.
    fn take_lease(&self, node: &NodeName, holder: &str) -> impl Future<Output = PortResult<Lease>> + Send;

    /// Gives back all leases of this run.
    fn end_leases(&self) -> impl Future<Output = ()> + Send;

    /// Returns when this run had leases and has lost the last one: somebody has ended them, or no node is
    /// reachable.
    fn leases_lost(&self) -> impl Future<Output = ()> + Send;
}

/// Everything that windlass may act on.
pub trait Fleet: Nodes + Etcd + EtcdCare + Kube + Snapshots + Leases + Sync {}

impl<T: Nodes + Etcd + EtcdCare + Kube + Snapshots + Leases + Sync> Fleet for T {}

/// Where the operator's own copy of the ledger is.
pub trait LedgerStore: Sync {
    /// The ledger; none if there is none. A ledger that cannot be read is a lasting error, never none.
    ///
    /// # Errors
    /// It exists and cannot be read or understood.
    fn read(&self) -> PortResult<Option<Ledger>>;

    /// Writes it: temporary file, flush, rename, mode 0600. When it returns, the ledger is stored durably.
    ///
    /// # Errors
    /// It cannot be stored durably; the former one is still complete.
    fn commit(&self, ledger: &Ledger) -> PortResult<()>;

    /// Stores the key that opens what a cluster keeps of this ledger, beside it.
    ///
    /// # Errors
    /// It cannot be stored durably.
    fn keep_recovery_key(&self, ledger: &Ledger) -> PortResult<()>;

    /// Deletes it; the recovery key stays, as it may open a snapshot that is kept.
    ///
    /// # Errors
    /// It exists and cannot be deleted.
    fn delete(&self) -> PortResult<()>;
}

/// Issues desired keys and certificates.
pub trait Minter: Sync {
    /// A new identity for a cluster's keys.
    fn lineage(&self) -> windlass_model::Lineage;

    /// A key, and a certificate for it that is valid from `now`, signed by `issuer` if the desired state
    /// names one.
    ///
    /// # Errors
    /// A lasting error if the issuer is missing or cannot sign.
    fn mint(
        &self,
        name: &CertName,
        desired: &DesiredCert,
        issuer: Option<&StoredCert>,
        now: Timestamp,
    ) -> PortResult<StoredCert>;
}

/// The time of day.
pub trait Clock: Sync {
    /// Now.
    fn now(&self) -> Timestamp;
}

/// Everything the engine works with.
#[derive(Debug)]
pub struct Ports<'a, F, L, M, C> {
    /// The machines, etcd and Kubernetes.
    pub fleet: &'a F,
    /// The operator's copy of the ledger.
    pub ledger: &'a L,
    /// The maker of keys.
    pub minter: &'a M,
    /// The time of day.
    pub clock: &'a C,
}

/// What the engine must know besides plans: where nodes are, what to look at, and secret contents.
#[derive(Clone, Debug, Default)]
pub struct Assignment {
    /// The nodes of cluster.yml; those of the ledger are added to them.
    pub nodes: BTreeMap<NodeName, LastNode>,
    /// What a look covers.
    pub scope: LookScope,
    /// The objects in the cluster that are read, besides those that windlass recorded there.
    pub objects: Arc<Vec<ObjectRef>>,
    /// The secrets in cluster.yml.
    pub secrets: BTreeMap<windlass_model::SecretName, Secret<String>>,
}

impl Assignment {
    /// The digests of the secrets, for the public part of the ledger.
    pub fn secret_digests(&self) -> BTreeMap<windlass_model::SecretName, Digest> {
        self.secrets.iter().map(|(name, secret)| (name.clone(), Digest::of(secret.expose()))).collect()
    }
}

//! The files that nodes should have, and all paths that are windlass' own.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use windlass_model::{
    CertName, CertPart, Content, DesiredFile, EtcdPlaces, FilePath, Footprint, Holds, KUBELETS_OWN, Mode,
    NodeName, Owner, Role, SecretName, SpecPath, aside_of,
};
use windlass_spec::NetworkPlugin;

use crate::catalog::Feature;
use crate::certificates::{
    ENCRYPTION, ETCD_CA, KUBE_CA, KUBELET_SERVING, LEAVES, Leaf, REQUESTHEADER_CA, SERVICE_ACCOUNT,
};
use crate::cloud;
use crate::cluster::{Cluster, Member, place_of};
use crate::encryption::ENCRYPTION_CONFIG;
use crate::kernel;
use crate::secrets::{AUTHN_WEBHOOK, BUCKET, CLOUD_CONFIG, ETCD_CLIENT_KEY, REGISTRY_AUTH, SNAPSHOTS_BUCKET};
use crate::texts;

/// The copy of the ledger on control-plane nodes.
const LEDGER: &str = "/etc/kubernetes/windlass/ledger.json";

/// All files of a cluster whose host directories are under one prefix.
pub(crate) struct Places {
    prefix: String,
    /// The files by their paths without the prefix, for all roles and features.
    files: BTreeMap<String, File>,
    network: Network,
}

/// Who brings the network for pods, and thus to whom belongs what its plugins have on nodes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Network {
    Wished,
    Users,
}

/// One file and the nodes that should have it.
struct File {
    path: FilePath,
    source: Source,
    mode: Mode,
    owner: Owner,
    origin: Option<SpecPath>,
    on: On,
    with: Option<Feature>,
    /// The files that whoever reads this one reads too, by their paths without the prefix.
    names: Vec<String>,
}

/// Where a file's content comes from, before the node is known.
enum Source {
    /// The same text everywhere.
    Text(Arc<str>),
    /// Half of something that all nodes share.
    Shared(CertName, CertPart),
    /// Half of the node's own.
    Own(&'static str, CertPart),
    Secret(SecretName),
    Ledger,
}

/// Which nodes have a file.
#[derive(Clone, Copy)]
enum On {
    Every,
    Having(&'static [Role]),
    Lacking(Role),
}

const CONTROL_PLANE: On = On::Having(&[Role::ControlPlane]);

impl On {
    fn holds(self, node: &Member<'_>) -> bool {
        match self {
            Self::Every => true,
            Self::Having(roles) => roles.iter().any(|role| node.has(*role)),
            Self::Lacking(role) => !node.has(role),
        }
    }
}

impl File {
    fn content(&self, node: &NodeName) -> Content {
        match &self.source {
            Source::Text(text) => Content::Text(text.clone()),
            Source::Shared(cert, part) => Content::Cert { cert: cert.clone(), part: *part },
            Source::Own(base, part) => Content::Cert { cert: CertName::of_node(base, node), part: *part },
            Source::Secret(name) => Content::Secret(name.clone()),
            Source::Ledger => Content::Ledger,
        }
    }
}

impl Places {
    /// The files under `prefix`, which is empty for `/`.
    pub(crate) fn new(cluster: &Cluster<'_>, prefix: &str) -> Self {
        let network = match cluster.spec.network.plugin {
            Some(NetworkPlugin::None) => Network::Users,
            _ => Network::Wished,
        };
        let mut places = Self { prefix: prefix.to_owned(), files: BTreeMap::new(), network };
        places.add_authorities();
        for leaf in LEAVES.iter().chain([&KUBELET_SERVING]) {
            places.add_leaf(leaf, cluster);
        }
        places.add_kubeconfigs();
        places.add_control_plane(cluster);
        places.add_others(cluster);
        places
    }

    /// Whether host directories are under another prefix than `/`.
    pub(crate) fn has_prefix(&self) -> bool {
        !self.prefix.is_empty()
    }

    /// The files that one node should have.
    pub(crate) fn of_node(
        &self,
        name: &NodeName,
        node: &Member<'_>,
        cluster: &Cluster<'_>,
    ) -> BTreeMap<FilePath, DesiredFile> {
        self.files
            .values()
            .filter(|file| file.on.holds(node) && file.with.is_none_or(|feature| cluster.has(feature)))
            .map(|file| {
                let (mode, owner, origin) = (file.mode, file.owner, file.origin.clone());
                (file.path.clone(), DesiredFile { content: file.content(name), mode, owner, origin })
            })
            .collect()
    }

    /// The file at this path with those that are read through it; none if the path is not windlass' own.
    pub(crate) fn read_with(&self, path: &str) -> Vec<FilePath> {
        let file = path.strip_prefix(self.prefix.as_str()).and_then(|short| self.files.get(short));
        let Some(file) = file else { return Vec::new() };
        let through = file.names.iter().filter_map(|name| self.files.get(name));
        [file].into_iter().chain(through).map(|file| file.path.clone()).collect()
    }

    /// The directory of a node that is mounted for etcd's data, whatever else cluster.yml mounts.
    pub(crate) fn etcd_base(&self) -> FilePath {
        FilePath::from(format!("{}/var/lib/etcd", self.prefix))
    }

    /// Everything of windlass on a machine that has its host directories under this prefix, with these places of etcd
    /// and kubelet where they are others than usual.
    pub(crate) fn footprint(&self, etcd: Option<EtcdPlaces>, kubelet: Option<FilePath>) -> Footprint {
        let mut files: BTreeSet<FilePath> = self.files.values().map(|file| file.path.clone()).collect();
        // No prefix is put before these: the system reads them as it boots.
        files.extend(kernel::paths());
        let under = |path: &str| FilePath::from(format!("{}{path}", self.prefix));
        let mut directories = BTreeMap::from([
            (under("/etc/kubernetes"), Holds::Configuration),
            (self.etcd_base(), Holds::EtcdData),
            (under("/var/lib/kubelet"), Holds::PodState),
            (under("/var/lib/cri-dockerd"), Holds::PodState),
            (under("/var/lib/cni"), Holds::Network),
            (under("/var/log/kube-audit"), Holds::Logs),
            // No prefix is put before these.
            ("/var/log/containers".into(), Holds::Logs),
            ("/var/log/pods".into(), Holds::Logs),
            ("/opt/rke/etcd-snapshots".into(), Holds::Snapshots),
        ]);
        if self.network == Network::Wished {
            let plugins = ["/etc/cni", "/opt/cni", "/var/lib/calico", "/var/run/calico"];
            directories.extend(plugins.map(|path| (path.into(), Holds::Network)));
        }
        if self.has_prefix() {
            // kubelet's directory of volume plugins stays where it is.
            directories.insert("/var/lib/kubelet/volumeplugins".into(), Holds::PodState);
        }
        let etcd = etcd.unwrap_or_else(|| EtcdPlaces { data: self.etcd_base(), log: None });
        if etcd.data != self.etcd_base() {
            // An earlier windlass moved data aside there, wherever it was.
            directories.insert(aside_of(&self.etcd_base()), Holds::EtcdData);
        }
        let usual = under("/var/lib/kubelet");
        let kubelet = kubelet.unwrap_or_else(|| usual.clone());
        if kubelet != usual {
            // There may be other things in a directory that somebody chose.
            let own = |name| (FilePath::from(format!("{kubelet}/{name}")), Holds::PodState);
            directories.extend(KUBELETS_OWN.map(own));
        }
        Footprint {
            files,
            directories,
            etcd_data: etcd.data,
            etcd_log: etcd.log,
            ledger: under(LEDGER),
            kubelet,
        }
    }

    fn add(&mut self, short: String, source: Source, mode: Mode, on: On) -> &mut File {
        let path = FilePath::from(format!("{}{short}", self.prefix));
        let (owner, origin, with, names) = (Owner::default(), None, None, Vec::new());
        let file = File { path, source, mode, owner, origin, on, with, names };
        self.files.entry(short).or_insert(file)
    }

    /// What certificates are checked by. The key of an authority is in no file.
    fn add_authorities(&mut self) {
        for (name, on) in [
            (KUBE_CA, On::Every),
            // The members of etcd check their clients, and these them.
            (ETCD_CA, On::Having(&[Role::Etcd, Role::ControlPlane])),
            (REQUESTHEADER_CA, CONTROL_PLANE),
        ] {
            let source = Source::Shared(name.into(), CertPart::Certificate);
            let file = self.add(certificate(name), source, Mode::PUBLIC, on);
            file.with = (name == ETCD_CA).then_some(Feature::OwnEtcd);
        }
    }

    /// A certificate of the node's own and its key.
    fn add_leaf(&mut self, leaf: &Leaf, cluster: &Cluster<'_>) {
        let (on, owner) = match leaf.role {
            None => (On::Every, Owner::default()),
            Some(Role::ControlPlane) => (CONTROL_PLANE, Owner::default()),
            Some(Role::Worker) => (On::Having(&[Role::Worker]), Owner::default()),
            Some(Role::Etcd) => (On::Having(&[Role::Etcd]), etcd_owner(cluster)),
        };
        for (short, part) in
            [(certificate(leaf.base), CertPart::Certificate), (key(leaf.base), CertPart::Key)]
        {
            let file = self.add(short, Source::Own(leaf.base, part), Mode::PRIVATE, on);
            file.owner = owner;
            file.with = leaf.with;
        }
    }

    /// How components reach the API server: by files beside, so that a renewed certificate changes no text.
    fn add_kubeconfigs(&mut self) {
        for (name, on) in [
            ("kube-controller-manager", CONTROL_PLANE),
            ("kube-scheduler", CONTROL_PLANE),
            ("kube-node", On::Every),
            ("kube-proxy", On::Every),
        ] {
            let text = Source::Text(texts::kubeconfig(name).into());
            let file = self.add(kubeconfig(name), text, Mode::PRIVATE, on);
            file.names = vec![certificate(KUBE_CA), certificate(name), key(name)];
        }
    }

    /// What the API server alone reads, and the copy of the ledger.
    fn add_control_plane(&mut self, cluster: &Cluster<'_>) {
        for (short, part) in
            [(certificate(SERVICE_ACCOUNT), CertPart::Certificate), (key(SERVICE_ACCOUNT), CertPart::Key)]
        {
            let source = Source::Shared(SERVICE_ACCOUNT.into(), part);
            self.add(short, source, Mode::PRIVATE, CONTROL_PLANE);
        }
        let api = &cluster.spec.services.kube_api;
        let admission = Source::Text(texts::admission(&cluster.images.version, api).into());
        let file = self.add("/etc/kubernetes/admission.yaml".into(), admission, Mode::PRIVATE, CONTROL_PLANE);
        file.origin =
            place_of(api.admission_configuration.as_ref(), "services.kube-api.admission_configuration")
                .or(place_of(api.pod_security.as_ref(), "services.kube-api.pod_security_configuration"))
                .or(place_of(api.event_rate_limit.as_ref(), "services.kube-api.event_rate_limit"));

        let policy = Source::Text(texts::audit_policy(api).into());
        let file = self.add("/etc/kubernetes/audit-policy.yaml".into(), policy, Mode::PRIVATE, CONTROL_PLANE);
        file.with = Some(Feature::Audit);
        let own = api.audit_log.as_ref().and_then(|log| log.policy.as_ref());
        file.origin = place_of(own, "services.kube-api.audit_log.configuration.policy")
            .or_else(|| place_of(api.audit_log.as_ref(), "services.kube-api.audit_log"));

        let webhook = cluster.spec.authentication.webhook.as_ref();
        let source = if webhook.is_some_and(|webhook| webhook.config_file.is_some()) {
            Source::Secret(AUTHN_WEBHOOK.into())
        } else {
            Source::Text(texts::AUTHN_WEBHOOK.into())
        };
        let short = "/etc/kubernetes/kube-api-authn-webhook.yaml";
        let file = self.add(short.into(), source, Mode::PRIVATE, CONTROL_PLANE);
        file.with = Some(Feature::Webhook);
        file.origin = place_of(webhook, "authentication.webhook");

        let source = if cluster.has_own_encryption_key() {
            Source::Shared(ENCRYPTION.into(), CertPart::Encryption)
        } else {
            Source::Secret(ENCRYPTION_CONFIG.into())
        };
        let file =
            self.add("/etc/kubernetes/ssl/encryption.yaml".into(), source, Mode::PRIVATE, CONTROL_PLANE);
        file.with = Some(Feature::Encryption);
        file.origin =
            place_of(api.secrets_encryption.as_ref(), "services.kube-api.secrets_encryption_config");

        self.add_external_etcd(cluster);
        self.add(LEDGER.into(), Source::Ledger, Mode::PRIVATE, CONTROL_PLANE);
    }

    /// How the API server reaches an etcd that is not of the cluster's nodes.
    fn add_external_etcd(&mut self, cluster: &Cluster<'_>) {
        let etcd = &cluster.spec.services.etcd;
        let pem = |text: &Option<String>| {
            let text = text.as_deref().unwrap_or_default().trim_end();
            Source::Text(format!("{text}\n").into())
        };
        for (short, source, mode, place) in [
            (certificate("kube-etcd-client-ca"), pem(&etcd.ca_cert), Mode::PUBLIC, "services.etcd.ca_cert"),
            (certificate("kube-etcd-client"), pem(&etcd.cert), Mode::PRIVATE, "services.etcd.cert"),
            (
                key("kube-etcd-client"),
                Source::Secret(ETCD_CLIENT_KEY.into()),
                Mode::PRIVATE,
                "services.etcd.key",
            ),
        ] {
            let file = self.add(short, source, mode, CONTROL_PLANE);
            file.with = Some(Feature::ExternalEtcd);
            file.origin = Some(place.into());
        }
    }

    /// Where snapshots of etcd are copied to, for what copies them.
    fn add_bucket(&mut self) {
        let source = Source::Secret(SNAPSHOTS_BUCKET.into());
        let short = "/etc/kubernetes/etcd-snapshots-bucket.json";
        let file = self.add(short.into(), source, Mode::PRIVATE, On::Having(&[Role::Etcd]));
        file.with = Some(Feature::Bucket);
        file.origin = Some(BUCKET.into());
    }

    fn add_others(&mut self, cluster: &Cluster<'_>) {
        self.add_bucket();
        let servers = cluster.with_role(Role::ControlPlane).map(|(_, node)| node.url_host());
        let text = Source::Text(texts::nginx(servers, cluster.local_ports()).into());
        let short = "/etc/kubernetes/nginx-proxy/nginx.conf";
        let file = self.add(short.into(), text, Mode::PUBLIC, On::Lacking(Role::ControlPlane));
        file.origin = Some("nodes".into());

        let has_settings =
            cluster.spec.cloud_provider.as_ref().is_some_and(|cloud| cloud::config(cloud).is_some());
        let source = if has_settings { Source::Secret(CLOUD_CONFIG.into()) } else { Source::Text("".into()) };
        let file = self.add("/etc/kubernetes/cloud-config".into(), source, Mode::PRIVATE, On::Every);
        file.with = Some(Feature::CloudProvider);
        file.origin = Some("cloud_provider".into());

        let secret = Source::Secret(REGISTRY_AUTH.into());
        let file = self.add("/var/lib/kubelet/config.json".into(), secret, Mode::PRIVATE, On::Every);
        file.with = Some(Feature::RegistryAuth);
        file.origin = Some("private_registries".into());
    }
}

/// Who may read the keys of etcd's members: whom etcd runs as.
fn etcd_owner(cluster: &Cluster<'_>) -> Owner {
    let etcd = &cluster.spec.services.etcd;
    match (etcd.uid, etcd.gid) {
        (Some(uid), Some(gid)) => Owner { uid, gid },
        _ => Owner::default(),
    }
}

fn certificate(name: &str) -> String {
    format!("/etc/kubernetes/ssl/{name}.pem")
}

fn key(name: &str) -> String {
    format!("/etc/kubernetes/ssl/{name}-key.pem")
}

fn kubeconfig(name: &str) -> String {
    format!("/etc/kubernetes/ssl/kubecfg-{name}.yaml")
}

//! The cluster.yml of a lab.

use serde_yaml::{Mapping, Value};

use super::{Era, Lab, LabError, Registry, Versions, Windlass};

/// All three roles, for shapes where each node does everything.
pub const ALL_ROLES: [&str; 3] = ["controlplane", "etcd", "worker"];

/// The source of the component images on the nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Images {
    /// The lab's registry, with its credentials in cluster.yml.
    FromRegistry,
    /// The nodes have them: [`super::LabShape::with_images_loaded`].
    Loaded,
}

/// A cluster.yml for a lab, to be edited before it is written.
///
/// It contains settings that this kind of host needs and a real one does not: kube-proxy must not change the
/// machine's own connection tracking; kubelet must accept the machine's swap, and must not evict pods and
/// remove images because the disk that all hosts share is nine tenths full; and the pod network is the lab's.
#[derive(Clone, Debug)]
pub struct Cluster {
    document: Value,
}

impl Cluster {
    /// Nodes 1 to 3 with control plane and etcd, nodes 4 and 5 as workers; images from the registry.
    ///
    /// # Panics
    /// The lab has fewer than five nodes.
    pub fn three_control_planes_two_workers(lab: &Lab) -> Self {
        let control: &[&str] = &["controlplane", "etcd"];
        let worker: &[&str] = &["worker"];
        let roles = [(1, control), (2, control), (3, control), (4, worker), (5, worker)];
        Self::of(lab, Images::FromRegistry, roles)
    }

    /// Every node of the lab with all roles.
    pub fn all_roles(lab: &Lab, images: Images) -> Self {
        Self::of(lab, images, lab.nodes().iter().map(|node| (node.number, &ALL_ROLES[..])))
    }

    /// These nodes with these roles.
    ///
    /// # Panics
    /// The lab has no such node.
    pub fn of<'a>(
        lab: &Lab,
        images: Images,
        roles: impl IntoIterator<Item = (usize, &'a [&'a str])>,
    ) -> Self {
        let mut text = format!(
            "cluster_name: lab
kubernetes_version: {version}
ssh_key_path: {key}
network: {{plugin: none}}
dns: {{provider: none}}
ingress: {{provider: none}}
monitoring: {{provider: none}}
services:
  kubelet:
    fail_swap_on: false
    extra_args:
      image-gc-high-threshold: \"100\"
      eviction-hard: imagefs.available<1%,nodefs.available<1%
  kubeproxy:
    extra_args:
      conntrack-max-per-core: \"0\"
      conntrack-tcp-timeout-established: \"0s\"
      conntrack-tcp-timeout-close-wait: \"0s\"
",
            version = lab.versions().kubernetes,
            key = lab.ssh_key().display()
        );
        let registry = match images {
            Images::FromRegistry => format!("{}/", lab.registry().host),
            Images::Loaded => String::new(),
        };
        text += "nodes:\n";
        for (number, roles) in roles {
            text += &node_entry(lab, number, roles);
        }
        let document = serde_yaml::from_str(&text).expect("what is written here is YAML");
        let mut cluster = Self { document };
        cluster.set_images(lab.era().images(lab.versions()), &registry);
        if lab.era() == Era::Today {
            cluster.set("windlass.pod_runtime", "containerd");
            // The machine may have cgroup v1, which kubelet refuses from 1.35 on unless configured otherwise.
            cluster.set("services.kubelet.extra_args.fail-cgroupv1", "false");
        }
        if images == Images::FromRegistry {
            cluster.set("private_registries", Value::Sequence(vec![credentials(lab.registry())]));
        }
        cluster
    }

    fn set_images(&mut self, images: Vec<(&'static str, String)>, registry: &str) {
        for (key, image) in images {
            self.set(&format!("system_images.{key}"), format!("{registry}{image}"));
        }
    }

    /// With a pod network and `CoreDNS` that windlass deploys, instead of the lab's own network; from the
    /// registry.
    pub fn with_network_and_names(&mut self, lab: &Lab) -> &mut Self {
        self.set_images(lab.era().network_images(), &format!("{}/", lab.registry().host));
        // The hosts' own name server is on their loopback, which in a pod is the pod itself.
        self.set("dns.upstreamnameservers", vec!["192.0.2.53".to_owned()]);
        self.set("network.plugin", "flannel").set("dns.provider", "coredns")
    }

    /// Another version of Kubernetes and etcd, from the registry.
    pub fn set_versions(&mut self, lab: &Lab, versions: &Versions) -> &mut Self {
        self.set_images(lab.era().images(versions), &format!("{}/", lab.registry().host));
        self.set("kubernetes_version", versions.kubernetes.as_str())
    }

    /// Sets the value at a path of keys and numbers: `services.kubelet.extra_args.max-pods`, `nodes.0.role`.
    /// Missing keys of the path are created.
    ///
    /// # Panics
    /// The path leads through a list that has no such entry, or through a plain value.
    pub fn set(&mut self, path: &str, value: impl Into<Value>) -> &mut Self {
        let mut place = &mut self.document;
        for part in path.split('.') {
            place = match place {
                Value::Sequence(entries) => {
                    let number: usize = part.parse().expect("a list is entered by a number");
                    entries.get_mut(number).expect("the list has such an entry")
                }
                Value::Null => {
                    *place = Value::Mapping(Mapping::new());
                    entry(place, part)
                }
                _ => entry(place, part),
            };
        }
        *place = value.into();
        self
    }

    /// Removes the key at the end of a path, as if it had not been written.
    pub fn remove(&mut self, path: &str) -> &mut Self {
        let (before, last) = path.rsplit_once('.').unwrap_or(("", path));
        let mut place = Some(&mut self.document);
        for part in before.split('.').filter(|part| !part.is_empty()) {
            place = place.and_then(|place| match (part.parse::<usize>(), place) {
                (Ok(number), Value::Sequence(entries)) => entries.get_mut(number),
                (_, place) => place.get_mut(part),
            });
        }
        if let Some(Value::Mapping(mapping)) = place {
            mapping.remove(last);
        }
        self
    }

    /// Adds a node of the lab.
    ///
    /// # Panics
    /// The lab has no such node.
    pub fn add_node(&mut self, lab: &Lab, number: usize, roles: &[&str]) -> &mut Self {
        let node: Value =
            serde_yaml::from_str(&node_entry(lab, number, roles)).expect("it is a list of one node");
        let Value::Sequence(more) = node else { return self };
        if let Some(Value::Sequence(nodes)) = self.document.get_mut("nodes") {
            nodes.extend(more);
        }
        self
    }

    /// Its text.
    ///
    /// # Panics
    /// Never: every YAML value can be written.
    pub fn text(&self) -> String {
        serde_yaml::to_string(&self.document).expect("a YAML value can be written")
    }

    /// Writes it where `windlass` looks for it.
    ///
    /// # Errors
    /// The directory does not exist any more.
    pub fn write(&self, windlass: &Windlass) -> Result<(), LabError> {
        let path = windlass.cluster_yml();
        std::fs::write(&path, self.text()).map_err(|source| LabError::File { path, source })
    }
}

fn node_entry(lab: &Lab, number: usize, roles: &[&str]) -> String {
    let node = lab.node(number);
    format!(
        "- {{address: {}, hostname_override: {}, user: {}, role: [{}]}}\n",
        node.address,
        node.name,
        lab.user(),
        roles.join(", ")
    )
}

fn credentials(registry: &Registry) -> Value {
    let mut mapping = Mapping::new();
    mapping.insert("url".into(), registry.host.clone().into());
    mapping.insert("user".into(), registry.user.clone().into());
    mapping.insert("password".into(), registry.password().expect("the lab's own password is there").into());
    Value::Mapping(mapping)
}

fn entry<'a>(place: &'a mut Value, key: &str) -> &'a mut Value {
    let Value::Mapping(mapping) = place else { panic!("`{key}` is looked for in a plain value") };
    mapping.entry(key.into()).or_insert(Value::Null)
}

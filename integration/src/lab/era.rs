//! The era of a lab's hosts, and the images for it.

use serde::Deserialize;

/// Present hosts, or hosts of RKE 1's middle years: `integration/lab/eras`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Era {
    /// Debian 13, pods by containerd, one image for each component.
    Today,
    /// Debian 12, pods by Docker through dockershim, one image with all of Kubernetes.
    Dockershim,
}

/// The versions of one set of images.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Versions {
    /// Of Kubernetes, with its `v`.
    pub kubernetes: String,
    /// Of etcd, with its `v`.
    pub etcd: String,
}

impl Era {
    /// Its name, as `hosts up --era` takes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Today => "today",
            Self::Dockershim => "dockershim",
        }
    }

    /// The images of a pod network and of `CoreDNS`, by their keys in `system_images`; the era of dockershim
    /// has none.
    pub fn network_images(self) -> Vec<(&'static str, String)> {
        let images = [
            ("flannel", "lab/flannel:v0.28.10"),
            ("flannel_cni", "lab/flannel-cni:1"),
            ("coredns", "lab/coredns:v1.15.0"),
            ("coredns_autoscaler", "lab/autoscaler:1"),
        ];
        match self {
            Self::Today => images.map(|(key, image)| (key, image.to_owned())).into(),
            Self::Dockershim => Vec::new(),
        }
    }

    /// The component images of these versions without a registry, by their keys in `system_images`.
    pub fn images(self, versions: &Versions) -> Vec<(&'static str, String)> {
        let Versions { kubernetes, etcd } = versions;
        let (mut images, nginx, pause) = match self {
            Self::Today => {
                let component =
                    |key: &'static str| (key, format!("lab/{}:{kubernetes}", key.replace('_', "-")));
                (OF_KUBERNETES.map(component).to_vec(), "lab/nginx:1.26", "lab/pause:3.10")
            }
            Self::Dockershim => (
                vec![("kubernetes", format!("lab/hyperkube:{kubernetes}"))],
                "lab/nginx:1.22",
                "lab/pause:3.2",
            ),
        };
        images.push(("etcd", format!("lab/etcd:{etcd}")));
        images.push(("nginx_proxy", nginx.to_owned()));
        images.push(("pod_infra_container", pause.to_owned()));
        images
    }
}

const OF_KUBERNETES: [&str; 5] =
    ["kube_apiserver", "kube_controller_manager", "kube_scheduler", "kube_proxy", "kubelet"];

#[cfg(test)]
mod tests {
    #[test]
    fn the_default_version_is_what_the_lab_of_today_runs() {
        let today = include_str!("../../lab/eras/today.sh");
        let version = today.lines().find_map(|line| line.strip_prefix("kubernetes_version="));
        assert_eq!(version, Some(windlass_model::DEFAULT_KUBERNETES));
    }
}

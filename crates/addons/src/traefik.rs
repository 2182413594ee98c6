//! Traefik: requests from outside reach Services by Ingress objects, those that were written for ingress-nginx included.
//!
//! ```text
//! host port 80, 443 of each chosen worker ─▶ Traefik ─▶ pods of the Service
//!                                              └ Ingress objects of the class `nginx`, with their annotations
//! ```

mod flags;
mod pods;

use std::collections::BTreeMap;

use serde_json::{Value, json};
use windlass_model::{AddonKind, DesiredAddon, DesiredObject, KubernetesVersion};
use windlass_spec::ClusterSpec;

use self::pods::daemon_set;
use crate::Wanted;
use crate::objects::roles_in;
use crate::problem::Problems;
use crate::strategy;

/// The keys of its images.
pub(crate) const IMAGES: [&str; 1] = ["ingress_traefik"];

const NAME: &str = "traefik";
/// RKE 1's: there people keep the Secret of the default certificate, and the admission file of Pod Security exempts it.
const NAMESPACE: &str = "ingress-nginx";
/// The configuration that Traefik reads from files.
const CONFIG: &str = "traefik";
const CONFIG_FILE: &str = "certificates.yml";
/// Where the configuration and the default certificate are in a pod.
const CONFIG_DIRECTORY: &str = "/etc/windlass";
/// The label of its objects and pods.
const APP: &str = "app.kubernetes.io/name";

/// The first version for which it is the default: RKE 1, whose default was ingress-nginx, had none of this.
const DEFAULT_FROM: (u32, u32) = (1, 33);

/// Where cluster.yml asks for it; and from 1.33 on where windlass deploys the network that its pods need, unless
/// cluster.yml names another provider.
pub(crate) fn is_desired(spec: &ClusterSpec, version: &KubernetesVersion) -> bool {
    match spec.ingress.provider.as_deref() {
        Some(provider) => provider == NAME,
        None => crate::flannel::is_desired(spec) && version.at_least(DEFAULT_FROM.0, DEFAULT_FROM.1),
    }
}

/// Reports settings that Traefik cannot use, and those without effect.
pub(crate) fn check(spec: &ClusterSpec, version: &KubernetesVersion, problems: &mut Problems) {
    let ingress = &spec.ingress;
    if !version.at_least(1, 21) {
        problems.error(
            "ingress.provider",
            format!("Traefik needs Kubernetes v1.21 or later, and this is {version}"),
            Some("upgrade first, or write `none`".to_owned()),
        );
    }
    strategy::check(ingress.update_strategy.as_ref(), "0", "ingress.update_strategy", problems);
    flags::check(ingress, problems);
    for (key, is_given, instead) in [
        (
            "default_backend",
            ingress.default_backend == Some(true),
            "name a Service of your own: `extra_args.default-backend-service`",
        ),
        (
            "tolerations",
            !ingress.tolerations.is_empty(),
            "remove it: Traefik tolerates every taint, and the tolerations were those of the default backend",
        ),
        (
            "default_http_backend_priority_class_name",
            ingress.default_backend_priority_class_name.is_some(),
            "remove it",
        ),
    ] {
        if is_given {
            let path = format!("ingress.{key}");
            let summary = format!("`{key}` has no effect: there is no default backend beside Traefik");
            problems.warning(&path, summary, Some(instead.to_owned()));
        }
    }
}

pub(crate) fn addon(wanted: &Wanted<'_>) -> Option<DesiredAddon> {
    if !is_desired(wanted.spec, wanted.version) {
        return None;
    }
    let image = wanted.images.get(IMAGES[0])?;
    let ingress = &wanted.spec.ingress;
    let account = json!({
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": NAME, "namespace": NAMESPACE},
    });
    let mut bodies = vec![namespace(), account];
    if wanted.has_roles() {
        bodies.extend(roles_in(NAMESPACE, NAME, NAME, &rules()));
    }
    bodies.push(json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": CONFIG, "namespace": NAMESPACE},
        "data": BTreeMap::from([(CONFIG_FILE, certificates())]),
    }));
    bodies.push(class(ingress.default_ingress_class != Some(false)));
    bodies.push(daemon_set(wanted, image));
    for body in &mut bodies {
        body["metadata"]["labels"][APP] = json!(NAME);
    }
    Some(DesiredAddon {
        name: NAME.to_owned(),
        objects: bodies.into_iter().map(|body| DesiredObject::new(AddonKind::Ingress, body)).collect(),
        origin: ingress.provider.as_ref().map(|_| "ingress.provider".into()),
    })
}

/// Pods with ports of the node are no `restricted` ones.
fn namespace() -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {
            "name": NAMESPACE,
            "labels": {"pod-security.kubernetes.io/enforce": "privileged"},
        },
    })
}

/// Source: <https://doc.traefik.io/traefik/reference/install-configuration/providers/kubernetes/kubernetes-ingress-nginx/>.
fn rules() -> Value {
    json!([
        {
            "apiGroups": [""],
            "resources": ["configmaps", "namespaces", "nodes", "secrets", "services"],
            "verbs": ["get", "list", "watch"],
        },
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]},
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]},
        {
            "apiGroups": ["networking.k8s.io"],
            "resources": ["ingresses", "ingressclasses"],
            "verbs": ["get", "list", "watch"],
        },
        {"apiGroups": ["networking.k8s.io"], "resources": ["ingresses/status"], "verbs": ["update"]},
    ])
}

/// The class that Ingress objects of ingress-nginx name.
fn class(is_default: bool) -> Value {
    json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "IngressClass",
        "metadata": {
            "name": "nginx",
            "annotations": {"ingressclass.kubernetes.io/is-default-class": is_default.to_string()},
        },
        "spec": {"controller": "k8s.io/ingress-nginx"},
    })
}

/// The default certificate is beside it, if there is one. Traefik reads both again when one of them changes.
fn certificates() -> String {
    let file = |name: &str| format!("{CONFIG_DIRECTORY}/{name}");
    let config = json!({"tls": {"stores": {"default": {"defaultCertificate": {
        "certFile": file("tls.crt"),
        "keyFile": file("tls.key"),
    }}}}});
    // JSON is YAML.
    format!("{config:#}\n")
}

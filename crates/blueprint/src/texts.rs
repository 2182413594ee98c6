//! The texts of configuration files. None of them holds a secret.

use std::fmt::Write as _;

use serde_json::{Value, json};
use windlass_model::{Digest, KubernetesVersion, LocalPorts};
use windlass_spec::{KubeApiSpec, PodSecurity};

/// How a component reaches the API server of its node, or the proxy there, with the certificate of this name.
pub(crate) fn kubeconfig(name: &str) -> String {
    format!(
        "apiVersion: v1
kind: Config
clusters:
- name: local
  cluster:
    server: https://127.0.0.1:6443
    certificate-authority: /etc/kubernetes/ssl/kube-ca.pem
users:
- name: {name}-local
  user:
    client-certificate: /etc/kubernetes/ssl/{name}.pem
    client-key: /etc/kubernetes/ssl/{name}-key.pem
contexts:
- name: local
  context:
    cluster: local
    user: {name}-local
current-context: local
"
    )
}

/// The settings of admission plugins. The limit takes effect only where the plugin is switched on.
///
/// `PodSecurity` is configurable from 1.23 on; its own format is v1 from 1.25 on
/// (<https://kubernetes.io/docs/tasks/configure-pod-container/enforce-standards-admission-controller/>).
///
/// A plugin that cluster.yml configures is configured so; RKE 1 dropped all but these two of them.
pub(crate) fn admission(version: &KubernetesVersion, api: &KubeApiSpec) -> String {
    let restricted = api.pod_security == Some(PodSecurity::Restricted);
    let limits = api.event_rate_limit.as_ref().and_then(|limit| limit.configuration.as_ref());
    if api.admission_configuration.is_none() && limits.is_none() && !restricted {
        return ordinary_admission(version);
    }
    let mut whole: Value =
        serde_yaml::from_str(&ordinary_admission(version)).expect("the text above is YAML");
    let mut plugins = vec![];
    for plugin in whole["plugins"].as_array().into_iter().flatten() {
        let mut plugin = plugin.clone();
        if restricted && plugin["name"] == "PodSecurity" {
            plugin["configuration"]["defaults"]["enforce"] = json!("restricted");
            plugin["configuration"]["exemptions"] = json!({ "namespaces": ["ingress-nginx", "kube-system"] });
        }
        if let Some(limits) = limits.filter(|_| plugin["name"] == "EventRateLimit") {
            plugin["configuration"] =
                of_kind("eventratelimit.admission.k8s.io/v1alpha1", "Configuration", limits);
        }
        plugins.push(plugin);
    }
    let of_user = api.admission_configuration.as_ref().and_then(|config| config["plugins"].as_array());
    for plugin in of_user.into_iter().flatten() {
        let has_own_key = plugin["name"] == "EventRateLimit" && limits.is_some();
        match plugins.iter_mut().find(|known| known["name"] == plugin["name"]) {
            Some(_) if has_own_key => {}
            Some(known) => *known = plugin.clone(),
            None => plugins.push(plugin.clone()),
        }
    }
    whole["plugins"] = Value::Array(plugins);
    yaml(&whole)
}

fn ordinary_admission(version: &KubernetesVersion) -> String {
    // The format is v1 from 1.17 on.
    let format =
        if version.at_least(1, 17) { "apiserver.config.k8s.io/v1" } else { "apiserver.k8s.io/v1alpha1" };
    let mut text = format!(
        "apiVersion: {format}
kind: AdmissionConfiguration
plugins:
- name: EventRateLimit
  configuration:
    apiVersion: eventratelimit.admission.k8s.io/v1alpha1
    kind: Configuration
    limits:
    - type: Server
      qps: 5000
      burst: 20000
"
    );
    if version.at_least(1, 23) {
        let format = if version.at_least(1, 25) { "v1" } else { "v1beta1" };
        write!(
            text,
            "- name: PodSecurity
  configuration:
    apiVersion: pod-security.admission.config.k8s.io/{format}
    kind: PodSecurityConfiguration
    defaults:
      enforce: privileged
      enforce-version: latest
"
        )
        .expect("a String takes every text");
    }
    text
}

/// RKE 1's policy: of every request who, when and what, but not its body.
const AUDIT_POLICY: &str = "apiVersion: audit.k8s.io/v1
kind: Policy
rules:
- level: Metadata
";

/// The user's policy, or else RKE 1's.
pub(crate) fn audit_policy(api: &KubeApiSpec) -> String {
    match api.audit_log.as_ref().and_then(|log| log.policy.as_ref()) {
        Some(policy) => yaml(&of_kind("audit.k8s.io/v1", "Policy", policy)),
        None => AUDIT_POLICY.to_owned(),
    }
}

/// The user's configuration of how Secrets are encrypted; it holds keys.
pub(crate) fn encryption(config: &Value) -> String {
    yaml(&of_kind("apiserver.config.k8s.io/v1", "EncryptionConfiguration", config))
}

/// An object that says what it is, as it is read only then; what it says itself stays.
fn of_kind(version: &str, kind: &str, value: &Value) -> Value {
    let mut value = value.clone();
    for (key, default) in [("apiVersion", version), ("kind", kind)] {
        if value.get(key).is_none() {
            value[key] = json!(default);
        }
    }
    value
}

fn yaml(value: &Value) -> String {
    serde_yaml::to_string(value).expect("a JSON value is YAML")
}

/// RKE 1's webhook, which listens on the node itself.
pub(crate) const AUTHN_WEBHOOK: &str = "apiVersion: v1
kind: Config
clusters:
- name: Default
  cluster:
    insecure-skip-tls-verify: true
    server: http://127.0.0.1:6440/v1/authenticate
users:
- name: Default
  user:
    insecure-skip-tls-verify: true
current-context: webhook
contexts:
- name: webhook
  context:
    user: Default
    cluster: Default
";

/// The configuration of nginx-proxy: whatever reaches port 6443 of the node goes on to an API server; from elsewhere
/// nothing reaches it where the port is closed.
///
/// Port 6444 of the node itself answers with the digest of this text without the line that says so: thus the
/// configuration that nginx runs with can be distinguished from the one that is on the disk.
pub(crate) fn nginx(servers: impl Iterator<Item = String>, ports: LocalPorts) -> String {
    let listen = match ports {
        LocalPorts::Open => "6443",
        LocalPorts::Closed => "127.0.0.1:6443",
    };
    let upstream =
        servers.fold(String::new(), |text, server| text + "        server " + &server + ":6443;\n");
    // Debian's nginx has `stream` as a module to be loaded; where it is built in, nothing is there to include.
    let before = format!(
        "error_log stderr notice;
include /etc/nginx/modules-enabled/*.conf;

worker_processes auto;
events {{
    multi_accept on;
    use epoll;
    worker_connections 1024;
}}

stream {{
    upstream kube_apiserver {{
{upstream}    }}

    server {{
        listen {listen};
        proxy_pass kube_apiserver;
        proxy_timeout 10m;
        proxy_connect_timeout 2s;
    }}
"
    );
    let after = "}\n";
    let digest = Digest::of(format!("{before}{after}"));
    format!("{before}    server {{ listen 127.0.0.1:6444; return \"{digest}\"; }}\n{after}")
}

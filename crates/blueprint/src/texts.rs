//! The texts of configuration files. None of them holds a secret.

use std::fmt::Write as _;

use windlass_model::{Digest, KubernetesVersion};

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
pub(crate) fn admission(version: &KubernetesVersion) -> String {
    let mut text = "apiVersion: apiserver.config.k8s.io/v1
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
    .to_owned();
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
pub(crate) const AUDIT_POLICY: &str = "apiVersion: audit.k8s.io/v1
kind: Policy
rules:
- level: Metadata
";

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

/// The configuration of nginx-proxy: whatever reaches port 6443 of the node goes on to an API server.
///
/// Port 6444 of the node itself answers with the digest of this text without the line that says so: thus the
/// configuration that nginx runs with can be told from the one that is on the disk.
pub(crate) fn nginx(servers: impl Iterator<Item = String>) -> String {
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
        listen 6443;
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

//! The secrets that cluster.yml carries onto nodes: the blueprint holds their names, these are the values.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use windlass_model::{Secret, SecretName};
use windlass_spec::{ClusterSpec, RegistrySpec};

/// Docker's configuration with the credentials of private registries, for kubelet's pulls.
///
/// kubelet reads the file anew every few minutes, so that no container is replaced when a password changes.
pub const REGISTRY_AUTH: &str = "registry-auth";

/// The kubeconfig by which the API server reaches the webhook that checks tokens.
pub(crate) const AUTHN_WEBHOOK: &str = "authn-webhook";

/// The key under which Docker and kubelet look for the credentials of Docker Hub.
const DOCKER_HUB: &str = "https://index.docker.io/v1/";

/// All secrets with their names, in the order of the names.
pub(crate) fn secrets(spec: &ClusterSpec) -> Vec<(SecretName, Secret<String>)> {
    let webhook = spec.authentication.webhook.as_ref().and_then(|webhook| webhook.config_file.clone());
    [(AUTHN_WEBHOOK, webhook), (REGISTRY_AUTH, registry_auth(spec))]
        .into_iter()
        .filter_map(|(name, secret)| Some((SecretName::from(name), secret?)))
        .collect()
}

/// Whether any registry has credentials.
pub(crate) fn has_credentials(spec: &ClusterSpec) -> bool {
    spec.private_registries.iter().any(|registry| credentials(registry).is_some())
}

fn credentials(registry: &RegistrySpec) -> Option<String> {
    Some(format!("{}:{}", registry.user.as_ref()?, registry.password.as_ref()?.expose()))
}

#[derive(Serialize)]
struct DockerConfig {
    auths: BTreeMap<String, Auth>,
}

#[derive(Serialize)]
struct Auth {
    auth: String,
}

/// Docker's configuration in its own format; none if no registry has credentials.
fn registry_auth(spec: &ClusterSpec) -> Option<Secret<String>> {
    let auths: BTreeMap<String, Auth> = spec
        .private_registries
        .iter()
        .filter_map(|registry| {
            let auth = STANDARD.encode(credentials(registry)?);
            let url = registry.url.as_deref().filter(|url| *url != "docker.io").unwrap_or(DOCKER_HUB);
            Some((url.to_owned(), Auth { auth }))
        })
        .collect();
    if auths.is_empty() {
        return None;
    }
    let text = serde_json::to_string(&DockerConfig { auths }).expect("texts by texts are JSON");
    Some(Secret::new(text))
}

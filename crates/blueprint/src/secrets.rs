//! The secrets that cluster.yml carries onto nodes: the blueprint holds their names, these are the values.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use windlass_model::{Secret, SecretName};
use windlass_spec::{ClusterSpec, RegistrySpec, S3Spec};

use crate::hub::is_docker_hub;
use crate::{cloud, encryption};

/// Docker's configuration with the credentials of private registries, for kubelet's pulls.
///
/// kubelet reads the file anew every few minutes, so that no container is replaced when a password changes.
pub const REGISTRY_AUTH: &str = "registry-auth";

/// The kubeconfig by which the API server reaches the webhook that checks tokens.
pub(crate) const AUTHN_WEBHOOK: &str = "authn-webhook";

/// The settings of the cloud, most of which hold a password.
pub(crate) const CLOUD_CONFIG: &str = "cloud-config";

/// The key by which the API server shows itself to an external etcd.
pub(crate) const ETCD_CLIENT_KEY: &str = "etcd-client-key";

/// The bucket into which snapshots of etcd are copied, with its keys.
pub const SNAPSHOTS_BUCKET: &str = "snapshots-bucket";

/// The key under which Docker and kubelet look for the credentials of Docker Hub.
const DOCKER_HUB: &str = "https://index.docker.io/v1/";

/// All secrets with their names.
pub(crate) fn secrets(spec: &ClusterSpec) -> Vec<(SecretName, Secret<String>)> {
    let webhook = spec.authentication.webhook.as_ref().and_then(|webhook| webhook.config_file.clone());
    let etcd = &spec.services.etcd;
    let etcd_key = etcd
        .key
        .as_ref()
        .filter(|_| !etcd.external_urls.is_empty())
        .map(|key| Secret::new(format!("{}\n", key.expose().trim_end())));
    let encryption = spec
        .services
        .kube_api
        .secrets_encryption
        .as_ref()
        .filter(|encryption| encryption.enabled == Some(true))
        .and_then(|encryption| encryption.custom_config.as_ref())
        .map(|config| encryption::configurations(config.expose()));
    [
        (AUTHN_WEBHOOK, webhook),
        (CLOUD_CONFIG, spec.cloud_provider.as_ref().and_then(cloud::config)),
        (ETCD_CLIENT_KEY, etcd_key),
        (REGISTRY_AUTH, registry_auth(spec)),
        (SNAPSHOTS_BUCKET, bucket_of(spec).map(bucket)),
    ]
    .into_iter()
    .filter_map(|(name, secret)| Some((SecretName::from(name), secret?)))
    .chain(encryption.into_iter().flatten())
    .collect()
}

/// The place of the bucket in cluster.yml.
pub(crate) const BUCKET: &str = "services.etcd.backup_config.s3backupconfig";

/// The bucket into which snapshots of etcd are copied.
pub(crate) fn bucket_of(spec: &ClusterSpec) -> Option<&S3Spec> {
    spec.services.etcd.backup_config.as_ref()?.s3.as_ref()
}

/// What the process that copies snapshots reads of a bucket, in the words of cluster.yml.
#[derive(Serialize)]
struct BucketDescription<'a> {
    endpoint: &'a str,
    bucket_name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    folder: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    custom_ca: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    access_key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret_key: Option<&'a str>,
}

fn bucket(s3: &S3Spec) -> Secret<String> {
    let S3Spec { access_key, secret_key, bucket_name, endpoint, region, folder, custom_ca } = s3;
    let exposed = |key: &'_ Option<Secret<String>>| key.as_ref().map(|key| key.expose().clone());
    let (access_key, secret_key) = (exposed(access_key), exposed(secret_key));
    let description = BucketDescription {
        endpoint,
        bucket_name,
        region: region.as_deref(),
        folder: folder.as_deref(),
        custom_ca: custom_ca.as_deref(),
        access_key: access_key.as_deref(),
        secret_key: secret_key.as_deref(),
    };
    Secret::new(serde_json::to_string(&description).expect("texts by texts are JSON"))
}

/// Whether any registry has credentials.
pub(crate) fn has_credentials(spec: &ClusterSpec) -> bool {
    let asks = |registry: &RegistrySpec| credentials(registry).is_some() || asks_amazon(registry);
    spec.private_registries.iter().any(asks)
}

/// Whether kubelet asks the helper on the node for the credentials of Amazon's registry.
fn asks_amazon(registry: &RegistrySpec) -> bool {
    registry.ecr_credential_plugin.is_some() && registry.user.is_none() && registry.password.is_none()
}

fn credentials(registry: &RegistrySpec) -> Option<String> {
    Some(format!("{}:{}", registry.user.as_ref()?, registry.password.as_ref()?.expose()))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DockerConfig {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    auths: BTreeMap<String, Auth>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    cred_helpers: BTreeMap<String, &'static str>,
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
            let url = registry.url.as_deref().filter(|url| !is_docker_hub(url)).unwrap_or(DOCKER_HUB);
            Some((url.to_owned(), Auth { auth }))
        })
        .collect();
    let cred_helpers: BTreeMap<String, &str> = spec
        .private_registries
        .iter()
        .filter(|registry| asks_amazon(registry))
        .filter_map(|registry| Some((registry.url.clone()?, "ecr-login")))
        .collect();
    if auths.is_empty() && cred_helpers.is_empty() {
        return None;
    }
    let text = serde_json::to_string(&DockerConfig { auths, cred_helpers }).expect("texts by texts are JSON");
    Some(Secret::new(text))
}

//! Format 1 of the label with a container's spec.
//!
//! This is a stored form: only optional fields are added, whatever happens to [`ContainerSpec`].

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use windlass_model::{Ciphers, ContainerSpec, Digest, FilePath, ImageRef, KubernetesVersion, NotAVersion};

/// [`ContainerSpec`] as format 1 writes it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Spec {
    image: ImageRef,
    command: Vec<Arc<str>>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    env: BTreeMap<Arc<str>, Arc<str>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    binds: Vec<Arc<str>>,
    #[serde(default)]
    pid: PidMode,
    #[serde(default)]
    privilege: Privilege,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user: Option<Arc<str>>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    reads: BTreeMap<FilePath, OnChange>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    ciphers: BTreeMap<Arc<str>, Vec<Cipher>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    version: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Cipher {
    provider: Arc<str>,
    #[serde(default)]
    name: Arc<str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<Digest>,
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum PidMode {
    #[default]
    Own,
    Host,
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Privilege {
    #[default]
    Confined,
    Privileged,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum OnChange {
    Replace,
    Reload,
}

impl From<&ContainerSpec> for Spec {
    fn from(spec: &ContainerSpec) -> Self {
        let ContainerSpec { image, command, env, binds, pid, privilege, user, reads, ciphers, version } =
            spec;
        let cipher = |cipher: &windlass_model::Cipher| {
            let windlass_model::Cipher { provider, name, key } = cipher.clone();
            Cipher { provider, name, key }
        };
        let on_change = |change: &windlass_model::OnChange| match change {
            windlass_model::OnChange::Replace => OnChange::Replace,
            windlass_model::OnChange::Reload => OnChange::Reload,
        };
        Self {
            image: image.clone(),
            command: command.clone(),
            env: env.clone(),
            binds: binds.clone(),
            pid: match pid {
                windlass_model::PidMode::Own => PidMode::Own,
                windlass_model::PidMode::Host => PidMode::Host,
            },
            privilege: match privilege {
                windlass_model::Privilege::Confined => Privilege::Confined,
                windlass_model::Privilege::Privileged => Privilege::Privileged,
            },
            user: user.clone(),
            reads: reads.iter().map(|(path, change)| (path.clone(), on_change(change))).collect(),
            ciphers: ciphers
                .0
                .iter()
                .map(|(resource, ways)| (resource.clone(), ways.iter().map(cipher).collect()))
                .collect(),
            version: version.as_ref().map(ToString::to_string),
        }
    }
}

impl TryFrom<Spec> for ContainerSpec {
    type Error = NotAVersion;

    fn try_from(spec: Spec) -> Result<Self, NotAVersion> {
        let Spec { image, command, env, binds, pid, privilege, user, reads, ciphers, version } = spec;
        let cipher = |cipher| {
            let Cipher { provider, name, key } = cipher;
            windlass_model::Cipher { provider, name, key }
        };
        let on_change = |change| match change {
            OnChange::Replace => windlass_model::OnChange::Replace,
            OnChange::Reload => windlass_model::OnChange::Reload,
        };
        Ok(Self {
            image,
            command,
            env,
            binds,
            pid: match pid {
                PidMode::Own => windlass_model::PidMode::Own,
                PidMode::Host => windlass_model::PidMode::Host,
            },
            privilege: match privilege {
                Privilege::Confined => windlass_model::Privilege::Confined,
                Privilege::Privileged => windlass_model::Privilege::Privileged,
            },
            user,
            reads: reads.into_iter().map(|(path, change)| (path, on_change(change))).collect(),
            ciphers: Ciphers(
                ciphers
                    .into_iter()
                    .map(|(resource, ways)| (resource, ways.into_iter().map(cipher).collect()))
                    .collect(),
            ),
            version: version.map(|version| version.parse::<KubernetesVersion>()).transpose()?,
        })
    }
}

//! Gives the fleet what cluster.yml says about how machines are reached.

use std::path::PathBuf;

use windlass_blueprint::{NODE_IMAGE, REGISTRY_AUTH};
use windlass_model::Secret;
use windlass_remote::{Access, Agent, Bastion, HostKeys, KeySource, Settings};
use windlass_spec::ClusterSpec;

use windlass_course::Desired;

/// What the fleet must know of this cluster.yml.
///
/// # Errors
/// The program does not find its own file, which it copies to nodes.
pub(crate) fn settings(desired: &Desired, host_keys: HostKeys) -> std::io::Result<Settings> {
    let spec = desired.spec();
    let nodes = spec.nodes.iter().map(|node| {
        let keys = Keys {
            key: node.ssh_key.as_ref(),
            key_path: node.ssh_key_path.as_deref(),
            certificate: node.ssh_cert.as_deref(),
            certificate_path: node.ssh_cert_path.as_deref(),
            agent: node.ssh_agent_auth,
        };
        (node.name(), keys.access(spec))
    });
    let bastion = spec.bastion_host.as_ref().map(|bastion| {
        let keys = Keys {
            key: bastion.ssh_key.as_ref(),
            key_path: bastion.ssh_key_path.as_deref(),
            certificate: bastion.ssh_cert.as_deref(),
            certificate_path: bastion.ssh_cert_path.as_deref(),
            agent: bastion.ssh_agent_auth,
        };
        Bastion {
            address: bastion.address.clone(),
            port: bastion.port.unwrap_or(22),
            user: bastion.user.clone().unwrap_or_else(|| "root".to_owned()),
            access: keys.access(spec),
        }
    });
    Ok(Settings {
        host_keys,
        known_hosts: None,
        access: nodes.collect(),
        common_access: Keys::default().access(spec),
        bastion,
        registry_auth: desired.secrets().get(REGISTRY_AUTH).cloned(),
        node_image: NODE_IMAGE.into(),
        program: std::env::current_exe()?,
    })
}

/// The keys of cluster.yml that open one machine.
#[derive(Default)]
struct Keys<'a> {
    key: Option<&'a Secret<String>>,
    key_path: Option<&'a str>,
    certificate: Option<&'a str>,
    certificate_path: Option<&'a str>,
    agent: Option<bool>,
}

impl Keys<'_> {
    /// A text in the file comes before a file that it names, and the machine's own before the one that all
    /// share.
    fn access(&self, spec: &ClusterSpec) -> Access {
        let path = |path: &str| KeySource::Path(PathBuf::from(path));
        let key = self.key.cloned().map(KeySource::Inline);
        let certificate = self.certificate.map(|text| KeySource::Inline(Secret::new(text.to_owned())));
        let agent = spec.ssh_agent_auth.or(self.agent).unwrap_or(false);
        Access {
            key: key.or_else(|| self.key_path.or(spec.ssh_key_path.as_deref()).map(path)),
            certificate: certificate
                .or_else(|| self.certificate_path.or(spec.ssh_cert_path.as_deref()).map(path)),
            agent: if agent { Agent::Always } else { Agent::WithoutKey },
        }
    }
}

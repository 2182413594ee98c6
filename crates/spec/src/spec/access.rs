//! Who may come in and by which door: authentication, registries, the bastion.

use serde::Serialize;

use windlass_model::Secret;

/// `authentication`: who the API server believes.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct AuthenticationSpec {
    /// `strategy`, split at its vertical bar: `x509`, or `x509` and `webhook`; empty if absent.
    pub strategy: Vec<String>,
    /// `sans`: further names and addresses in the API server's certificate.
    pub sans: Vec<String>,
    /// `webhook`; given alone, it is switched on as if the strategy named it.
    pub webhook: Option<WebhookSpec>,
}

/// `authentication.webhook`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct WebhookSpec {
    /// `config_file`: the text of the webhook's kubeconfig, which may hold credentials.
    pub config_file: Option<Secret<String>>,
    /// `cache_timeout`, a duration such as `5s`.
    pub cache_timeout: Option<String>,
}

/// `authorization.mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AuthorizationMode {
    /// Role-based access control.
    Rbac,
    /// Everybody may do everything.
    None,
}

/// One entry of `private_registries`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RegistrySpec {
    /// `url`: the registry's host, perhaps with a path; Docker Hub if absent.
    pub url: Option<String>,
    /// `user`.
    pub user: Option<String>,
    /// `password`.
    pub password: Option<Secret<String>>,
    /// `is_default`: whether system images are pulled through this registry.
    pub is_default: bool,
    /// `ecr_credential_plugin`: credentials for Amazon's registry.
    pub ecr_credential_plugin: Option<EcrSpec>,
}

/// `private_registries[].ecr_credential_plugin`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct EcrSpec {
    /// `aws_access_key_id`; ambient credentials if absent.
    pub access_key_id: Option<String>,
    /// `aws_secret_access_key`.
    pub secret_access_key: Option<Secret<String>>,
    /// `aws_session_token`.
    pub session_token: Option<Secret<String>>,
}

/// `bastion_host`: the one host through which every node is reached.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BastionSpec {
    /// `address`.
    pub address: String,
    /// `port` of sshd.
    pub port: Option<u16>,
    /// `user`.
    pub user: Option<String>,
    /// `ssh_agent_auth`; RKE 1 let the key of the top level win.
    pub ssh_agent_auth: Option<bool>,
    /// `ssh_key`: the private key itself.
    pub ssh_key: Option<Secret<String>>,
    /// `ssh_key_path`.
    pub ssh_key_path: Option<String>,
    /// `ssh_cert`: the SSH certificate itself.
    pub ssh_cert: Option<String>,
    /// `ssh_cert_path`.
    pub ssh_cert_path: Option<String>,
}

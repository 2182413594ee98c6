//! `cloud_provider`: the cloud that the nodes run in.

use serde::Serialize;
use serde_json::Value;

use windlass_model::Secret;

/// `cloud_provider`; the settings of a cloud hold credentials, so that they are secret as a whole.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct CloudProviderSpec {
    /// `name`.
    pub name: Option<String>,
    /// `useInstanceMetadataHostname`: name nodes as the cloud does.
    pub use_instance_metadata_hostname: Option<bool>,
    /// `awsCloudProvider`, by the names of cluster.yml.
    pub aws: Option<Secret<Value>>,
    /// `azureCloudProvider`, by the names of cluster.yml.
    pub azure: Option<Secret<Value>>,
    /// `openstackCloudProvider`, by the names of cluster.yml.
    pub openstack: Option<Secret<Value>>,
    /// `vsphereCloudProvider`, by the names of cluster.yml.
    pub vsphere: Option<Secret<Value>>,
    /// `harvesterCloudProvider.cloud_config`: a kubeconfig.
    pub harvester: Option<Secret<String>>,
    /// `customCloudProvider`: the whole configuration file of a provider by `name`.
    pub custom: Option<Secret<String>>,
}

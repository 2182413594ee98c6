//! Which clouds the programs of Kubernetes know, by version.

use windlass_addons::Problems;
use windlass_spec::ServiceSpec;

use crate::cloud::flag_of;
use crate::cluster::Cluster;

/// The clouds that were part of Kubernetes' programs, with the first minor version without each.
///
/// Sources: #72178 of kubernetes/kubernetes, the notes of 1.26, 1.27 and 1.31, and
/// <https://kubernetes.io/blog/2023/12/14/cloud-provider-integration-changes/>.
const WITHIN: [(&str, u32); 8] = [
    ("cloudstack", 15),
    ("ovirt", 15),
    ("photon", 15),
    ("openstack", 26),
    ("aws", 27),
    ("azure", 29),
    ("gce", 29),
    ("vsphere", 29),
];

/// From 1.29 to 1.30 the last ones are there for those who ask for them.
const ASKED_FOR: u32 = 31;

const PLACE: &str = "cloud_provider.name";

/// Reports a cloud that no version has, or this one no longer. RKE 1 refused `aws` alone.
pub(crate) fn check(cluster: &Cluster<'_>, problems: &mut Problems) {
    let Some(cloud) = &cluster.spec.cloud_provider else { return };
    let name = flag_of(cloud);
    let version = &cluster.images.version;
    if name.is_empty() || name == "external" {
        return;
    }
    let Some((_, since)) = WITHIN.iter().find(|(within, _)| *within == name) else {
        unknown(name, problems);
        return;
    };
    let since = if *since == 29 && is_asked_for(cluster) { ASKED_FOR } else { *since };
    if !version.at_least(1, since) {
        return;
    }
    if cloud.name.as_deref() == Some("aws") {
        problems.error(
            PLACE,
            format!("Kubernetes has no cloud provider `aws` from 1.27 on, and this is {version}"),
            Some("write `external-aws`, and run Amazon's provider in the cluster".to_owned()),
        );
        return;
    }
    problems.warning(
        PLACE,
        format!(
            "Kubernetes has no cloud provider `{name}` from 1.{since} on, and this is {version}: its programs do not start"
        ),
        Some(
            "write `name: external`, the settings under `customCloudProvider`, and run the cloud's own controllers in \
             the cluster"
                .to_owned(),
        ),
    );
}

fn unknown(name: &str, problems: &mut Problems) {
    // The words of RKE 1 for those outside of the programs; with `customCloudProvider` they are passed on as they are.
    let outside = ["external", "external-aws", "harvester"];
    let all = WITHIN.iter().map(|(name, _)| *name).chain(outside);
    let help = match windlass_spec::nearest(name, all) {
        _ if name == "none" => "leave `name` out".to_owned(),
        Some(near) if near != name => format!("did you mean `{near}`?"),
        _ => "write `external` for one that runs in the cluster, or leave `name` out".to_owned(),
    };
    problems.warning(
        PLACE,
        format!("Kubernetes knows no cloud provider `{name}`: kubelet does not start with it"),
        Some(help),
    );
}

fn is_asked_for(cluster: &Cluster<'_>) -> bool {
    let services = &cluster.spec.services;
    let asks = |service: &ServiceSpec| {
        service
            .argument("feature-gates")
            .is_some_and(|gates| gates.value.contains("DisableCloudProviders=false"))
    };
    asks(&services.kubelet.service) && asks(&services.kube_controller.service)
}

//! Directories of etcd and kubelet at places of the user's own: mounted from the node, and so that the component can work
//! with them.

use windlass_addons::Problems;
use windlass_model::Component;

use crate::cluster::Cluster;
use crate::mounts::{self, Mount};
use crate::services::service_of;
use crate::values::ClusterValues;

/// Reports directories that are in the container alone, or that the component cannot work with.
pub(crate) fn check(cluster: &Cluster<'_>, values: &ClusterValues, problems: &mut Problems) {
    for (component, flag) in
        [(Component::Etcd, "data-dir"), (Component::Etcd, "wal-dir"), (Component::Kubelet, "root-dir")]
    {
        if component == Component::Etcd && !cluster.spec.services.etcd.external_urls.is_empty() {
            continue;
        }
        let Some((service, path)) = service_of(component, cluster) else { continue };
        let Some(argument) = service.argument(flag) else { continue };
        let own = mounts::own(component, cluster, values);
        let all = service.extra_binds.iter().chain(&own).map(|text| Mount::of(text));
        let mount = all.filter(|mount| mount.holds(argument.value)).max_by_key(Mount::depth);
        let place = format!("{path}.{}", argument.path());
        check_place(flag, argument.value, mount.as_ref(), &place, problems);
    }
}

fn check_place(flag: &str, directory: &str, mount: Option<&Mount<'_>>, place: &str, problems: &mut Problems) {
    let is_kubelet = flag == "root-dir";
    let shared = if is_kubelet { ":shared" } else { "" };
    let remedy = format!("write `{directory}:{directory}{shared}` under `extra_binds`");
    let Some(mount) = mount else {
        let lost = match flag {
            "data-dir" => "etcd's data goes",
            "wal-dir" => "etcd's log goes",
            _ => "the volumes of pods go",
        };
        let summary = format!("`{directory}` is in the container alone: {lost} with it");
        problems.warning(place, summary, Some(remedy));
        return;
    };
    if mount.has("ro") {
        let summary = format!("`{directory}` is mounted for reading alone, and {flag} is written to");
        problems.error(place, summary, Some("take `ro` out of the mount".to_owned()));
    } else if is_kubelet && !mount.is_same_path() {
        // Docker and containerd get kubelet's paths and look for them on the node.
        let summary = format!("`{directory}` is another path on the node: pods do not find their volumes");
        problems.warning(place, summary, Some(remedy));
    } else if is_kubelet && !mount.has("shared") && !mount.has("rshared") {
        let summary = format!("the mount of `{directory}` is not shared: pods do not see their volumes");
        problems.warning(place, summary, Some(remedy));
    } else if flag == "wal-dir" {
        problems.warning(
            place,
            "windlass looks for etcd's log in its data directory: it takes a member without a container for one \
             without data"
                .to_owned(),
            Some("leave it out, or take no member's container away by hand".to_owned()),
        );
    }
}

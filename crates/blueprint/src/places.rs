//! Directories of etcd and kubelet at places of the user's own: mounted from the node, and so that the component can work
//! with them.

use windlass_addons::Problems;
use windlass_model::{Component, clean};

use crate::cluster::Cluster;
use crate::mounts::{self, Mount};
use crate::services::service_of;
use crate::values::ClusterValues;
use windlass_spec::ServiceSpec;

/// Reports directories that are in the container alone, or that the component cannot work with.
pub(crate) fn check(cluster: &Cluster<'_>, values: &ClusterValues, problems: &mut Problems) {
    let is_external = !cluster.spec.services.etcd.external_urls.is_empty();
    if !is_external {
        check_inside(cluster, values, problems);
    }
    for (component, flag) in
        [(Component::Etcd, "data-dir"), (Component::Etcd, "wal-dir"), (Component::Kubelet, "root-dir")]
    {
        if component == Component::Etcd && is_external {
            continue;
        }
        let Some((service, path)) = service_of(component, cluster) else { continue };
        let Some((directory, place)) = given(service, flag) else { continue };
        let own = mounts::own(component, cluster, values);
        let all = service.extra_binds.iter().chain(&own).map(|text| Mount::of(text));
        let mount = all.filter(|mount| mount.holds(directory)).max_by_key(Mount::depth);
        let place = format!("{path}.{place}");
        check_place(flag, directory, mount.as_ref(), &place, problems);
        if flag == "wal-dir" {
            note_owner(cluster, directory, &place, problems);
        }
    }
}

/// A mount within etcd's data takes a part of it elsewhere.
fn check_inside(cluster: &Cluster<'_>, values: &ClusterValues, problems: &mut Problems) {
    let Some((service, path)) = service_of(Component::Etcd, cluster) else { return };
    let usual = mounts::own_data_of_etcd(cluster, values);
    let data = given(service, "data-dir").map(|(directory, _)| directory.to_owned()).or(usual);
    let Some(data) = data else { return };
    let member = Mount::of(&format!("/:{data}/member")).target().to_owned();
    for (index, bind) in service.extra_binds.iter().enumerate() {
        let target = Mount::of(bind).target().to_owned();
        if target == member || target.starts_with(&format!("{member}/")) {
            let summary =
                format!("`{bind}` is within the data of a member of etcd, which must be in one place");
            let remedy = format!("mount `{data}`, and set `wal-dir` for a log on another disk");
            problems.error(&format!("{path}.extra_binds[{index}]"), summary, Some(remedy));
        }
    }
}

/// The value of a flag, and its place in the service. etcd reads a variable where the flag of its log is missing.
fn given<'a>(service: &'a ServiceSpec, flag: &str) -> Option<(&'a str, String)> {
    if let Some(argument) = service.argument(flag) {
        return Some((argument.value, argument.path()));
    }
    let in_env = |(index, variable): (usize, &'a String)| {
        let value = variable.strip_prefix("ETCD_WAL_DIR=").filter(|value| !value.is_empty())?;
        Some((value, format!("extra_env[{index}]")))
    };
    service.extra_env.iter().enumerate().filter(|_| flag == "wal-dir").filter_map(in_env).next_back()
}

fn check_place(flag: &str, directory: &str, mount: Option<&Mount<'_>>, place: &str, problems: &mut Problems) {
    let is_kubelet = flag == "root-dir";
    let shared = if is_kubelet { ":shared" } else { "" };
    let remedy = format!("write `{directory}:{directory}{shared}` under `extra_binds`");
    let Some(mount) = mount else {
        let alone = format!("`{directory}` is in the container alone");
        match flag {
            // Each change of etcd's container would be the loss of a member.
            "data-dir" => problems.error(place, format!("{alone}: etcd's data goes with it"), Some(remedy)),
            "wal-dir" => {
                let above = directory.trim_end_matches('/').rsplit_once('/').map_or("", |(above, _)| above);
                let remedy = format!("write `{above}:{above}` under `extra_binds`");
                problems.error(place, format!("{alone}: etcd's log goes with it"), Some(remedy));
            }
            _ => problems.warning(place, format!("{alone}: the volumes of pods go with it"), Some(remedy)),
        }
        return;
    };
    if !is_kubelet && !mount.is_of_node() {
        let summary = format!("`{directory}` is in a volume of Docker, where windlass finds no data of etcd");
        problems.error(place, summary, Some("mount a directory of the node".to_owned()));
    } else if mount.has("ro") {
        let summary = format!("`{directory}` is mounted for reading alone, and {flag} is written to");
        problems.error(place, summary, Some("take `ro` out of the mount".to_owned()));
    } else if is_kubelet && !mount.is_same_path() {
        // Docker and containerd get kubelet's paths and look for them on the node.
        let summary = format!("`{directory}` is another path on the node: pods do not find their volumes");
        problems.warning(place, summary, Some(remedy));
    } else if is_kubelet && !mount.has("shared") && !mount.has("rshared") {
        let summary = format!("the mount of `{directory}` is not shared: pods do not see their volumes");
        problems.warning(place, summary, Some(remedy));
    } else if flag == "wal-dir" && mount.is_at(directory) {
        // `renameWAL` of `server/storage/wal/wal.go`: a mount point can be neither deleted nor replaced.
        let summary =
            format!("`{directory}` is a mount itself: etcd puts another directory in its place, and cannot");
        let remedy = format!("set wal-dir to a directory below, such as `{}/wal`", clean(directory));
        problems.error(place, summary, Some(remedy));
    }
}

/// etcd makes the directory of its log itself: only where it may write to the one above.
fn note_owner(cluster: &Cluster<'_>, directory: &str, place: &str, problems: &mut Problems) {
    let etcd = &cluster.spec.services.etcd;
    if let (Some(uid), Some(_)) = (etcd.uid, etcd.gid) {
        let summary =
            format!("etcd creates `{directory}` as the user {uid}, and windlass gives it its data alone");
        let remedy = "give the directory above to that user on each node of etcd".to_owned();
        problems.warning(place, summary, Some(remedy));
    }
}

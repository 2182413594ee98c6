//! The links of a chain of upgrades: from what runs to what cluster.yml names, each as far as Kubernetes and etcd allow one
//! to go at once.
//!
//! ```text
//! v1.31.9, etcd 3.5.16 ─▶ v1.32.6 ─▶ etcd 3.5.35 ─▶ v1.33.13 ─▶ v1.34.10, etcd 3.6.16 ─▶ … ─▶ v1.37.2, etcd 3.7.3
//! ```
//!
//! Nothing is remembered: the next link follows from what runs, so a run that was cut off goes on with the same one.

use windlass_model::{ContainerSpec, EtcdVersion, KubernetesVersion, tag_of};
use windlass_spec::ClusterSpec;

use crate::catalog::{Catalog, Minor};
use crate::flags::{Fate, fate};
use crate::images::{self, OF_KUBERNETES};
use windlass_addons::Problems;

/// What runs, as far as the next link depends on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Running {
    /// The oldest version of an API server.
    pub kubernetes: KubernetesVersion,
    /// The images of the members of etcd; none where etcd is none of the cluster's nodes.
    pub etcd: Vec<String>,
    /// Whether every member of etcd holds a snapshot of its own log that is newer than the last member of 3.5.
    pub log: EtcdLog,
}

impl Running {
    fn oldest_etcd(&self) -> Option<EtcdVersion> {
        self.etcd.iter().filter_map(|image| EtcdVersion::of_image(image)).min()
    }

    /// Whether members of etcd have different versions.
    pub fn has_two_etcds(&self) -> bool {
        let mut versions = self.etcd.iter().filter_map(|image| EtcdVersion::of_image(image));
        versions.next().is_some_and(|first| versions.any(|other| other != first))
    }
}

/// Whether etcd's log begins after the last entry that a member of 3.5 wrote.
///
/// etcd 3.7 cannot read those entries and ends at every start where it has to, as it replays them: 3.5 wrote changes of the
/// membership in the form of the v2 store, which 3.7 dropped (`server/etcdserver/apply`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EtcdLog {
    /// It does, on every member.
    PastMinor5,
    /// It does not on some member, or that is not known.
    Unknown,
}

/// One link of the chain.
#[derive(Clone, Debug, PartialEq)]
pub struct Link {
    /// The version of Kubernetes.
    pub kubernetes: KubernetesVersion,
    /// The version of etcd with its `v`; none where etcd is none of the cluster's nodes.
    pub etcd: Option<String>,
    /// Whether members snapshot their log early, so that it begins after the last entry of 3.5.
    pub snapshots_log: bool,
    /// cluster.yml as it would name these versions.
    pub spec: ClusterSpec,
}

/// After how many entries a member of etcd snapshots its log in the link that brings that about.
const EARLY_SNAPSHOTS: &str = "50";
/// The flag of etcd for it.
const SNAPSHOT_COUNT: &str = "snapshot-count";
/// More links than any chain has.
const MOST_LINKS: usize = 64;
/// From this patch of 3.5 on members tell 3.6 who was removed; before it, removed members come back
/// (<https://github.com/etcd-io/etcd/issues/20967>).
const FIT_FOR_3_6: (u32, u32, u32) = (3, 5, 26);
/// From this patch of 3.6 on the way to 3.7 is supported (<https://etcd.io/docs/v3.7/upgrades/upgrade_3_7/>).
const FIT_FOR_3_7: (u32, u32, u32) = (3, 6, 11);

/// The links from what runs to what cluster.yml names, this one last; that one alone where it is reached at once.
pub fn links(spec: &ClusterSpec, catalog: &Catalog, running: &Running) -> Vec<Link> {
    let target = Target::of(spec, catalog);
    let mut now =
        Versions { kubernetes: running.kubernetes.clone(), etcd: running.oldest_etcd(), log: running.log };
    let mut links = Vec::new();
    // Each link goes on; a chain is never longer than its versions of Kubernetes and etcd together.
    while let Some(next) = target.next(spec, catalog, &now).filter(|_| links.len() < MOST_LINKS) {
        let is_last = next.kubernetes == target.kubernetes && next.etcd == target.etcd && !next.snapshots_log;
        if is_last {
            break;
        }
        links.push(target.link(spec, catalog, &next));
        now = Versions { kubernetes: next.kubernetes, etcd: next.etcd, log: next.log };
    }
    links.push(Link {
        kubernetes: target.kubernetes,
        etcd: target.etcd.map(|etcd| etcd.to_string()),
        snapshots_log: false,
        spec: spec.clone(),
    });
    links
}

/// cluster.yml as it would name the versions that run: what is unfinished there is finished by it.
pub fn as_running(spec: &ClusterSpec, catalog: &Catalog, running: &Running) -> Link {
    let etcd = running.oldest_etcd();
    let step = Step { kubernetes: running.kubernetes.clone(), etcd, snapshots_log: false, log: running.log };
    Target::of(spec, catalog).link(spec, catalog, &step)
}

/// What runs at one point of the chain.
struct Versions {
    kubernetes: KubernetesVersion,
    etcd: Option<EtcdVersion>,
    log: EtcdLog,
}

/// What one link leads to.
struct Step {
    kubernetes: KubernetesVersion,
    etcd: Option<EtcdVersion>,
    snapshots_log: bool,
    log: EtcdLog,
}

/// What cluster.yml names.
struct Target {
    kubernetes: KubernetesVersion,
    etcd: Option<EtcdVersion>,
    etcd_image: Option<String>,
}

impl Target {
    fn of(spec: &ClusterSpec, catalog: &Catalog) -> Self {
        let images = images::choose(spec, catalog, &mut Problems::default());
        let etcd_image = images.of("etcd").map(|etcd| etcd.image.to_string());
        Self { kubernetes: images.version.clone(), etcd: images.etcd, etcd_image }
    }

    /// The next step from here; none where all is reached.
    fn next(&self, spec: &ClusterSpec, catalog: &Catalog, now: &Versions) -> Option<Step> {
        let (here, there) = (Minor::of(&now.kubernetes), Minor::of(&self.kubernetes));
        let kubernetes = if there.0 == here.0 && there.1 > here.1 + 1 {
            version_of(spec, catalog, Minor(here.0, here.1 + 1))?
        } else {
            self.kubernetes.clone()
        };
        let stays = |etcd, snapshots_log, log| {
            Some(Step { kubernetes: now.kubernetes.clone(), etcd, snapshots_log, log })
        };
        let (Some(from), Some(to)) = (now.etcd, self.etcd) else {
            return Some(Step { kubernetes, etcd: self.etcd, snapshots_log: false, log: now.log });
        };
        let is_last = kubernetes == self.kubernetes;
        // No later than the target's, and no earlier than what runs: a step back is not the chain's to judge.
        let of_link = match catalog.etcd_of(&kubernetes) {
            Some(own) if !is_last && from <= to => own.min(to).max(from),
            _ => to,
        };
        match way(from, of_link, now.log) {
            Way::Direct => {
                let log = if from.minor() < (3, 6) && of_link.minor() >= (3, 6) {
                    EtcdLog::Unknown
                } else {
                    now.log
                };
                Some(Step { kubernetes, etcd: Some(of_link), snapshots_log: false, log })
            }
            Way::By(minor) => stays(catalog.newest_etcd(minor).or(Some(of_link)), false, now.log),
            Way::SnapshotsFirst => stays(Some(from), true, EtcdLog::PastMinor5),
        }
    }

    fn link(&self, spec: &ClusterSpec, catalog: &Catalog, step: &Step) -> Link {
        let mut at = spec.clone();
        let named = spec.windlass.links.get(&step.kubernetes);
        if step.kubernetes != self.kubernetes {
            at.kubernetes_version = Some(step.kubernetes.clone());
            rename_images(&mut at, &self.kubernetes, &step.kubernetes);
            leave_out_flags(&mut at, Minor::of(&step.kubernetes));
        }
        if let (Some(etcd), Some(target), Some(image)) = (step.etcd, self.etcd, &self.etcd_image)
            && etcd != target
        {
            let image = retagged(image, etcd).or_else(|| catalog.etcd_image(etcd));
            at.system_images.extend(image.map(|image| ("etcd".to_owned(), image)));
        }
        for (key, image) in named.into_iter().flatten() {
            at.system_images.insert(key.clone(), image.clone());
        }
        if step.snapshots_log {
            let arguments = &mut at.services.etcd.service.extra_args;
            arguments.insert(SNAPSHOT_COUNT.to_owned(), EARLY_SNAPSHOTS.to_owned());
        }
        Link {
            kubernetes: step.kubernetes.clone(),
            etcd: step.etcd.map(|etcd| etcd.to_string()),
            snapshots_log: step.snapshots_log,
            spec: at,
        }
    }
}

/// Whether a member is the one of a link in which members snapshot their logs early.
pub fn snapshots_log_early(etcd: &ContainerSpec) -> bool {
    etcd.flag(SNAPSHOT_COUNT) == Some(EARLY_SNAPSHOTS)
}

/// How etcd gets from one version to another.
#[derive(Debug, PartialEq, Eq)]
enum Way {
    /// At once.
    Direct,
    /// By the newest of this minor version.
    By((u32, u32)),
    /// Once members have snapshots of their logs that are newer than the last member of 3.5.
    SnapshotsFirst,
}

/// Source: the guides at <https://etcd.io/docs/latest/upgrades/>: one minor version at a time, from its newest patches.
fn way(from: EtcdVersion, to: EtcdVersion, log: EtcdLog) -> Way {
    let (here, there) = (from.minor(), to.minor());
    if there <= here {
        return Way::Direct;
    }
    match here {
        (3, 5) if from.numbers() < FIT_FOR_3_6 => Way::By(here),
        (3, 6) if from.numbers() < FIT_FOR_3_7 => Way::By(here),
        (3, 6) if log == EtcdLog::Unknown => Way::SnapshotsFirst,
        _ if there.1 > here.1 + 1 => Way::By((here.0, here.1 + 1)),
        _ => Way::Direct,
    }
}

/// The version by which a chain goes through a minor version: that of `windlass.links`, else the newest that is known.
fn version_of(spec: &ClusterSpec, catalog: &Catalog, minor: Minor) -> Option<KubernetesVersion> {
    let named = spec.windlass.links.keys().find(|version| Minor::of(version) == minor);
    named.cloned().or_else(|| catalog.newest_of(minor))
}

/// The images of Kubernetes that cluster.yml names by the version's tag, with another version's; others are taken out, so
/// that the catalog's are taken.
fn rename_images(spec: &mut ClusterSpec, from: &KubernetesVersion, to: &KubernetesVersion) {
    let (from, to) = (from.to_string(), to.to_string());
    for key in OF_KUBERNETES.into_iter().chain(["kubernetes"]) {
        let Some(image) = spec.system_images.get_mut(key) else { continue };
        match image.strip_suffix(&from) {
            Some(name) if name.ends_with(':') => *image = format!("{name}{to}"),
            _ => drop(spec.system_images.remove(key)),
        }
    }
}

/// An image of etcd with the tag of another version, in the form of its own tag.
fn retagged(image: &str, to: EtcdVersion) -> Option<String> {
    let tag = tag_of(image)?;
    let own = EtcdVersion::of_image(image)?;
    let (own, to) = (own.to_string(), to.to_string());
    let tag_to = if tag == own {
        to
    } else if tag == own.trim_start_matches('v') {
        to.trim_start_matches('v').to_owned()
    } else {
        // What follows a version, as `-0` or `-rancher1`, says nothing about another's.
        return None;
    };
    Some(format!("{}{tag_to}", image.strip_suffix(tag)?))
}

/// Flags of cluster.yml that this version does not have are left out.
fn leave_out_flags(spec: &mut ClusterSpec, minor: Minor) {
    use windlass_model::Component::{
        KubeApiserver, KubeControllerManager, KubeProxy, KubeScheduler, Kubelet,
    };
    let services = &mut spec.services;
    for (component, service) in [
        (KubeApiserver, &mut services.kube_api.service),
        (KubeControllerManager, &mut services.kube_controller.service),
        (KubeScheduler, &mut services.scheduler),
        (Kubelet, &mut services.kubelet.service),
        (KubeProxy, &mut services.kubeproxy),
    ] {
        let is_known = |flag: &String| matches!(fate(component, flag, Some(minor)), Fate::Known);
        service.extra_args.retain(|flag, _| is_known(flag));
        service.extra_args_array.retain(|flag, _| is_known(flag));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn etcd(text: &str) -> EtcdVersion {
        text.parse().unwrap()
    }

    #[test]
    fn etcd_goes_one_minor_version_at_a_time_and_from_patches_that_are_fit() {
        use EtcdLog::{PastMinor5 as Yes, Unknown as NotYet};
        for (from, to, past, expected) in [
            ("v3.5.16", "v3.5.35", NotYet, Way::Direct),
            ("v3.4.14-rancher1", "v3.5.35", NotYet, Way::Direct),
            ("v3.4.14-rancher1", "v3.6.16", NotYet, Way::By((3, 5))),
            ("v3.5.16-rancher1", "v3.6.16", NotYet, Way::By((3, 5))),
            ("v3.5.26", "v3.6.16", NotYet, Way::Direct),
            ("v3.5.35", "v3.7.3", NotYet, Way::By((3, 6))),
            ("v3.6.4", "v3.7.3", Yes, Way::By((3, 6))),
            ("v3.6.16", "v3.7.3", NotYet, Way::SnapshotsFirst),
            ("v3.6.16", "v3.7.3", Yes, Way::Direct),
        ] {
            assert_eq!(way(etcd(from), etcd(to), past), expected, "{from} to {to}");
        }
    }

    #[test]
    fn an_image_of_etcd_keeps_the_form_of_its_tag() {
        let to = etcd("v3.6.16");
        assert_eq!(retagged("r:5000/lab/etcd:v3.7.3", to).as_deref(), Some("r:5000/lab/etcd:v3.6.16"));
        assert_eq!(retagged("r/etcd:3.7.3", to).as_deref(), Some("r/etcd:3.6.16"));
        assert_eq!(retagged("rancher/mirrored-coreos-etcd:v3.5.16-rancher1", to), None);
    }
}

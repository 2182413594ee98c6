//! The labels of a container that windlass creates: how they are written, and how those of every release are
//! read.
//!
//! Labels cannot be changed on an existing container. Every later release must read what a release has once
//! written, with the same meaning: otherwise a newer windlass would replace the containers of every cluster.
//!
//! ```text
//! NewContainer ─▶ v1::Spec ─▶ io.windlass.format: "1"   the number of the format; format 1 where absent
//!                             io.windlass.spec          its spec
//!                             io.windlass.birth         arguments after the spec's
//!                             io.windlass.loaded        digests of the files that it read at its start
//!                             io.windlass.lineage       its cluster; absent in earlier releases
//! ```

mod v1;

use std::collections::{BTreeMap, HashMap};
use std::hash::BuildHasher;
use std::sync::Arc;

use windlass_model::{Lineage, Loaded};

use crate::ports::NewContainer;

/// The number of the format in which the other labels are written. Releases before it wrote format 1 without it.
pub const FORMAT: &str = "io.windlass.format";
/// The spec of a container, as JSON; it contains no secret.
pub const SPEC: &str = "io.windlass.spec";
/// The arguments after the spec's that counted only when its data was created, as JSON.
pub const BIRTH: &str = "io.windlass.birth";
/// The digests of the files that it read at its start, as JSON.
pub const LOADED: &str = "io.windlass.loaded";
/// The lineage of the cluster for which it was created. Containers of earlier releases have none.
pub const LINEAGE: &str = "io.windlass.lineage";
/// The label by which RKE 1 knows its containers (`ContainerNameLabel` of `services/services.go` in
/// rancher/rke).
const OF_RKE: &str = "io.rancher.rke.container.name";

/// The format that is written.
const NEWEST: &str = "1";

/// What the labels of a container say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Labelled {
    /// windlass did not create it.
    Foreign,
    /// RKE 1 created it.
    Rke,
    /// windlass created it from this.
    Ours(NewContainer),
    /// windlass created it, and this version cannot read from what: the labels have a newer format, or are
    /// damaged.
    Unreadable,
}

/// The labels of a container that is about to be created.
pub fn labels_of(new: &NewContainer) -> BTreeMap<&'static str, String> {
    let NewContainer { spec, birth, loaded, lineage, beside_data: _, beside_log: _ } = new;
    let json = |value: serde_json::Result<String>| value.expect("plain data with keys of text is JSON");
    let lineage = lineage.as_ref().map(|lineage| (LINEAGE, lineage.to_string()));
    let labels = [
        (FORMAT, NEWEST.to_owned()),
        (SPEC, json(serde_json::to_string(&v1::Spec::from(&**spec)))),
        (BIRTH, json(serde_json::to_string(birth))),
        (LOADED, json(serde_json::to_string(loaded))),
    ];
    labels.into_iter().chain(lineage).collect()
}

/// Reads the labels of an existing container.
pub fn read_labels<S: BuildHasher>(labels: &HashMap<String, String, S>) -> Labelled {
    let label = |name: &str| labels.get(name).map(String::as_str);
    let format = label(FORMAT);
    if format.is_none() && label(SPEC).is_none() {
        return if label(OF_RKE).is_some() { Labelled::Rke } else { Labelled::Foreign };
    }
    match format {
        None | Some("1") => {
            let read = read_v1(label(SPEC), label(BIRTH), label(LOADED), label(LINEAGE));
            read.map_or(Labelled::Unreadable, Labelled::Ours)
        }
        Some(_) => Labelled::Unreadable,
    }
}

fn read_v1(
    spec: Option<&str>,
    birth: Option<&str>,
    loaded: Option<&str>,
    lineage: Option<&str>,
) -> Option<NewContainer> {
    let spec: v1::Spec = serde_json::from_str(spec?).ok()?;
    let birth: Vec<Arc<str>> = serde_json::from_str(birth?).ok()?;
    let loaded: Loaded = serde_json::from_str(loaded?).ok()?;
    let lineage = lineage.map(Lineage::from);
    Some(NewContainer {
        spec: Arc::new(spec.try_into().ok()?),
        birth,
        loaded,
        lineage,
        beside_data: None,
        beside_log: None,
    })
}

#[cfg(test)]
mod tests {
    use windlass_model::{Cipher, Ciphers, ContainerSpec, Digest, OnChange, PidMode, Privilege, SECRETS};

    use super::*;

    fn new() -> NewContainer {
        let texts = |texts: &[&str]| texts.iter().copied().map(Arc::from).collect::<Vec<Arc<str>>>();
        let spec = ContainerSpec {
            image: "etcd:v3".into(),
            command: texts(&["etcd", "--a=1"]),
            env: BTreeMap::from([("A".into(), "1".into())]),
            binds: texts(&["/run:/run"]),
            pid: PidMode::Host,
            privilege: Privilege::Privileged,
            user: Some("1:2".into()),
            reads: BTreeMap::from([("/a".into(), OnChange::Replace), ("/b".into(), OnChange::Reload)]),
            ciphers: Ciphers(BTreeMap::from([(
                SECRETS.into(),
                vec![Cipher { provider: "aescbc".into(), name: "a".into(), key: Some(Digest::of("x")) }],
            )])),
            version: Some("v1.30.4-rancher1-1".parse().unwrap()),
        };
        let loaded = Loaded::from([("/a".into(), Digest::of("x"))]);
        let lineage = Some("blue".into());
        NewContainer {
            spec: Arc::new(spec),
            birth: texts(&["--born=1"]),
            loaded,
            lineage,
            beside_data: None,
            beside_log: None,
        }
    }

    fn labels() -> HashMap<String, String> {
        labels_of(&new()).into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    fn with(name: &str, value: &str) -> HashMap<String, String> {
        let mut labels = labels();
        labels.insert(name.to_owned(), value.to_owned());
        labels
    }

    #[test]
    fn labels_read_back_as_they_were_written() {
        assert_eq!(read_labels(&labels()), Labelled::Ours(new()));
    }

    #[test]
    fn labels_without_a_number_are_of_format_1() {
        let mut labels = labels();
        labels.remove(FORMAT);
        assert_eq!(read_labels(&labels), Labelled::Ours(new()));
    }

    #[test]
    fn labels_without_a_lineage_are_of_a_cluster_that_is_not_known() {
        let mut labels = labels();
        labels.remove(LINEAGE);
        assert_eq!(read_labels(&labels), Labelled::Ours(NewContainer { lineage: None, ..new() }));
    }

    #[test]
    fn fields_that_a_later_release_adds_to_a_format_are_passed_over() {
        let spec = labels()[SPEC].replacen('{', r#"{"shares":3,"#, 1);
        assert_eq!(read_labels(&with(SPEC, &spec)), Labelled::Ours(new()));
    }

    #[test]
    fn labels_of_a_newer_format_or_damaged_are_ours_and_unreadable() {
        for labels in [
            with(FORMAT, "2"),
            with(SPEC, "{"),
            with(SPEC, r#"{"command":[]}"#),
            with(SPEC, &labels()[SPEC].replace("host", "shared")),
            with(SPEC, &labels()[SPEC].replace("v1.30.4", "thirty")),
            with(BIRTH, ""),
            with(LOADED, r#"{"/a":"md5:0"}"#),
            HashMap::from([(SPEC.to_owned(), labels()[SPEC].clone())]),
            HashMap::from([(FORMAT.to_owned(), "2".to_owned())]),
        ] {
            assert_eq!(read_labels(&labels), Labelled::Unreadable, "{labels:?}");
        }
    }

    #[test]
    fn a_container_without_our_labels_is_of_somebody_else() {
        assert_eq!(
            read_labels(&HashMap::from([("maintainer".to_owned(), "x".to_owned())])),
            Labelled::Foreign
        );
    }

    #[test]
    fn a_container_of_rke_is_known_by_its_label() {
        let labels = HashMap::from([(OF_RKE.to_owned(), "etcd".to_owned())]);
        assert_eq!(read_labels(&labels), Labelled::Rke);
    }
}

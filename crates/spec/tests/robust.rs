//! No text makes the reader panic or hang, and it reads what the other YAML reader reads.

#![expect(clippy::format_collect, clippy::format_push_string, reason = "the texts are made once, for a test")]

use std::collections::BTreeMap;

use proptest::prelude::*;
use windlass_spec::{Severity, SourceMap, read, render};

const WHOLE: &str = include_str!("good/as-people-write.yml");

/// As much of a file as the other reader is asked for.
#[derive(serde::Deserialize)]
struct Theirs {
    nodes: Vec<TheirNode>,
}

#[derive(serde::Deserialize)]
struct TheirNode {
    address: String,
}

/// Reads, renders and locates; says whether the promise about errors was kept.
fn exercise(text: &[u8]) -> bool {
    let reading = read(text);
    let output = render(&reading.diagnostics, "cluster.yml", text);
    let map = SourceMap::new(text);
    for diagnostic in &reading.diagnostics {
        let _ = map.place(&diagnostic.place.path);
    }
    let has_error = reading.diagnostics.iter().any(|found| found.severity == Severity::Error);
    assert!(output.chars().all(|letter| letter == '\n' || !letter.is_control()), "{output:?}");
    reading.spec.is_none() == has_error
}

/// Pieces that YAML makes something of.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("- ".to_owned()),
        Just("\n".to_owned()),
        Just("\n  ".to_owned()),
        Just("\r\n".to_owned()),
        Just(": ".to_owned()),
        Just("? ".to_owned()),
        Just("[".to_owned()),
        Just("]".to_owned()),
        Just("{".to_owned()),
        Just("}".to_owned()),
        Just(", ".to_owned()),
        Just("&a ".to_owned()),
        Just("*a".to_owned()),
        Just("<<: ".to_owned()),
        Just("\"".to_owned()),
        Just("'".to_owned()),
        Just("|\n ".to_owned()),
        Just("# ".to_owned()),
        Just("!!str ".to_owned()),
        Just("---\n".to_owned()),
        Just("\t".to_owned()),
        Just("%".to_owned()),
        Just("\u{feff}".to_owned()),
        Just("nodes".to_owned()),
        Just("role".to_owned()),
        Just("services".to_owned()),
        "[a-zé0-9]{1,4}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(exercise(&bytes));
    }

    #[test]
    fn anything_that_looks_like_yaml_is_read_or_refused(pieces in proptest::collection::vec(piece(), 0..60)) {
        prop_assert!(exercise(pieces.concat().as_bytes()));
    }

    #[test]
    fn a_real_file_with_damage_is_read_or_refused(
        damage in proptest::collection::vec((any::<prop::sample::Index>(), 0_usize..8, piece()), 1..6),
    ) {
        let mut text: Vec<char> = WHOLE.chars().collect();
        for (at, removed, inserted) in damage {
            let at = at.index(text.len());
            let to = (at + removed).min(text.len());
            text.splice(at..to, inserted.chars());
        }
        prop_assert!(exercise(text.into_iter().collect::<String>().as_bytes()));
    }

    #[test]
    fn both_yaml_readers_find_the_same_nodes_in_a_damaged_file(
        damage in proptest::collection::vec((any::<prop::sample::Index>(), 0_usize..4, piece()), 1..3),
    ) {
        let mut text: Vec<char> = WHOLE.chars().collect();
        for (at, removed, inserted) in damage {
            let at = at.index(text.len());
            let to = (at + removed).min(text.len());
            text.splice(at..to, inserted.chars());
        }
        let text: String = text.into_iter().collect();
        let theirs: Result<Theirs, _> = serde_yaml::from_str(&text);
        if let (Ok(theirs), Some(spec)) = (theirs, read(text.as_bytes()).spec) {
            let ours: Vec<_> = spec.nodes.into_iter().map(|node| node.address).collect();
            let theirs: Vec<_> = theirs.nodes.into_iter().map(|node| node.address).collect();
            prop_assert_eq!(ours, theirs, "{}", text);
        }
    }

    #[test]
    fn both_yaml_readers_agree_on_what_both_can_read(pieces in proptest::collection::vec(piece(), 0..25)) {
        // The text of a name is the one thing that every reader must give alike, for any value of it.
        let value = pieces.concat().replace(['\n', '\r', '\t'], " ");
        let text = format!("cluster_name: {value}\n");
        let theirs: Result<BTreeMap<String, String>, _> = serde_yaml::from_str(&text);
        let document = format!("{text}nodes:\n- {{address: a, user: b, role: [etcd, controlplane]}}\n");
        if let (Ok(theirs), Some(spec)) = (theirs, read(document.as_bytes()).spec) {
            let name = theirs.get("cluster_name").filter(|name| !name.is_empty()).cloned();
            prop_assert_eq!(spec.cluster_name, name.filter(|name| name != "~" && name != "null"), "{}", text);
        }
    }
}

#[test]
fn documents_made_to_exhaust_a_reader_are_refused_quickly() {
    let deep_flow = "[".repeat(200_000);
    let deep_block = "- ".repeat(200_000);
    let deep_keys: String = (0..2_000).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
    let deep_braces = "{a: ".repeat(100_000);
    let mut laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..30 {
        let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
        laughs.push_str(&format!("a{level}: &a{level} [{aliases}]\n"));
    }
    let merges = format!(
        "a: &a {{{}}}\nnodes:\n{}",
        (0..2_000).map(|i| format!("k{i}: 1, ")).collect::<String>(),
        "- <<: *a\n".repeat(20_000)
    );
    let same_key = "a: {b: {c: 1}}\n".repeat(60_000);
    let same_key_growing: String = (0..60_000).map(|i| format!("a: {{k{i}: 1}}\n")).collect();
    let unknown: String = (0..200_000).map(|i| format!("key_{i}: x\n")).collect();
    let wide = format!("nodes: [{}]\n", "x, ".repeat(2_000_000));
    let anchors: String =
        (0..90).map(|depth| format!("{}a: &a{depth}\n", " ".repeat(depth))).collect::<String>()
            + &format!("{}b: [{}]\n", " ".repeat(91), "x, ".repeat(100_000));
    let quotes = "nodes: \"".to_owned() + &"\\".repeat(100_001);
    let long_key = "k".repeat(2_000_000) + ": 1\n";
    let bad_nodes =
        format!("nodes:\n{}", "- {address: '', role: [x], labels: {-: -}, taints: [{}]}\n".repeat(30_000));
    let comments = "#\n".repeat(500_000);
    for text in [
        deep_flow,
        deep_block,
        deep_keys,
        deep_braces,
        laughs,
        merges,
        same_key,
        same_key_growing,
        unknown,
        wide,
        anchors,
        quotes,
        long_key,
        bad_nodes,
        comments,
    ] {
        let reading = read(text.as_bytes());
        assert!(reading.spec.is_none());
        assert!(reading.diagnostics.len() < 1_000);
    }
}

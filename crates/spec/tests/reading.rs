//! Habits of the format, one sentence each.

use windlass_spec::{ClusterSpec, Reading, read};

const NODE: &str = "address: 10.0.0.1, user: ops, role: [controlplane, etcd, worker]";

fn spec_of(text: &str) -> ClusterSpec {
    let Reading { spec, diagnostics, .. } = read(text.as_bytes());
    spec.unwrap_or_else(|| panic!("{text}\n{diagnostics:#?}"))
}

fn first_place(text: &str) -> (u32, u32) {
    let found = read(text.as_bytes()).diagnostics.remove(0);
    found.place.range.map_or((0, 0), |range| (range.start.line, range.start.column))
}

#[test]
fn a_key_that_is_written_wins_over_one_that_is_merged_in() {
    for labels in ["{<<: *shared, tier: own}", "{tier: own, <<: *shared}", "{tier: own, <<: [*shared]}"] {
        let text =
            format!("x-shared: &shared {{tier: merged, rack: r1}}\nnodes: [{{{NODE}, labels: {labels}}}]\n");
        let labels = &spec_of(&text).nodes[0].labels;
        assert_eq!(labels["tier"], "own", "{text}");
        assert_eq!(labels["rack"], "r1", "{text}");
        assert_eq!(labels.len(), 2, "{text}");
    }
}

#[test]
fn of_two_maps_merged_in_the_first_wins() {
    let text =
        format!("x-a: &a {{tier: a}}\nx-b: &b {{tier: b}}\nnodes: [{{{NODE}, labels: {{<<: [*a, *b]}}}}]\n");
    assert_eq!(spec_of(&text).nodes[0].labels["tier"], "a");
}

#[test]
fn a_quoted_merge_key_is_a_key_like_any_other() {
    let reading = read(format!("nodes: [{{{NODE}, labels: {{'<<': x}}}}]\n").as_bytes());
    assert!(reading.spec.is_none(), "no label can have that key");
}

#[test]
fn a_byte_order_mark_takes_no_column() {
    assert_eq!(first_place("\u{feff}nodes: x\n"), (1, 8));
    assert_eq!(first_place("nodes: x\n"), (1, 8));
}

#[test]
fn a_later_null_takes_a_value_back() {
    let text = format!("nodes: [{{{NODE}}}]\nservices: {{etcd: {{snapshot: true}}}}\nservices:\n");
    assert_eq!(spec_of(&text).services.etcd.snapshot, None);
}

#[test]
fn maps_that_stand_twice_are_taken_together() {
    let text = format!(
        "nodes: [{{{NODE}}}]\nservices: {{etcd: {{uid: 1, gid: 1}}}}\nservices: {{etcd: {{gid: 2}}, kubelet: {{fail_swap_on: yes}}}}\n"
    );
    let services = spec_of(&text).services;
    assert_eq!((services.etcd.uid, services.etcd.gid), (Some(1), Some(2)));
    assert_eq!(services.kubelet.fail_swap_on, Some(true));
}

#[test]
fn empty_texts_and_nulls_are_silence() {
    let text = format!(
        "nodes: [{{{NODE}, port: '', hostname_override: '', internal_address: ~, labels: null}}]\n\
         cluster_name: ''\nbastion_host: {{address: '', port: ''}}\nservices:\nnetwork: {{plugin: ''}}\n"
    );
    let silent = spec_of(&format!("nodes: [{{{NODE}}}]\n"));
    assert_eq!(spec_of(&text), silent);
}

#[test]
fn a_tag_decides_what_a_scalar_is() {
    let text = format!("nodes: [{{{NODE}}}]\nservices: {{etcd: {{snapshot: !!bool 'true'}}}}\n");
    assert_eq!(spec_of(&text).services.etcd.snapshot, Some(true));
    let text = format!("nodes: [{{{NODE}}}]\nservices: {{etcd: {{snapshot: !!str true}}}}\n");
    assert!(read(text.as_bytes()).spec.is_none());
}

#[test]
fn only_the_first_document_counts() {
    let text = format!("---\nnodes: [{{{NODE}}}]\n...\n---\n]]] not even YAML\n");
    assert_eq!(spec_of(&text).nodes.len(), 1);
    assert_eq!(read(text.as_bytes()).diagnostics.len(), 1);
}

#[test]
fn a_node_is_named_in_lower_case() {
    let text = format!(
        "nodes: [{{{NODE}, hostname_override: Node-1}}, {{address: B.example, user: ops, role: worker}}]\n"
    );
    let nodes = spec_of(&text).nodes;
    assert_eq!(nodes[0].name().as_str(), "node-1");
    assert_eq!(nodes[1].name().as_str(), "b.example");
}

#[test]
fn more_nodes_than_the_default_range_has_room_for_are_reported_at_the_nodes() {
    let text = |count: usize| {
        let node = |number: usize| {
            let (high, low) = (number / 250, number % 250 + 1);
            let role = if number == 0 { "[controlplane, etcd]" } else { "[worker]" };
            format!("- {{address: 10.0.{high}.{low}, user: ops, role: {role}}}\n")
        };
        let nodes: Vec<String> = (0..count).map(node).collect();
        format!("kubernetes_version: v1.22.16-rancher1-1\nnodes:\n{}", nodes.concat())
    };
    assert!(read(text(256).as_bytes()).diagnostics.is_empty());
    let diagnostics = read(text(257).as_bytes()).diagnostics;
    let places: Vec<_> = diagnostics.iter().map(|found| found.place.path.as_str()).collect();
    assert_eq!(places, ["nodes"]);
}

#[test]
fn nodes_of_one_key_misspelt_make_one_warning() {
    let node = |number| {
        format!("- {{address: 10.0.0.{number}, user: ops, role: [controlplane, etcd, worker], prot: 22}}\n")
    };
    let text = format!("nodes:\n{}", (1..=99).map(node).collect::<Vec<_>>().concat());
    let diagnostics = read(text.as_bytes()).diagnostics;
    assert_eq!(diagnostics.len(), 1);
    assert_eq!(diagnostics[0].notes, ["also on lines 3, 4, 5 and in 95 more places"]);
}

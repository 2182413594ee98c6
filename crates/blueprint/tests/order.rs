//! The order of nodes in the file means nothing.

mod world;

use proptest::prelude::*;
use windlass_blueprint::render;
use windlass_model::Role;
use world::{blueprint, cluster, with_node};

fn roles() -> impl Strategy<Value = Vec<Role>> {
    prop::sample::subsequence(vec![Role::Etcd, Role::ControlPlane, Role::Worker], 1..=3)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn reordering_nodes_changes_nothing_but_origins(
        (nodes, shuffled) in prop::collection::vec(roles(), 1..12)
            .prop_map(|roles| roles.into_iter().zip(1..).collect::<Vec<_>>())
            .prop_flat_map(|nodes| (Just(nodes.clone()), Just(nodes).prop_shuffle()))
    ) {
        let of = |nodes: &[(Vec<Role>, usize)]| {
            let spec = nodes
                .iter()
                .fold(cluster("v1.30.5-rancher1-1"), |spec, (roles, number)| with_node(spec, *number, roles));
            blueprint(&spec)
        };
        let (one, other) = (of(&nodes), of(&shuffled));
        prop_assert_eq!(render(&one), render(&other));
        for (name, node) in &one.nodes {
            for (component, desired) in &node.containers {
                prop_assert_eq!(&desired.origins, &other.nodes[name].containers[component].origins);
            }
        }
    }
}

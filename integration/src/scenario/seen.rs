//! How a scenario shows an inventory: equal nodes as one.

use std::fmt::Write as _;

use windlass_model::{
    ContainerName, ContainerSeen, ContainerState, EtcdSeen, Health, Inventory, KubeSeen, Maker, MemberSeen,
    NodeName, NodeObject, NodeSeen, Readiness, Scheduling, Vote,
};

use windlass_render::{Room, names};

/// What windlass sees of the world.
pub(super) fn inventory(seen: &Inventory) -> String {
    let mut alike: Vec<(String, Vec<&str>)> = Vec::new();
    for (name, node) in &seen.nodes {
        let reported = reported(name, node, &seen.kube);
        match alike.iter_mut().find(|(other, _)| *other == reported) {
            Some((_, names)) => names.push(name.as_str()),
            None => alike.push((reported, vec![name.as_str()])),
        }
    }
    let mut text = String::new();
    for (reported, nodes) in alike {
        let _ = writeln!(text, "  {}  {reported}", names(nodes, Room::All));
    }
    let _ = writeln!(text, "  etcd: {}", etcd(&seen.etcd));
    text
}

fn reported(name: &NodeName, node: &NodeSeen, kube: &KubeSeen) -> String {
    let object = match kube {
        KubeSeen::Silent => "no API server answers".to_owned(),
        KubeSeen::Nodes(nodes) => nodes.get(name).map_or_else(|| "no node object".to_owned(), object),
    };
    match node {
        NodeSeen::OutOfSight(why) => format!("{object}; unreachable: {why}"),
        NodeSeen::InSight(facts) => {
            let containers: Vec<String> = facts.containers.iter().map(container).collect();
            if containers.is_empty() { object } else { format!("{object}\n      {}", containers.join(", ")) }
        }
    }
}

fn object(object: &NodeObject) -> String {
    let NodeObject { ready, why_not_ready: _, scheduling, labels, taints, owned: _, kubelet: _ } = object;
    let mut words = vec![match ready {
        Readiness::Ready => "ready".to_owned(),
        Readiness::LacksNetwork => "without a pod network".to_owned(),
        Readiness::NotReady => "not ready".to_owned(),
    }];
    match scheduling {
        Scheduling::Open => {}
        Scheduling::CordonedByWindlass => words.push("cordoned by windlass".to_owned()),
        Scheduling::CordonedByOther => words.push("cordoned by somebody else".to_owned()),
    }
    let is_usual = |key: &str| key.starts_with("kubernetes.io/") || key.starts_with("beta.kubernetes.io/");
    let shown = labels.iter().filter(|(key, _)| !is_usual(key));
    words.extend(shown.map(|(key, value)| format!("{}={value}", short(key))));
    words.extend(taints.iter().map(|taint| format!("taint {}", short(&taint.to_string()))));
    words.join(", ")
}

/// `role/etcd` for the long name of a role's label or taint.
fn short(key: &str) -> String {
    key.replace("node-role.kubernetes.io/", "role/")
}

fn container((name, seen): (&ContainerName, &ContainerSeen)) -> String {
    let mut words = Vec::new();
    if matches!(seen.maker, Maker::Other | Maker::Rke) {
        words.push("not ours".to_owned());
    }
    match (seen.state, seen.health) {
        (ContainerState::Running, Health::Healthy) => {}
        (ContainerState::Running, health) => words.push(format!("{health:?}").to_lowercase()),
        (state, _) => words.push(state.to_string()),
    }
    if words.is_empty() { name.to_string() } else { format!("{name} ({})", words.join(", ")) }
}

fn etcd(seen: &EtcdSeen) -> String {
    let EtcdSeen::Members(members) = seen else { return "silent".to_owned() };
    let mut members: Vec<&MemberSeen> = members.iter().collect();
    members.sort_by_key(|member| (&member.name, &member.peer_url));
    let members = members.into_iter().map(|member| {
        let name = if member.has_started() { &member.name } else { &member.peer_url };
        let learns = if member.vote == Vote::Learner { " learner" } else { "" };
        format!("{name}{learns} {}", format!("{:?}", member.health).to_lowercase())
    });
    members.collect::<Vec<String>>().join(", ")
}

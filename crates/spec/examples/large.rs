//! Makes the cluster.yml of a large cluster and reads it, for measuring: `large [NODES [FILE]]`.
//!
//! Without a second argument it reads what it made five times and leaves the timing to the caller; with one it
//! writes the file there.
#![expect(clippy::disallowed_methods, clippy::print_stdout, reason = "an example, not the library")]

use std::fmt::Write as _;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let nodes = arguments.next().and_then(|nodes| nodes.parse().ok()).unwrap_or(5_000);
    let text = cluster_of(nodes);
    if let Some(file) = arguments.next() {
        std::fs::write(file, &text).expect("the file of the second argument can be written");
        return;
    }
    for _ in 0..5 {
        let reading = windlass_spec::read(text.as_bytes());
        let read = reading.spec.map_or(0, |spec| spec.nodes.len());
        println!("{} lines, {} bytes: {read} nodes", text.lines().count(), text.len());
        print!("{}", windlass_spec::render(&reading.diagnostics, "cluster.yml", text.as_bytes()));
    }
}

fn cluster_of(nodes: usize) -> String {
    let mut text = "cluster_name: large\nkubernetes_version: v1.20.2\nnodes:\n".to_owned();
    for node in 0..nodes {
        let role = if node < 5 { "controlplane, etcd" } else { "worker" };
        let (third, fourth) = (node / 250, node % 250 + 1);
        let _ = write!(
            text,
            "  - address: 10.0.{third}.{fourth}\n    hostname_override: node-{node}\n    user: ops\n    \
             role: [{role}]\n    labels: {{rack: r{third}}}\n"
        );
    }
    text.push_str("services:\n  kubelet:\n    extra_args:\n      max-pods: 250\n");
    text
}

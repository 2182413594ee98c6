//! How long reading takes: text, tree, forms, sections and all checks, and the rendering of what is said.

use std::fmt::Write as _;

use divan::Bencher;
use windlass_spec::{read, render};

fn main() {
    divan::main();
}

/// A cluster of so many nodes, three of which are its control plane; every hundredth has a key misspelt.
fn cluster(nodes: usize) -> String {
    let mut text = "nodes:\n".to_owned();
    for number in 0..nodes {
        let role = if number < 3 { "[controlplane, etcd]" } else { "[worker]" };
        let port = if number % 100 == 7 { "prot" } else { "port" };
        let address = format!("10.{}.{}.{}", number / 62_500, number / 250 % 250, number % 250 + 1);
        writeln!(
            text,
            "- address: {address}\n  hostname_override: node-{number}\n  user: ops\n  {port}: 22\n  role: {role}\n  \
             labels: {{rack: r{}, zone: z{}}}\n  taints: [{{key: dedicated, value: batch, effect: NoSchedule}}]",
            number % 40,
            number % 3
        )
        .expect("a String takes every text");
    }
    text
}

#[divan::bench(args = [50, 500, 5_000])]
fn read_and_render(bencher: Bencher<'_, '_>, nodes: usize) {
    let text = cluster(nodes);
    bencher.bench_local(|| {
        let reading = read(text.as_bytes());
        assert!(reading.spec.is_some());
        render(&reading.diagnostics, "cluster.yml", text.as_bytes())
    });
}

//! Measures the time from text to plan, and of the reading alone; `integration/bench` runs it and prints the
//! numbers as one table.

use divan::Bencher;
use windlass_integration::speed::{Case, SIZES, cluster_text, desired_in, text_to_plan};

/// The allocator of the binary `windlass`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    divan::main();
}

#[divan::bench(args = SIZES)]
fn first_bring_up(bencher: Bencher<'_, '_>, nodes: usize) {
    measure(bencher, nodes, Case::FirstBringUp);
}

#[divan::bench(args = SIZES)]
fn nothing_to_do(bencher: Bencher<'_, '_>, nodes: usize) {
    measure(bencher, nodes, Case::NothingToDo);
}

/// What `validate` does: no machine is contacted.
#[divan::bench(args = SIZES)]
fn reading(bencher: Bencher<'_, '_>, nodes: usize) {
    let text = cluster_text(nodes);
    bencher.bench(|| desired_in(divan::black_box(&text)));
}

fn measure(bencher: Bencher<'_, '_>, nodes: usize, case: Case) {
    let text = cluster_text(nodes);
    let seen = case.inventory(&desired_in(&text));
    bencher.bench(|| text_to_plan(divan::black_box(&text), divan::black_box(&seen)));
}

//! Goes from text to plan once and prints the peak memory of this process: `peak CASE NODES`.
//!
//! One process for each case, since the peak never decreases. The inventory is counted too, since the
//! planner's caller holds it. The second number is the part of the whole that existed before the measured
//! work began.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command that tells people what it found")]

use std::process::ExitCode;

use windlass_integration::speed::{Case, cluster_text, desired_in, text_to_plan};

/// The allocator of the binary `windlass`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match measured() {
        Ok((peak, before)) => {
            println!("{peak} {before}");
            ExitCode::SUCCESS
        }
        Err(what) => {
            eprintln!("{what}");
            ExitCode::from(64)
        }
    }
}

/// The peak memory in all, and before the measured work, in KiB.
fn measured() -> Result<(u64, u64), String> {
    let usage = "usage: peak first_bring_up|nothing_to_do NODES";
    let mut words = std::env::args().skip(1);
    let case: Case = words.next().ok_or(usage)?.parse()?;
    let nodes: usize = words.next().and_then(|word| word.parse().ok()).ok_or(usage)?;
    let text = cluster_text(nodes);
    let seen = case.inventory(&desired_in(&text));
    let before = peak_kib()?;
    let made = text_to_plan(&text, &seen);
    let peak = peak_kib()?;
    if made.1.plan.is_empty() != (case == Case::NothingToDo) {
        return Err(format!("the plan of {case} has {} steps", made.1.plan.steps.len()));
    }
    Ok((peak, before))
}

/// `VmHWM` of this process: the high-water mark of its resident set (proc(5)).
fn peak_kib() -> Result<u64, String> {
    let status = std::fs::read_to_string("/proc/self/status").map_err(|error| error.to_string())?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
    number.ok_or_else(|| "/proc/self/status has no VmHWM".to_owned())
}

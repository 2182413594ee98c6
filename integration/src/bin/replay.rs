//! Plans again what `windlass plan --save-replay` has stored: for readers of a bug report.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command that tells people what it found")]

use std::process::ExitCode;

use windlass_model::Replay;
use windlass_planner::{audit, plan};

fn main() -> ExitCode {
    let Some(path) = std::env::args().nth(1) else {
        eprintln!("usage: replay FILE");
        return ExitCode::from(64);
    };
    let read = std::fs::read(&path).map_err(|error| error.to_string());
    let replay =
        read.and_then(|text| serde_json::from_slice::<Replay>(&text).map_err(|error| error.to_string()));
    let Replay { schema: _, windlass, intent, inventory } = match replay {
        Ok(replay) => replay,
        Err(error) => {
            eprintln!("{path}: {error}");
            return ExitCode::from(64);
        }
    };
    println!("planned by windlass {windlass}, at {}", inventory.taken_at);
    let planning = plan(&intent, &inventory);
    for step in &planning.plan.steps {
        println!("{} because {}", step.id, step.reasons[0]);
    }
    for finding in &planning.findings {
        println!("{} {}: {}", finding.weight, finding.about, finding.what());
    }
    let faults = audit(&intent, &inventory, &planning);
    for fault in &faults {
        println!("audit: {}", fault.0);
    }
    if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

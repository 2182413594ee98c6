//! Checks the properties over many seeds: `seeds [--property P1..P8|all] [--seeds N] [--from N]`.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command that tells people what it found")]

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use windlass_blueprint::Catalog;
use windlass_integration::properties::{Property, check};

// Each run builds and drops small maps all the time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

struct Arguments {
    properties: Vec<Property>,
    seeds: u64,
    from: u64,
}

fn arguments() -> Result<Arguments, String> {
    let mut wanted = Arguments { properties: Property::ALL.to_vec(), seeds: 2_000, from: 0 };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let value = words.next().ok_or_else(|| format!("{word} wants a value"))?;
        let number = || value.parse().map_err(|_| format!("{word} wants a number, not `{value}`"));
        match word.as_str() {
            "--property" if value == "all" => {}
            "--property" => wanted.properties = vec![value.parse()?],
            "--seeds" => wanted.seeds = number()?,
            "--from" => wanted.from = number()?,
            _ => return Err(format!("`{word}` is unknown: --property, --seeds, --from")),
        }
    }
    Ok(wanted)
}

fn main() -> ExitCode {
    let arguments = match arguments() {
        Ok(arguments) => arguments,
        Err(what) => {
            eprintln!("{what}");
            return ExitCode::from(64);
        }
    };
    let catalog = Catalog::builtin();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut failed = 0;
    let mut passed = 0;
    for property in arguments.properties {
        let begun = Instant::now();
        let next = AtomicU64::new(arguments.from);
        let end = arguments.from + arguments.seeds;
        let failures = Mutex::new(Vec::new());
        let plans = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    loop {
                        let seed = next.fetch_add(1, Ordering::Relaxed);
                        if seed >= end {
                            break;
                        }
                        let caught = std::panic::catch_unwind(|| check(property, seed, catalog));
                        match caught {
                            Ok(Ok(effort)) => drop(plans.fetch_add(effort.plans, Ordering::Relaxed)),
                            Ok(Err(what)) => {
                                failures
                                    .lock()
                                    .expect("no thread panics while it holds this")
                                    .push((seed, what));
                            }
                            Err(_) => failures
                                .lock()
                                .expect("no thread panics while it holds this")
                                .push((seed, format!("{} seed {seed}: panicked", property.label()))),
                        }
                    }
                });
            }
        });
        let mut failures = failures.into_inner().expect("no thread panicked while it held this");
        failures.sort();
        let seconds = begun.elapsed().as_secs_f64();
        println!(
            "{} {property:?}: {} seeds, {} broken, {} plans, {seconds:.1} s",
            property.label(),
            arguments.seeds,
            failures.len(),
            plans.into_inner(),
        );
        for (seed, what) in failures.iter().take(30) {
            println!("  seed {seed}: {}", what.lines().next().unwrap_or_default());
        }
        if let Some((_, what)) = failures.first() {
            println!("\n{what}\n");
        }
        failed += failures.len() as u64;
        passed += arguments.seeds - failures.len() as u64;
    }
    println!("seeds: {passed} passed, {failed} failed");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::from(1) }
}

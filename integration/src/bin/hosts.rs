//! How long `windlass up` takes on real hosts, beside the floor in the same run, and what a look costs.
//! Nothing fails for being slow: the numbers are for people to read, from a machine that does nothing else.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command that tells people what it found")]

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use windlass_integration::lab::{Cluster, Images, Lab, LabError, LabShape, Windlass};

/// How often floor and `up` are run, in turn, each on fresh hosts, if there is no first argument.
const ROUNDS: usize = 3;
/// How often a run that does nothing is repeated.
const REPEATS: usize = 5;
/// Ends of steps that divide the time of an `up`, each by the last step that ends so.
const MILESTONES: [&str; 6] = [
    "files/write",
    "etcd/run",
    "etcd/await",
    "kube-apiserver/await",
    "node/await",
    "etcd-rolling-snapshots/await",
];

/// One run of windlass.
struct Reported {
    took: Duration,
    /// When the last step of each milestone was done, in seconds since the beginning.
    milestones: BTreeMap<&'static str, f64>,
    /// The most calls of Docker, and the most SSH connections, of any node.
    docker_calls: u64,
    ssh_connections: u64,
    /// The peak of memory in megabytes.
    memory: u64,
}

fn main() -> ExitCode {
    let rounds = std::env::args().nth(1).and_then(|rounds| rounds.parse().ok()).unwrap_or(ROUNDS).max(1);
    match measure(rounds) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(rounds: usize) -> Result<(), LabError> {
    let (mut floors, mut ups) = (Vec::new(), Vec::new());
    println!("three hosts with all roles, images loaded: from bare to Ready, in seconds");
    for _ in 0..rounds {
        let lab = Lab::start(&LabShape::nodes(3).with_images_loaded())?;
        let floor = lab.run_floor()?.ready;
        drop(lab);
        let lab = Lab::start(&LabShape::nodes(3).with_images_loaded())?;
        let windlass = Windlass::new(&lab)?;
        Cluster::all_roles(&lab, Images::Loaded).write(&windlass)?;
        let up = run(&windlass, &["up", "--stats"])?;
        println!(
            "  floor {:5.1}   up {:5.1}   {:.2}-fold",
            floor.as_secs_f64(),
            up.took.as_secs_f64(),
            fold(&up, floor)
        );
        let milestones = up.milestones.iter().map(|(what, at)| format!("{what} {at:.1}"));
        println!("    done by: {}", milestones.collect::<Vec<_>>().join(", "));
        floors.push(floor);
        ups.push(up);
    }
    floors.sort();
    ups.sort_by_key(|up| up.took);
    let (floor, up) = (floors[rounds / 2], &ups[rounds / 2]);
    println!(
        "  medians: floor {:.1}, up {:.1}, {:.2}-fold (wanted: at most 1.3)",
        floor.as_secs_f64(),
        up.took.as_secs_f64(),
        fold(up, floor)
    );

    let lab = Lab::start(&LabShape::nodes(5))?;
    let windlass = Windlass::new(&lab)?;
    Cluster::three_control_planes_two_workers(&lab).write(&windlass)?;
    let up = run(&windlass, &["up", "--stats"])?;
    println!(
        "five hosts, images pulled: up {:.1} s, peak memory {} MB (wanted: under 60)",
        up.took.as_secs_f64(),
        up.memory
    );
    for command in ["plan", "up"] {
        let mut runs = Vec::new();
        for _ in 0..REPEATS {
            runs.push(run(&windlass, &[command, "--stats"])?);
        }
        runs.sort_by_key(|run| run.took);
        let most = |of: fn(&Reported) -> u64| runs.iter().map(of).max().unwrap_or_default();
        println!(
            "  {command} with nothing to do: median {:.2} s, most {:.2} s (wanted: at most 1); a node is asked for at \
             most {} SSH connections (1) and {} calls of Docker (12); peak memory {} MB",
            runs[REPEATS / 2].took.as_secs_f64(),
            runs[REPEATS - 1].took.as_secs_f64(),
            most(|run| run.ssh_connections),
            most(|run| run.docker_calls),
            most(|run| run.memory),
        );
    }
    Ok(())
}

fn fold(up: &Reported, floor: Duration) -> f64 {
    up.took.as_secs_f64() / floor.as_secs_f64()
}

/// Runs windlass to its end, which must be a success.
fn run(windlass: &Windlass, arguments: &[&str]) -> Result<Reported, LabError> {
    let begins = Instant::now();
    let ran = windlass.run(arguments.iter().copied())?;
    let took = begins.elapsed();
    if ran.code != Some(0) {
        return Err(LabError::Failed {
            command: format!("windlass {}", arguments.join(" ")),
            code: ran.code,
            stderr: ran.stderr,
        });
    }
    let mut reported =
        Reported { took, milestones: BTreeMap::new(), docker_calls: 0, ssh_connections: 0, memory: 0 };
    for line in ran.stderr.lines() {
        reported.read(line);
    }
    Ok(reported)
}

impl Reported {
    /// Reads a line of the standard error: the end of a step, or a line of `--stats`.
    fn read(&mut self, line: &str) {
        let words: Vec<&str> = line.split_whitespace().collect();
        if let [at, "done", step, ..] = words[..]
            && let Some(milestone) = MILESTONES.into_iter().find(|what| step.ends_with(what))
            && let Some(seconds) = at.strip_suffix('s').and_then(|at| at.parse().ok())
        {
            self.milestones.insert(milestone, seconds);
        }
        let number_after = |what: &str| -> Option<u64> {
            let (_, rest) = line.split_once(what)?;
            rest.trim_start().split([',', ' ']).next()?.parse().ok()
        };
        let most = |so_far: u64, what: &str| number_after(what).map_or(so_far, |number| number.max(so_far));
        self.ssh_connections = most(self.ssh_connections, "SSH connections");
        self.docker_calls = most(self.docker_calls, "Docker calls");
        self.memory = most(self.memory, "peak memory");
    }
}

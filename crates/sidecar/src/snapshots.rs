//! Snapshots of etcd, taken on the node itself: periodic ones, and one on request.
//!
//! ```text
//! moments_in the directory ─▶ due? ─▶ take, read back ─▶ expired ─▶ removed
//!          ▲                   │ not yet, or failed
//!          └───── a while ◀────┘
//! ```
//!
//! *Guarantees*: a file under its name is complete, checked and durable; the metadata beside it describes its
//! contents. When the next one is due is derived from the existing files, so a process that is restarted
//! every minute takes no more of them. Only the process' own periodic snapshots are removed, and none of them
//! before a newer one exists. Members take turns: each has its own moments in every interval.

mod arguments;
pub(crate) mod copied;
mod copies;
mod draft;
mod intake;
mod journal;
mod name;
mod pace;
mod proof;
mod record;
mod rke;
pub(crate) mod shelf;
mod take;
mod tree;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, sleep};
use windlass_model::{Timestamp, rolling_name};

use self::arguments::{Once, Rolling, Wrong};
use self::copies::Copies;
use self::draft::Draft;
pub(crate) use self::journal::reported;
use self::journal::{log, now};
use self::pace::{expired, wait_after, wait_until_due};
use self::record::Record;
use self::take::{TakeError, Taken, take};

/// The verb that takes snapshots periodically until it is asked to stop.
pub const ROLLING: &str = "snapshots";
/// The verb that takes one snapshot.
pub const ONCE: &str = "snapshot";

/// The longest sleep: clocks are set, machines sleep, and people remove files.
const LOOK_AGAIN: Duration = Duration::from_secs(60);
/// How long a snapshot on request waits for another that is being taken.
const WAIT_FOR_OTHER: Duration = Duration::from_secs(120);

/// Carries out `windlass-node snapshots`; ends with the first SIGTERM or SIGINT.
pub(crate) fn run_rolling(arguments: &[OsString]) -> ExitCode {
    match arguments::rolling(arguments) {
        Err(wrong) => refuse(&wrong),
        Ok(rolling) => until_stopped(async {
            take_rolling(&rolling).await;
            ExitCode::FAILURE
        })
        // A signal is the normal end.
        .unwrap_or(ExitCode::SUCCESS),
    }
}

/// Carries out `windlass-node snapshot`.
pub(crate) fn run_once(arguments: &[OsString]) -> ExitCode {
    match arguments::once(arguments) {
        Err(wrong) => refuse(&wrong),
        Ok(once) => until_stopped(take_once(&once)).unwrap_or(ExitCode::FAILURE),
    }
}

fn refuse(wrong: &Wrong) -> ExitCode {
    log(wrong);
    ExitCode::from(crate::USAGE)
}

/// The result of the work; none if a signal came before. The work is dropped then, and cleans up after
/// itself.
fn until_stopped(work: impl Future<Output = ExitCode>) -> Option<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime needs a few file descriptors, which every process has");
    runtime.block_on(async {
        // As the first process of a container it has no default handlers.
        let mut terminate = signal(SignalKind::terminate()).expect("SIGTERM can be listened for");
        let mut interrupt = signal(SignalKind::interrupt()).expect("SIGINT can be listened for");
        tokio::select! {
            exit = work => Some(exit),
            _ = terminate.recv() => None,
            _ = interrupt.recv() => None,
        }
    })
}

/// Takes snapshots forever.
async fn take_rolling(rolling: &Rolling) {
    let Rolling { target, every, keep, copied } = rolling;
    let directory = &target.directory;
    // What a killed process has left would stay until the next snapshot.
    drop(Draft::begin(directory));
    log(&format!("a snapshot every {} s into `{}`, {keep} kept", every.as_secs(), directory.display()));
    let mut record = Record::begin(directory, copied.is_some(), now());
    let mut copies = copied.clone().map(|copied| Copies::new(copied, target.access.authority.clone(), *keep));
    let mut failures = 0;
    let mut is_started = false;
    loop {
        let step = match name::moments_in(directory) {
            Err(error) => Err(format!("`{}` cannot be read: {error}", directory.display())),
            Ok(moments) => match wait_until_due(&moments, now(), *every, || place_by(directory, &moments)) {
                Some(wait) => {
                    if !is_started {
                        log(&format!("the last one is fresh: the next is due in {} s", wait.as_secs()));
                    }
                    is_started = true;
                    let mut nap = wait.min(LOOK_AGAIN);
                    if let Some(copies) = &mut copies {
                        copies.catch_up(directory, &moments, &mut record).await;
                        nap = nap.min(copies.patience().unwrap_or(nap));
                    }
                    sleep(nap).await;
                    continue;
                }
                None => take_logged(target, &rolling_name(now())).await.map_err(|error| reported(&error)),
            },
        };
        match step {
            Ok(()) => {
                (failures, is_started) = (0, true);
                record.succeeded();
                remove_expired(directory, *keep);
            }
            Err(error) => {
                let wait = wait_after(failures);
                failures += 1;
                log(&format!("no snapshot: {error}; tried again in {} s", wait.as_secs()));
                record.failed(&error, now());
                sleep(wait).await;
            }
        }
    }
}

async fn take_once(once: &Once) -> ExitCode {
    let Once { target, name } = once;
    let patience = Instant::now() + WAIT_FOR_OTHER;
    loop {
        match take_logged(target, name).await {
            Ok(()) => return ExitCode::SUCCESS,
            Err(TakeError::Busy) if Instant::now() < patience => sleep(Duration::from_secs(1)).await,
            Err(error) => {
                log(&format!("no snapshot: {}", reported(&error)));
                return ExitCode::FAILURE;
            }
        }
    }
}

async fn take_logged(target: &arguments::Target, name: &str) -> Result<(), TakeError> {
    let begun = Instant::now();
    let Taken { bytes, endpoint } = take(&target.access, &target.directory, name).await?;
    let seconds = begun.elapsed().as_secs_f64();
    log(&format!("snapshot `{name}`: {bytes} bytes from {endpoint} in {seconds:.1} s"));
    Ok(())
}

/// The place of this node's member among all, and how many there are, as the newest snapshot says.
fn place_by(directory: &Path, moments: &[Timestamp]) -> Option<(u64, u64)> {
    let newest = directory.join(rolling_name(*moments.last()?));
    proof::noted(&newest)?.place()
}

/// Removes the oldest periodic snapshots; one has just been taken.
fn remove_expired(directory: &Path, keep: usize) {
    let moments = match name::moments_in(directory) {
        Ok(moments) => moments,
        Err(error) => return log(&format!("`{}` cannot be read: {error}", directory.display())),
    };
    for moment in expired(&moments, now(), keep) {
        let name = rolling_name(moment);
        let path = directory.join(&name);
        match std::fs::remove_file(&path) {
            Ok(()) => log(&format!("removed `{name}`: {keep} newer ones are kept")),
            Err(error) => log(&format!("`{name}` cannot be removed: {error}")),
        }
        // Metadata of a deleted file is useless; the next snapshot of this name overwrites it.
        let _ = std::fs::remove_file(proof::note_of(&path));
        let _ = std::fs::remove_file(proof::damage_of(&path));
    }
}

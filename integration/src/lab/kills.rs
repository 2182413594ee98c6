//! windlass killed at random moments that can be repeated.
#![expect(clippy::print_stderr, reason = "the seed repeats what a failed test did")]

use std::time::{Duration, Instant};

use fastrand::Rng;

use super::{LabError, Windlass, await_that};

/// Where the moments of the kills come from: `$LAB_SEED`, or a seed that is printed.
#[derive(Debug)]
pub struct Kills(Rng);

/// The result of a run that was to be killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Killed {
    /// It was killed while it worked.
    AtWork,
    /// It had exited by itself, with success.
    TooLate,
}

impl Kills {
    /// By `$LAB_SEED`, where that is a number.
    pub fn seeded() -> Self {
        let seed = std::env::var("LAB_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = seed.unwrap_or_else(|| fastrand::u64(..1 << 32));
        eprintln!("LAB_SEED={seed}");
        Self(Rng::with_seed(seed))
    }

    /// Runs windlass and kills it at a random moment of the first `latest` seconds, the ssh that it runs not included.
    ///
    /// # Errors
    /// It cannot be started, or it exited before that with another code than 0: then the error contains what it
    /// wrote.
    pub fn kill(&mut self, windlass: &Windlass, arguments: &[&str], latest: f64) -> Result<Killed, LabError> {
        let moment = Duration::from_secs_f64(0.05 + self.0.f64() * latest);
        let began = Instant::now();
        let mut child = windlass.spawn(arguments.iter().copied())?;
        let ended =
            await_that("it ends", moment, || Ok(child.try_wait().is_ok_and(|status| status.is_some())));
        let killed = if ended.is_ok() { Killed::TooLate } else { Killed::AtWork };
        // One that has exited cannot be killed, which is no fault.
        let _ = child.kill();
        eprintln!("{killed:?} after {:.1?}", began.elapsed());
        if killed == Killed::AtWork {
            // ssh may still keep the pipes open, so they are not read to their end.
            let _ = child.wait();
            return Ok(killed);
        }
        let command = || format!("windlass {}", arguments.join(" "));
        let output =
            child.wait_with_output().map_err(|source| LabError::NotStarted { command: command(), source })?;
        if output.status.success() {
            return Ok(killed);
        }
        let said = [&output.stdout[..], &output.stderr[..]].map(String::from_utf8_lossy).concat();
        Err(LabError::Failed { command: command(), code: output.status.code(), stderr: said })
    }
}

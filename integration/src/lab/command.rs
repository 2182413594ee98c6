//! Programs run with a time limit, whose whole output is kept.

use std::io::{Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::LabError;

/// The result of a program.
#[derive(Clone, Debug)]
pub struct Ran {
    /// The exit code; none if a signal ended it.
    pub code: Option<i32>,
    /// What it wrote to stdout.
    pub stdout: String,
    /// What it wrote to stderr.
    pub stderr: String,
    /// How long it ran.
    pub took: Duration,
}

impl Ran {
    /// Whether it ended with exit code 0.
    pub fn is_success(&self) -> bool {
        self.code == Some(0)
    }
}

/// A program to be run once.
#[derive(Debug)]
pub struct Run {
    command: Command,
    shown: String,
    input: Vec<u8>,
    limit: Duration,
}

impl Run {
    /// The program with these arguments; its time limit is a minute.
    pub fn new<I>(program: &str, arguments: I) -> Self
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let mut command = Command::new(program);
        let mut shown = program.to_owned();
        for argument in arguments {
            command.arg(argument.as_ref());
            shown = format!("{shown} {}", argument.as_ref());
        }
        Self { command, shown, input: Vec::new(), limit: Duration::from_secs(60) }
    }

    /// Sets the time limit.
    #[must_use]
    pub fn within(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Sets its stdin.
    #[must_use]
    pub fn with_input(mut self, input: impl Into<Vec<u8>>) -> Self {
        self.input = input.into();
        self
    }

    /// Lets the caller set directory and environment.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Command)) -> Self {
        change(&mut self.command);
        self
    }

    /// Starts it without waiting for it, with stdout and stderr in pipes.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn spawn(mut self) -> Result<Child, LabError> {
        self.command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|source| LabError::NotStarted { command: self.shown, source })
    }

    /// Runs it to its end, whether it succeeds or not.
    ///
    /// # Errors
    /// It cannot be started, or its time is over: then it is killed.
    pub fn ran(mut self) -> Result<Ran, LabError> {
        let began = Instant::now();
        let mut child = self
            .command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|source| LabError::NotStarted { command: self.shown.clone(), source })?;
        let mut stdin = child.stdin.take();
        let input = self.input;
        let feeding = thread::spawn(move || {
            if let Some(stdin) = &mut stdin {
                // A program that exits without reading all of it says so by its exit code.
                let _ = stdin.write_all(&input);
            }
        });
        let stdout = drain(child.stdout.take());
        let stderr = drain(child.stderr.take());
        let status = wait(&mut child, began + self.limit);
        let Some(status) = status else {
            // Its children may still keep the pipes open, so the readers are not awaited here.
            let _ = child.kill();
            let _ = child.wait();
            return Err(LabError::TimeOver { command: self.shown, limit: self.limit });
        };
        let _ = feeding.join();
        Ok(Ran {
            code: status.code(),
            stdout: stdout.join().unwrap_or_default(),
            stderr: stderr.join().unwrap_or_default(),
            took: began.elapsed(),
        })
    }

    /// Runs it and returns its stdout.
    ///
    /// # Errors
    /// As [`Run::ran`], or it exited with another code than 0.
    pub fn output(self) -> Result<String, LabError> {
        let shown = self.shown.clone();
        let ran = self.ran()?;
        if ran.is_success() {
            Ok(ran.stdout)
        } else {
            Err(LabError::Failed { command: shown, code: ran.code, stderr: ran.stderr.trim().to_owned() })
        }
    }
}

fn drain(pipe: Option<impl Read + Send + 'static>) -> JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            let _ = pipe.read_to_end(&mut bytes);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// The end of a process, if it comes before the deadline. std can only wait without limit or not at all,
/// hence the short sleeps.
fn wait(child: &mut Child, deadline: Instant) -> Option<ExitStatus> {
    loop {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status);
        }
        if Instant::now() >= deadline {
            return None;
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// Asks repeatedly until the answer is yes or the time is over.
///
/// # Errors
/// The time is over; the error says what was awaited and the last answer.
pub fn await_that(
    what: &str,
    limit: Duration,
    mut holds: impl FnMut() -> Result<bool, LabError>,
) -> Result<Duration, LabError> {
    let began = Instant::now();
    loop {
        let answer = holds();
        if matches!(answer, Ok(true)) {
            return Ok(began.elapsed());
        }
        if began.elapsed() >= limit {
            let last = match answer {
                Ok(_) => "not so".to_owned(),
                Err(error) => error.to_string(),
            };
            return Err(LabError::NotReached { what: what.to_owned(), limit, last });
        }
        thread::sleep(Duration::from_millis(100));
    }
}

//! Something that is done at a fixed rate, however long each time takes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Calls a function once per period, each time in a thread of its own: a late answer delays no other request. It
/// ends when it is stopped or dropped, after the last call has returned.
#[derive(Debug)]
pub(super) struct Pacer {
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Pacer {
    /// The function is given the number of the call, from 0.
    pub(super) fn start(period: Duration, each: impl Fn(usize) + Send + Sync + 'static) -> Self {
        let ends = Arc::new(AtomicBool::new(false));
        let each = Arc::new(each);
        let thread = thread::spawn({
            let ends = Arc::clone(&ends);
            move || {
                let mut running: Vec<JoinHandle<()>> = Vec::new();
                let mut next = Instant::now();
                let mut number = 0;
                while !ends.load(Ordering::Relaxed) {
                    let each = Arc::clone(&each);
                    running.push(thread::spawn(move || each(number)));
                    running.retain(|call| !call.is_finished());
                    number += 1;
                    next += period;
                    thread::sleep(next.saturating_duration_since(Instant::now()));
                }
                for call in running {
                    let _ = call.join();
                }
            }
        });
        Self { ends, thread: Some(thread) }
    }

    pub(super) fn stop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Pacer {
    fn drop(&mut self) {
        self.stop();
    }
}

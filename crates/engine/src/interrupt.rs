//! The operator's request to stop, in two stages.

use tokio::sync::watch;

/// How urgently the run should end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Urgency {
    /// It continues.
    #[default]
    None,
    /// Running steps are finished, no new one begins.
    Finish,
    /// It ends at once; the next run repairs what is left half done.
    Leave,
}

/// A handle by which a run is interrupted; all its clones are the same handle.
#[derive(Clone, Debug, Default)]
pub struct Interrupt {
    urgency: watch::Sender<Urgency>,
}

impl Interrupt {
    /// Asks the run to end: the first time by finishing what runs, the second time at once.
    pub fn request(&self) {
        self.urgency.send_modify(|urgency| {
            *urgency = match urgency {
                Urgency::None => Urgency::Finish,
                Urgency::Finish | Urgency::Leave => Urgency::Leave,
            };
        });
    }

    /// How urgently the run should end now.
    pub fn urgency(&self) -> Urgency {
        *self.urgency.borrow()
    }

    /// Returns when the run should end at least this urgently.
    pub async fn reached(&self, wanted: Urgency) {
        let mut urgency = self.urgency.subscribe();
        urgency.wait_for(|urgency| *urgency >= wanted).await.expect("this handle keeps the sender alive");
    }
}

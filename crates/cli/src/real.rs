//! Real machines: reached over SSH, with real keys, at the real time.

use std::io;
use std::path::PathBuf;

use std::sync::{Mutex, PoisonError};

use windlass_engine::{Event, LedgerStore as _, Listener, Ports};
use windlass_model::{Action, Component, Gate, Ledger, Outcome};
use windlass_pki::X509Minter;
use windlass_remote::{RemoteFleet, Settings, Stats, SystemClock};
use windlass_spec::EndpointSpec;

use crate::command_error::CommandError;
use crate::kubeconfig::{self, Ways, Written};
use crate::ledger_file::FileLedger;
use crate::scene::{Run, Scene};
use crate::source::Source;

/// Real machines, behind the ports of the engine.
#[derive(Debug)]
pub(crate) struct Real {
    fleet: RemoteFleet,
    ledger: FileLedger,
    config: PathBuf,
    endpoint: Option<EndpointSpec>,
    kubeconfig: Mutex<Early>,
}

/// The state of the kubeconfig during a run.
#[derive(Debug, Default)]
enum Early {
    /// Nothing.
    #[default]
    Nothing,
    /// It is written as soon as an API server answers.
    Awaited(Ways),
    /// It was written then.
    Written(Written),
}

impl Real {
    /// The machines of these settings; contacts none of them.
    pub(crate) fn open(
        source: &Source,
        settings: Settings,
        endpoint: Option<&EndpointSpec>,
    ) -> Result<Self, CommandError> {
        let fleet = RemoteFleet::new(settings).map_err(|source| CommandError::NoRoom { source })?;
        let (config, endpoint) = (source.path().to_owned(), endpoint.cloned());
        Ok(Self {
            fleet,
            ledger: FileLedger::beside(source.path()),
            config,
            endpoint,
            kubeconfig: Mutex::default(),
        })
    }

    /// Removes windlass' own program from all machines.
    pub(crate) async fn leave_nothing(&self) {
        self.fleet.remove_images().await;
    }

    /// Closes the connections to all machines.
    pub(crate) async fn close(&self) {
        self.fleet.close().await;
    }
}

impl Scene for Real {
    type Fleet = RemoteFleet;
    type Ledger = FileLedger;
    type Minter = X509Minter;
    type Clock = SystemClock;

    fn ports(&self) -> Ports<'_, RemoteFleet, FileLedger, X509Minter, SystemClock> {
        Ports { fleet: &self.fleet, ledger: &self.ledger, minter: &X509Minter, clock: &SystemClock }
    }

    fn begin(&self, run: Run<'_>) {
        let early = if run.dismantles {
            Early::Nothing
        } else {
            Early::Awaited(Ways::of(run.blueprint, self.endpoint.as_ref()))
        };
        *self.kubeconfig.lock().unwrap_or_else(PoisonError::into_inner) = early;
    }

    fn listener(&self) -> &dyn Listener {
        self
    }

    fn end(&self, run: Run<'_>, ledger: Option<&Ledger>) -> Result<Vec<String>, CommandError> {
        let unwritable = |source: io::Error| CommandError::KubeconfigUnwritable {
            path: kubeconfig::beside(&self.config),
            source,
        };
        let Some(ledger) = ledger else {
            if run.dismantles {
                kubeconfig::delete(&self.config).map_err(unwritable)?;
            }
            return Ok(Vec::new());
        };
        let ways = Ways::of(run.blueprint, self.endpoint.as_ref());
        let written = kubeconfig::write(&self.config, &ways, ledger).map_err(unwritable)?;
        let early = std::mem::take(&mut *self.kubeconfig.lock().unwrap_or_else(PoisonError::into_inner));
        let written = match (written, early) {
            (Written::Unchanged, Early::Written(early)) => early,
            (written, _) => written,
        };
        Ok(match written {
            Written::New(path) | Written::Changed(path) => {
                vec![format!("kubectl reaches the cluster by {}\n", path.display())]
            }
            Written::Unchanged | Written::NothingToSay => Vec::new(),
        })
    }

    fn remember(&self, _run: Run<'_>) -> Result<(), CommandError> {
        Ok(())
    }

    fn violations(&self) -> Vec<String> {
        Vec::new()
    }

    fn stats(&self) -> Option<Stats> {
        Some(self.fleet.stats())
    }
}

/// The operator gets access to the cluster as soon as there is an API server: `up` may wait long after that,
/// for example for a network that only the operator can deploy.
impl Listener for Real {
    fn hear(&self, event: Event<'_>) {
        let Event::StepEnds { step, outcome: Outcome::Done } = event else { return };
        let Action::AwaitHealthy {
            gate: Gate::Container { component: Component::KubeApiserver, .. }, ..
        } = &step.action
        else {
            return;
        };
        let mut early = self.kubeconfig.lock().unwrap_or_else(PoisonError::into_inner);
        if let (Early::Awaited(ways), Ok(Some(ledger))) = (&*early, self.ledger.read())
            // An error of this write is reported when the file is written again, at the end.
            && let Ok(written) = kubeconfig::write(&self.config, ways, &ledger)
        {
            *early = Early::Written(written);
        }
    }
}

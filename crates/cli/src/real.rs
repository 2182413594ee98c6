//! Real machines: reached over SSH, with real keys, at the real time.

use std::io;
use std::path::PathBuf;

use windlass_engine::{Listener, Ports, Silence};
use windlass_model::Ledger;
use windlass_pki::X509Minter;
use windlass_remote::{RemoteFleet, Settings, Stats, SystemClock};
use windlass_spec::EndpointSpec;

use crate::kubeconfig::{self, Written};
use crate::ledger_file::FileLedger;
use crate::scene::{Run, Scene};
use crate::source::Source;
use crate::trouble::Trouble;

/// Real machines, behind the ports of the engine.
#[derive(Debug)]
pub(crate) struct Real {
    fleet: RemoteFleet,
    ledger: FileLedger,
    config: PathBuf,
    endpoint: Option<EndpointSpec>,
}

impl Real {
    /// The machines that these settings lead to; reaches for none of them.
    pub(crate) fn open(
        source: &Source,
        settings: Settings,
        endpoint: Option<&EndpointSpec>,
    ) -> Result<Self, Trouble> {
        let fleet = RemoteFleet::new(settings).map_err(|source| Trouble::NoRoom { source })?;
        let (config, endpoint) = (source.path().to_owned(), endpoint.cloned());
        Ok(Self { fleet, ledger: FileLedger::beside(source.path()), config, endpoint })
    }

    /// Takes windlass' own program off all machines.
    pub(crate) async fn leave_nothing(&self) {
        self.fleet.remove_images().await;
    }

    /// Lets go of all machines.
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

    fn begin(&self, _run: Run<'_>) {}

    fn listener(&self) -> &dyn Listener {
        &Silence
    }

    fn end(&self, run: Run<'_>, ledger: Option<&Ledger>) -> Result<Vec<String>, Trouble> {
        let unwritable = |source: io::Error| Trouble::KubeconfigUnwritable {
            path: kubeconfig::beside(&self.config),
            source,
        };
        let Some(ledger) = ledger else {
            if run.dismantles {
                kubeconfig::delete(&self.config).map_err(unwritable)?;
            }
            return Ok(Vec::new());
        };
        let endpoint = self.endpoint.as_ref();
        let written = kubeconfig::write(&self.config, run.blueprint, endpoint, ledger).map_err(unwritable)?;
        Ok(match written {
            Written::New(path) | Written::Changed(path) => {
                vec![format!("kubectl reaches the cluster by {}\n", path.display())]
            }
            Written::Unchanged | Written::NothingToSay => Vec::new(),
        })
    }

    fn violations(&self) -> Vec<String> {
        Vec::new()
    }

    fn stats(&self) -> Option<Stats> {
        Some(self.fleet.stats())
    }
}

//! Machines from a seed: their operating systems, and the settings that kubelet must share with their Docker
//! and kernel.

use fastrand::Rng;
use windlass_model::{FilePath, NodeName};
use windlass_simulator::Mischief;

/// Operating systems by Docker's names for them, with RKE 1's prefix of host directories there.
const SYSTEMS: [(&str, &str); 7] = [
    ("Ubuntu 22.04.4 LTS", ""),
    ("Debian GNU/Linux 12 (bookworm)", ""),
    ("Flatcar Container Linux by Kinvolk 3510.2.0 (Oklo)", "/opt/rke"),
    ("Container Linux by CoreOS 2605.12.0 (Rhyolite)", "/opt/rke"),
    ("Fedora CoreOS 38.20230806.3.0", "/opt/rke"),
    ("RancherOS v1.5.8", "/opt/rke"),
    ("Boot2Docker 19.03.12 (TCL 10.1)", "/mnt/sda1/rke"),
];

/// The architecture of ordinary simulated machines, and of the program.
pub const ARCHITECTURE: &str = "x86_64";

/// One machine, with the properties that windlass must follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// The facts in which it differs from an ordinary one, each with a value in YAML.
    pub facts: Vec<(&'static str, String)>,
    prefix: &'static str,
}

impl Host {
    fn ordinary() -> Self {
        Self { facts: Vec::new(), prefix: "" }
    }

    fn of(rng: &mut Rng, (system, prefix): (&'static str, &'static str)) -> Self {
        let mut facts = vec![("operating_system", system.to_owned())];
        if rng.bool() {
            facts.push(("cgroup_driver", "systemd".to_owned()));
        }
        if rng.u8(0..3) == 0 {
            facts.push(("cgroup", "2".to_owned()));
        }
        if rng.bool() {
            facts.push(("resolv_conf", "/run/systemd/resolve/resolv.conf".to_owned()));
        }
        if rng.u8(0..4) == 0 {
            facts.push(("docker_root", "/data/docker".to_owned()));
        }
        Self { facts, prefix }
    }

    /// The same machine with a kernel and Docker of today.
    #[must_use]
    pub fn of_today(mut self) -> Self {
        self.facts.retain(|(fact, _)| !["cgroup", "cgroup_driver"].contains(fact));
        self.facts.extend([("cgroup_driver", "systemd".to_owned()), ("cgroup", "2".to_owned())]);
        self
    }

    /// The path on this machine of a host path of windlass.
    pub fn path(&self, short: &str) -> FilePath {
        FilePath::from(format!("{}{short}", self.prefix))
    }

    /// The changes that turn `node` into this machine.
    pub fn changes(&self, node: &NodeName) -> impl Iterator<Item = Mischief> {
        self.facts.iter().map(|(fact, value)| Mischief::MachineChanged {
            node: node.clone(),
            fact: (*fact).to_owned(),
            value: value.clone(),
        })
    }
}

/// This many machines: ordinary ones in every other world; else all with one operating system, or each with
/// its own.
///
/// Their architecture is that of the program: a new machine with another is held.
pub fn hosts(rng: &mut Rng, machines: usize) -> Vec<Host> {
    let system = {
        let common = SYSTEMS[rng.usize(0..SYSTEMS.len())];
        let kind = rng.u8(0..4);
        move |rng: &mut Rng| match kind {
            0 | 1 => None,
            2 => Some(common),
            _ => Some(SYSTEMS[rng.usize(0..SYSTEMS.len())]),
        }
    };
    (0..machines).map(|_| system(rng).map_or_else(Host::ordinary, |system| Host::of(rng, system))).collect()
}

/// A machine that has this architecture, by Docker's name for it.
pub fn with_architecture(node: NodeName, architecture: &str) -> Mischief {
    Mischief::MachineChanged { node, fact: "architecture".to_owned(), value: architecture.to_owned() }
}

/// Somebody changes the configuration of a machine's Docker or its name servers.
pub fn change(rng: &mut Rng, node: NodeName) -> Mischief {
    let (fact, value) = match rng.u8(0..4) {
        0 => ("cgroup_driver", "systemd"),
        1 => ("cgroup_driver", "cgroupfs"),
        2 => ("resolv_conf", "/run/systemd/resolve/resolv.conf"),
        _ => ("resolv_conf", "/etc/resolv.conf"),
    };
    Mischief::MachineChanged { node, fact: fact.to_owned(), value: value.to_owned() }
}

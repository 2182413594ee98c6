//! What can happen to a host: power, network, disk, Docker, ports, and what preflight checks.

use super::node::quoted;
use super::{LabError, Node, Run, docker};

/// What is dropped for a host without a network: everything that comes in or goes out, forwarded or its own.
const CUT: [&str; 2] = ["PREROUTING -i eth0 -j DROP", "POSTROUTING -o eth0 -j DROP"];

impl Node {
    /// Switches it off at once, as in a power failure.
    ///
    /// # Errors
    /// Docker refuses; it may be off already.
    pub fn power_off(&self) -> Result<(), LabError> {
        docker(["kill", &self.container])
    }

    /// Switches it on again: it boots, and Docker starts the containers with restart `always`. See
    /// [`Node::await_answering`].
    ///
    /// # Errors
    /// Docker refuses.
    pub fn power_on(&self) -> Result<(), LabError> {
        docker(["start", &self.container])
    }

    /// Shuts down in order and boots; it returns while the host boots.
    ///
    /// `/run` is empty afterwards and mounts are gone, as on any host. `boot_id` and uptime are the machine's
    /// own and stay the same.
    ///
    /// # Errors
    /// Docker refuses.
    pub fn reboot(&self) -> Result<(), LabError> {
        docker(["restart", "--time", "20", &self.container])
    }

    /// Freezes all its processes: connections stay open, and nothing answers.
    ///
    /// # Errors
    /// Docker refuses.
    pub fn pause(&self) -> Result<(), LabError> {
        docker(["pause", &self.container])
    }

    /// The processes continue.
    ///
    /// # Errors
    /// Docker refuses.
    pub fn unpause(&self) -> Result<(), LabError> {
        docker(["unpause", &self.container])
    }

    /// Disconnects it from the network while it runs on. Packets are dropped, so callers wait and are not
    /// refused.
    ///
    /// # Errors
    /// The host does not run.
    pub fn cut_off(&self) -> Result<(), LabError> {
        let rules = CUT.map(|rule| format!("iptables -w -t mangle -I {rule}"));
        self.root(&rules.join(" && ")).map(|_| ())
    }

    /// Connects it to the network again. A reboot does so as well.
    ///
    /// # Errors
    /// The host does not run, or was not disconnected.
    pub fn reconnect(&self) -> Result<(), LabError> {
        let rules = CUT.map(|rule| format!("iptables -w -t mangle -D {rule}"));
        self.root(&rules.join(" && ")).map(|_| ())
    }

    /// Drops packets to and from an address that is not of a host of the lab.
    ///
    /// # Errors
    /// The host does not run.
    pub fn cut_off_from_address(&self, address: &str) -> Result<(), LabError> {
        let rules = between(address).map(|rule| format!("iptables -w -t mangle -I {rule}"));
        self.root(&rules.join(" && ")).map(|_| ())
    }

    /// Undoes [`Node::cut_off_from_address`].
    ///
    /// # Errors
    /// The host does not run, or was not disconnected from it.
    pub fn reconnect_to_address(&self, address: &str) -> Result<(), LabError> {
        let rules = between(address).map(|rule| format!("iptables -w -t mangle -D {rule}"));
        self.root(&rules.join(" && ")).map(|_| ())
    }

    /// Drops packets from this address: the two cannot communicate, others can with both.
    ///
    /// # Errors
    /// The host does not run.
    pub fn cut_off_from(&self, other: &Self) -> Result<(), LabError> {
        self.root(&format!("iptables -w -t mangle -I PREROUTING -s {} -j DROP", other.address)).map(|_| ())
    }

    /// The two can communicate again.
    ///
    /// # Errors
    /// The host does not run, or was not disconnected from the other.
    pub fn reconnect_to(&self, other: &Self) -> Result<(), LabError> {
        self.root(&format!("iptables -w -t mangle -D PREROUTING -s {} -j DROP", other.address)).map(|_| ())
    }

    /// Refuses connections to this TCP port from other hosts, as a firewall does.
    ///
    /// # Errors
    /// The host does not run.
    pub fn block_port(&self, port: u16) -> Result<(), LabError> {
        self.root(&format!("iptables -w -I INPUT -i eth0 -p tcp --dport {port} -j REJECT")).map(|_| ())
    }

    /// Accepts these connections again.
    ///
    /// # Errors
    /// The host does not run, or the port was not blocked.
    pub fn unblock_port(&self, port: u16) -> Result<(), LabError> {
        self.root(&format!("iptables -w -D INPUT -i eth0 -p tcp --dport {port} -j REJECT")).map(|_| ())
    }

    /// Fills its disk until only this many bytes are free. Only in a lab with a disk:
    /// [`super::LabShape::with_disk`].
    ///
    /// # Errors
    /// The host has no disk of its own, or less is free already.
    pub fn fill_disk(&self, left: u64) -> Result<(), LabError> {
        let disk = "/var/lib/lab/disk";
        let command = format!(
            "mountpoint -q {disk} || {{ echo 'no disk of its own' >&2; exit 1; }}
             free=$(($(stat -f -c '%a * %S' {disk})))
             fallocate -l $((free - {left})) {disk}/ballast"
        );
        self.root(&command).map(|_| ())
    }

    /// Removes what [`Node::fill_disk`] wrote.
    ///
    /// # Errors
    /// The host does not run.
    pub fn free_disk(&self) -> Result<(), LabError> {
        self.remove_path("/var/lib/lab/disk/ballast")
    }

    /// Stops its Docker, and the containers with it; it stays down until [`Node::start_docker`] or a reboot.
    ///
    /// # Errors
    /// It does not stop within 30 s.
    pub fn stop_docker(&self) -> Result<(), LabError> {
        self.root("lab-engine stop").map(|_| ())
    }

    /// Starts its Docker and waits until it answers.
    ///
    /// # Errors
    /// It does not within 30 s.
    pub fn start_docker(&self) -> Result<(), LabError> {
        self.root("lab-engine start").map(|_| ())
    }

    /// Kills its Docker, which comes back by itself, as it does under systemd.
    ///
    /// # Errors
    /// The host does not run.
    pub fn crash_docker(&self) -> Result<(), LabError> {
        self.root("lab-engine kill").map(|_| ())
    }

    /// A process that does not belong to the cluster listens on this TCP port.
    ///
    /// # Errors
    /// Another process has the port.
    pub fn take_port(&self, port: u16) -> Result<(), LabError> {
        docker(["exec", "--detach", &self.container, "nc", "-l", "-k", "-p", &port.to_string()])?;
        super::await_that(&format!("port {port} is taken"), std::time::Duration::from_secs(5), || {
            self.as_root(&format!("pgrep -f '^nc -l -k -p {port}$' && nc -z 127.0.0.1 {port}"))
                .ran()
                .map(|ran| ran.is_success())
        })
        .map(|_| ())
    }

    /// It no longer listens.
    ///
    /// # Errors
    /// It did not listen.
    pub fn release_port(&self, port: u16) -> Result<(), LabError> {
        self.root(&format!("pkill -f '^nc -l -k -p {port}$'")).map(|_| ())
    }

    /// Every command that is run over SSH sees a clock that is off by this many seconds.
    ///
    /// The clock itself is the machine's, which a lab must not change: containers, Docker's answers and
    /// certificates use the true time. So this only shows that a skew is *found* by a client that asks the
    /// host.
    ///
    /// # Errors
    /// sshd cannot be configured.
    pub fn shift_session_clock(&self, seconds: i64) -> Result<(), LabError> {
        let library = self.root("ls /usr/lib/*/faketime/libfaketime.so.1")?;
        let setting = format!("SetEnv LD_PRELOAD={} FAKETIME={seconds:+}\n", library.trim());
        self.write_file("/etc/ssh/sshd_config.d/clock.conf", &setting)?;
        self.reload_sshd()
    }

    /// They see the true one again.
    ///
    /// # Errors
    /// sshd cannot be configured.
    pub fn restore_session_clock(&self) -> Result<(), LabError> {
        self.remove_path("/etc/ssh/sshd_config.d/clock.conf")?;
        self.reload_sshd()
    }

    /// Denies login with the lab's keys; [`Node::let_in`] undoes it.
    ///
    /// # Errors
    /// The host does not run.
    pub fn shut_out(&self) -> Result<(), LabError> {
        self.root("for home in ops visitor; do mv /home/$home/.ssh /home/$home/.ssh-away; done").map(|_| ())
    }

    /// Accepts the lab's key again. A reboot does so as well.
    ///
    /// # Errors
    /// The host does not run, or login was not denied.
    pub fn let_in(&self) -> Result<(), LabError> {
        self.root("for home in ops visitor; do rm -rf /home/$home/.ssh; mv /home/$home/.ssh-away /home/$home/.ssh; done")
            .map(|_| ())
    }

    /// Gives it another host key, as of a host that was installed again at the same address.
    ///
    /// # Errors
    /// The host does not run.
    pub fn renew_host_key(&self) -> Result<(), LabError> {
        self.root(
            "rm -f /etc/ssh/ssh_host_*; ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key",
        )?;
        self.reload_sshd()
    }

    /// Sets its host name until it reboots. Docker reports the name from when Docker started.
    ///
    /// # Errors
    /// The host does not run.
    pub fn rename_host(&self, name: &str) -> Result<(), LabError> {
        self.root(&format!("hostname {0} && echo {0} > /etc/hostname", quoted(name)))?;
        self.stop_docker()?;
        self.start_docker()
    }

    /// Sets its machine id: two hosts made from one image have the same.
    ///
    /// # Errors
    /// The host does not run.
    pub fn set_machine_id(&self, id: &str) -> Result<(), LabError> {
        self.write_file("/etc/machine-id", &format!("{id}\n"))
    }

    /// Sets a kernel parameter of the host's network (`net.ipv4.ip_forward`); others are the machine's own.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn set_sysctl(&self, name: &str, value: &str) -> Result<(), LabError> {
        self.root(&format!("echo {} > /proc/sys/{}", quoted(value), name.replace('.', "/"))).map(|_| ())
    }

    /// Processes on the host that read this file get this text, until it reboots: for example `/proc/swaps`
    /// of a machine with swap. Containers, which have a `/proc` of their own, see the true one.
    ///
    /// # Errors
    /// There is no such file.
    pub fn pretend_file(&self, path: &str, text: &str) -> Result<(), LabError> {
        let mask = quoted(&format!("/run/lab/pretended{path}"));
        let path = quoted(path);
        self.as_root(&format!("mkdir -p \"$(dirname {mask})\" && cat > {mask} && mount --bind {mask} {path}"))
            .with_input(text)
            .output()
            .map(|_| ())
    }

    /// Processes read the true file again.
    ///
    /// # Errors
    /// No text was substituted.
    pub fn restore_file(&self, path: &str) -> Result<(), LabError> {
        self.root(&format!("umount {}", quoted(path))).map(|_| ())
    }

    /// Restores the pod network that a test removed.
    ///
    /// # Errors
    /// The host does not run.
    pub fn restore_pods_network(&self) -> Result<(), LabError> {
        self.root("lab-network").map(|_| ())
    }

    /// Makes sshd read its configuration again, and waits until it answers.
    ///
    /// # Errors
    /// The host does not run, or its configuration is wrong.
    pub fn reload_sshd(&self) -> Result<(), LabError> {
        // On this signal sshd restarts itself and reads its configuration again.
        self.root("pkill -HUP -o -x sshd")?;
        Run::new(
            "docker",
            ["exec", &self.container, "sh", "-c", "until nc -z 127.0.0.1 22; do sleep 0.05; done"],
        )
        .within(std::time::Duration::from_secs(10))
        .output()
        .map(|_| ())
    }
}

/// What is dropped between a host and an address.
fn between(address: &str) -> [String; 2] {
    [format!("PREROUTING -s {address} -j DROP"), format!("POSTROUTING -d {address} -j DROP")]
}

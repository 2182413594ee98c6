//! One ssh process for each machine, shared by everything: how it is started, and what its error messages
//! mean.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

use crate::room::Room;
use crate::settings::{Access, Agent, HostKeys, KeySource};

/// How long a machine may take to accept the connection and send its greeting.
const CONNECT_SECONDS: u32 = 10;
/// How long all of it may take, logging in included.
const START_WITHIN: Duration = Duration::from_secs(25);
/// A machine that does not answer for so long, and so often, counts as gone.
const ALIVE_SECONDS: u32 = 5;
const ALIVE_TIMES: u32 = 3;
/// After how long without use the process ends by itself: it does when windlass is killed.
const IDLE_SECONDS: u32 = 15;

/// A machine to connect to.
#[derive(Debug)]
pub(crate) struct Destination<'a> {
    pub(crate) address: &'a str,
    pub(crate) port: u16,
    pub(crate) user: &'a str,
    pub(crate) access: &'a Access,
    /// The control socket of the connection through which it is reached.
    pub(crate) through: Option<&'a Path>,
    pub(crate) host_keys: HostKeys,
    pub(crate) known_hosts: Option<&'a Path>,
}

/// An ssh process that runs.
#[derive(Debug)]
pub(crate) struct Started {
    /// Its control socket.
    pub(crate) control: PathBuf,
    /// Where it writes its error messages.
    pub(crate) log: PathBuf,
}

impl Started {
    /// Whether sshd has so far refused to forward anything, because of its settings. Only the log says so:
    /// for a client, what sshd refuses looks like an address where nothing listens.
    ///
    /// Source: `reason2txt` in `channels.c` of OpenSSH.
    pub(crate) fn was_refused_to_forward(&self) -> bool {
        let reported = std::fs::read_to_string(&self.log).unwrap_or_default();
        reported.contains("open failed: administratively prohibited")
    }
}

/// Connects, and returns the process; otherwise an explanation for a person.
pub(crate) async fn start(destination: &Destination<'_>, room: &Room) -> Result<Started, String> {
    let socket = room.path("s");
    let log = room.path("log");
    let keys = Keys::of(destination.access, room).map_err(|error| format!("its key: {error}"))?;
    let mut command = Command::new("ssh");
    command.args(arguments(destination, &keys, &socket, &log));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let ended = timeout(START_WITHIN, command.status()).await;
    let reported = std::fs::read_to_string(&log).unwrap_or_default();
    match ended {
        Err(_) => Err(format!("no login within {} s", START_WITHIN.as_secs())),
        Ok(Err(error)) => Err(format!("the program `ssh` cannot be run: {error}")),
        Ok(Ok(status)) if status.success() => Ok(Started { control: socket, log }),
        Ok(Ok(_)) => Err(meaning(&reported, destination)),
    }
}

/// Key and certificate as files.
#[derive(Debug, Default)]
struct Keys {
    key: Option<PathBuf>,
    certificate: Option<PathBuf>,
}

impl Keys {
    fn of(access: &Access, room: &Room) -> std::io::Result<Self> {
        let file = |source: &Option<KeySource>| match source {
            None => Ok(None),
            Some(KeySource::Path(path)) => Ok(Some(path.clone())),
            Some(KeySource::Inline(secret)) => room.keep(secret).map(Some),
        };
        Ok(Self { key: file(&access.key)?, certificate: file(&access.certificate)? })
    }
}

fn arguments(destination: &Destination<'_>, keys: &Keys, socket: &Path, log: &Path) -> Vec<OsString> {
    let Destination { address, port, user, access, through, host_keys, known_hosts } = destination;
    let mut arguments: Vec<OsString> = Vec::new();
    let mut add = |argument: &dyn AsRef<std::ffi::OsStr>| arguments.push(argument.as_ref().to_owned());
    // No configuration of the user: the same cluster.yml does the same everywhere.
    add(&"-F");
    add(&"none");
    add(&"-E");
    add(&log);
    add(&"-S");
    add(&socket);
    for flag in ["-M", "-N", "-f", "-a", "-x", "-T"] {
        add(&flag);
    }
    let mut option = |name: &str, value: &dyn AsRef<std::ffi::OsStr>| {
        let mut text = OsString::from(format!("{name}="));
        text.push(value);
        add(&"-o");
        add(&text);
    };
    option("BatchMode", &"yes");
    // What sshd refuses to forward is logged at this level, and not as an error.
    option("LogLevel", &"INFO");
    option("ControlPersist", &format!("{IDLE_SECONDS}s"));
    option("ConnectTimeout", &CONNECT_SECONDS.to_string());
    option("ServerAliveInterval", &ALIVE_SECONDS.to_string());
    option("ServerAliveCountMax", &ALIVE_TIMES.to_string());
    option("StreamLocalBindUnlink", &"yes");
    let check = match host_keys {
        HostKeys::AcceptNew => "accept-new",
        HostKeys::KnownOnly => "yes",
    };
    option("StrictHostKeyChecking", &check);
    if let Some(path) = known_hosts {
        option("UserKnownHostsFile", &quoted(path));
    }
    if let Some(path) = &keys.key {
        option("IdentityFile", &quoted(path));
        if access.agent == Agent::WithoutKey {
            option("IdentitiesOnly", &"yes");
            option("IdentityAgent", &"none");
        }
    }
    if let Some(path) = &keys.certificate {
        option("CertificateFile", &quoted(path));
    }
    if let Some(through) = through {
        option("ProxyCommand", &format!("ssh -F none -S '{}' -W '[%h]:%p' bastion", through.display()));
    }
    add(&"-p");
    add(&port.to_string());
    add(&"-l");
    add(user);
    add(&"--");
    add(address);
    arguments
}

/// A path in the form of ssh's options: in quotes, and without its placeholders.
fn quoted(path: &Path) -> String {
    format!("\"{}\"", path.display().to_string().replace('%', "%%"))
}

/// The meaning of ssh's error message for a person; its last line as it is where the meaning is unknown.
fn meaning(reported: &str, destination: &Destination<'_>) -> String {
    let Destination { address, port, user, .. } = destination;
    let place = format!("{address}:{port}");
    let has = |words: &str| reported.contains(words);
    if has("REMOTE HOST IDENTIFICATION HAS CHANGED") {
        return format!(
            "the host key of {place} has changed: if the machine was reinstalled, run `ssh-keygen -R` for it; else \
             somebody may intercept the connection"
        );
    }
    if has("Host key verification failed") {
        return format!(
            "the host key of {place} is not known, and with --ssh-strict only known hosts are talked to: compare it with the machine's own, and log in by `ssh` once"
        );
    }
    if has("Permission denied") || has("Too many authentication failures") {
        return format!(
            "{place} refuses the key for the user {user}: name another by `ssh_key_path` in cluster.yml, or let this \
             one in by ~{user}/.ssh/authorized_keys there"
        );
    }
    if has("Connection refused") {
        return format!("{place} refuses connections: sshd does not run there, or at another port");
    }
    if has("timed out") {
        return format!(
            "{place} does not answer within {CONNECT_SECONDS} s: it is switched off, at another address, or behind a \
             firewall"
        );
    }
    if has("Could not resolve hostname") {
        return format!(
            "the name {address} is not known: say an address, or make the name known to this machine"
        );
    }
    if has("No route to host") || has("Network is unreachable") {
        return format!("there is no way to {place}");
    }
    if has("stdio forwarding failed") || has("Control socket connect") {
        return format!("the bastion does not reach {place}");
    }
    let last = reported.lines().rev().map(str::trim).find(|line| !line.is_empty());
    last.map_or_else(|| format!("ssh to {place} ended without a word"), ToOwned::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn destination<'a>(access: &'a Access, through: Option<&'a Path>) -> Destination<'a> {
        Destination {
            address: "10.0.0.1",
            port: 2222,
            user: "ops",
            access,
            through,
            host_keys: HostKeys::AcceptNew,
            known_hosts: None,
        }
    }

    #[test]
    fn ssh_is_given_everything_and_no_secret() {
        let access = Access { key: Some(KeySource::Path("~/my keys/id".into())), ..Access::default() };
        let keys = Keys { key: Some("~/my keys/id".into()), certificate: Some("/c%".into()) };
        let through = Path::new("/tmp/windlass-1/s0");
        let shown: Vec<String> =
            arguments(&destination(&access, Some(through)), &keys, Path::new("/s"), Path::new("/log"))
                .into_iter()
                .map(|argument| argument.into_string().unwrap())
                .collect();
        assert_eq!(
            shown.join("\n"),
            "-F\nnone\n-E\n/log\n-S\n/s\n-M\n-N\n-f\n-a\n-x\n-T\n-o\nBatchMode=yes\n-o\nLogLevel=INFO\n-o\n\
             ControlPersist=15s\n-o\nConnectTimeout=10\n-o\nServerAliveInterval=5\n-o\nServerAliveCountMax=3\n-o\n\
             StreamLocalBindUnlink=yes\n-o\nStrictHostKeyChecking=accept-new\n-o\nIdentityFile=\"~/my keys/id\"\n\
             -o\nIdentitiesOnly=yes\n-o\nIdentityAgent=none\n-o\nCertificateFile=\"/c%%\"\n-o\n\
             ProxyCommand=ssh -F none -S '/tmp/windlass-1/s0' -W '[%h]:%p' bastion\n-p\n2222\n-l\nops\n--\n10.0.0.1"
        );
    }

    #[test]
    fn complaints_are_reported_in_words() {
        let access = Access::default();
        let destination = destination(&access, None);
        for (reported, wanted) in [
            (
                "ssh: connect to host 10.0.0.1 port 2222: Connection refused\r\n",
                "10.0.0.1:2222 refuses connections: sshd does not run there, or at another port",
            ),
            (
                "ssh: connect to host 10.0.0.1 port 2222: Connection timed out",
                "10.0.0.1:2222 does not answer within 10 s: it is switched off, at another address, or behind a firewall",
            ),
            (
                "Connection timed out during banner exchange\nConnection to 10.0.0.1 port 22 timed out",
                "10.0.0.1:2222 does not answer within 10 s: it is switched off, at another address, or behind a firewall",
            ),
            (
                "ops@10.0.0.1: Permission denied (publickey).",
                "10.0.0.1:2222 refuses the key for the user ops: name another by `ssh_key_path` in cluster.yml, or let \
                 this one in by ~ops/.ssh/authorized_keys there",
            ),
            (
                "No ED25519 host key is known for 10.0.0.1 and you have requested strict checking.\nHost key \
                 verification failed.",
                "the host key of 10.0.0.1:2222 is not known, and with --ssh-strict only known hosts are talked to: compare it with the machine's own, and log in by `ssh` once",
            ),
            ("", "ssh to 10.0.0.1:2222 ended without a word"),
            ("first\nkex_exchange_identification: read: odd\n", "kex_exchange_identification: read: odd"),
        ] {
            assert_eq!(meaning(reported, &destination), wanted);
        }
    }
}

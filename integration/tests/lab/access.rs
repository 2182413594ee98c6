//! Hosts are reached in every way that cluster.yml supports, and their own keys are checked.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use windlass_integration::lab::{
    ALL_ROLES, Cluster, Images, Lab, LabError, LabShape, Node, Run, Windlass, await_that,
};

type Outcome = Result<(), LabError>;

#[test]
#[ignore = "needs a lab; see integration/lab/test"]
fn hosts_are_reached_in_every_way_that_cluster_yml_can_say() -> Outcome {
    let lab = Lab::start(&LabShape::nodes(3))?;
    let windlass = Windlass::new(&lab)?;
    host_keys_are_checked(&lab, &windlass)?;
    keys_of_every_kind_open_a_host(&lab, &windlass)?;
    hosts_behind_a_bastion_are_reached_through_it(&lab, &windlass)
}

/// The first host only.
fn one_host(lab: &Lab) -> Cluster {
    Cluster::of(lab, Images::Loaded, [(1, &ALL_ROLES[..])])
}

/// What `plan` says about nodes that it does not reach; none where it plans for all of them.
fn away(run: Run) -> Result<Vec<String>, LabError> {
    let ran = run.ran()?;
    let document: Value = serde_json::from_str(&ran.stdout).map_err(|error| LabError::NotUnderstood {
        what: "the plan".to_owned(),
        why: format!("{error}\n{}{}", ran.stdout, ran.stderr),
    })?;
    let findings = document["findings"].as_array().into_iter().flatten();
    let away: Vec<String> = findings
        .filter(|finding| finding["kind"] == "held")
        .map(|finding| finding["what"].as_str().unwrap_or_default().to_owned())
        .collect();
    let plans = document["steps"].as_array().is_some_and(|steps| !steps.is_empty());
    assert_ne!(plans, !away.is_empty(), "either it plans or it says why not: {}", ran.stdout);
    Ok(away)
}

fn plan<'a>(windlass: &Windlass, more: impl IntoIterator<Item = &'a str>) -> Run {
    windlass.to(["plan", "--output", "json"].into_iter().chain(more))
}

fn host_keys_are_checked(lab: &Lab, windlass: &Windlass) -> Outcome {
    let node = lab.node(1);
    one_host(lab).write(windlass)?;
    let strangers = away(plan(windlass, ["--ssh-strict"]))?;
    assert!(
        strangers[0].contains("with --ssh-strict only known hosts are talked to"),
        "nobody vouches for a host that was never met: {strangers:?}"
    );
    assert_eq!(away(plan(windlass, []))?, Vec::<String>::new(), "a host that was never met is met now");
    assert_eq!(away(plan(windlass, ["--ssh-strict"]))?, Vec::<String>::new(), "and known from then on");

    node.renew_host_key()?;
    let changed = away(plan(windlass, []))?;
    let known_hosts = windlass.directory().join("known_hosts");
    assert!(
        changed[0].contains("host key") && changed[0].contains("ssh-keygen -R"),
        "a host that changed its key is not the one that was met: {changed:?}"
    );
    fs::remove_file(known_hosts).expect("it was written when the host was met");
    assert_eq!(away(plan(windlass, []))?, Vec::<String>::new());
    Ok(())
}

fn keys_of_every_kind_open_a_host(lab: &Lab, windlass: &Windlass) -> Outcome {
    let mut inline = one_host(lab);
    let key = fs::read_to_string(lab.ssh_key()).expect("the lab has a key");
    inline.remove("ssh_key_path").set("nodes.0.ssh_key", key.as_str()).write(windlass)?;
    assert_eq!(away(plan(windlass, []))?, Vec::<String>::new(), "a key in cluster.yml");
    assert_eq!(
        fs::read_dir(windlass.temporary()).map(Iterator::count).ok(),
        Some(0),
        "it lies nowhere afterwards"
    );

    let mut by_agent = one_host(lab);
    by_agent.remove("ssh_key_path").set("ssh_agent_auth", true).write(windlass)?;
    assert_eq!(away(plan(windlass, []))?.len(), 1, "an agent that is not there");
    let agent = Agent::start(windlass.directory(), lab.ssh_key())?;
    assert_eq!(away(agent.reached_by(plan(windlass, [])))?, Vec::<String>::new(), "an agent");
    drop(agent);

    let (new_key, certificate) = certified_key(windlass.directory(), lab.node(1), lab.user())?;
    let mut certified = one_host(lab);
    certified.set("ssh_key_path", new_key.to_string_lossy().as_ref()).write(windlass)?;
    assert_eq!(away(plan(windlass, []))?.len(), 1, "the key alone opens nothing");
    certified.set("ssh_cert_path", certificate.to_string_lossy().as_ref()).write(windlass)?;
    assert_eq!(away(plan(windlass, []))?, Vec::<String>::new(), "a key with its certificate");
    let text = fs::read_to_string(&certificate).expect("it was made");
    certified.remove("ssh_cert_path").set("nodes.0.ssh_cert", text.as_str()).write(windlass)?;
    assert_eq!(away(plan(windlass, []))?, Vec::<String>::new(), "a certificate in cluster.yml");
    Ok(())
}

/// A key that no host knows, and a certificate of it by a CA that this host trusts.
fn certified_key(directory: &Path, node: &Node, user: &str) -> Result<(PathBuf, PathBuf), LabError> {
    let (authority, key) = (directory.join("authority"), directory.join("certified"));
    for path in [&authority, &key] {
        let path = path.to_string_lossy();
        Run::new("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", path.as_ref()]).output()?;
    }
    let public = format!("{}.pub", key.display());
    let by = authority.to_string_lossy();
    Run::new("ssh-keygen", ["-q", "-s", by.as_ref(), "-I", "lab", "-n", user, "-V", "+1h", public.as_str()])
        .output()?;
    let trusted = fs::read_to_string(format!("{by}.pub")).expect("ssh-keygen wrote it");
    node.write_file("/etc/ssh/authority.pub", &trusted)?;
    node.write_file("/etc/ssh/sshd_config.d/authority.conf", "TrustedUserCAKeys /etc/ssh/authority.pub\n")?;
    node.reload_sshd()?;
    // Beside its key ssh would find it by itself.
    let certificate = directory.join("certificate.pub");
    fs::rename(format!("{}-cert.pub", key.display()), &certificate).expect("ssh-keygen wrote it");
    Ok((key, certificate))
}

/// An agent of the test's own, which ends with it.
struct Agent {
    socket: PathBuf,
    process: std::process::Child,
}

impl Agent {
    fn start(directory: &Path, key: &Path) -> Result<Self, LabError> {
        let socket = directory.join("agent");
        let place = socket.to_string_lossy().into_owned();
        let process = Run::new("ssh-agent", ["-D", "-a", place.as_str()]).spawn()?;
        let agent = Self { socket, process };
        await_that("the agent listens", Duration::from_secs(10), || Ok(agent.socket.exists()))?;
        // ssh-add refuses a key that others could read.
        let key = key.to_string_lossy();
        agent.reached_by(Run::new("ssh-add", ["-q", key.as_ref()])).output()?;
        Ok(agent)
    }

    /// The same run, with access to this agent.
    fn reached_by(&self, run: Run) -> Run {
        run.with(|command| {
            command.env("SSH_AUTH_SOCK", &self.socket);
        })
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // It may have exited by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The first host is the bastion of the others, which accept connections only from it.
fn hosts_behind_a_bastion_are_reached_through_it(lab: &Lab, windlass: &Windlass) -> Outcome {
    let bastion = lab.node(1);
    let mut cluster = Cluster::of(lab, Images::Loaded, [(2, &ALL_ROLES[..]), (3, &["worker"][..])]);
    cluster.write(windlass)?;
    for node in &lab.nodes()[1..] {
        node.root(&format!("iptables -I INPUT -p tcp --dport 22 ! -s {} -j REJECT", bastion.address))?;
    }
    assert_eq!(away(plan(windlass, []))?.len(), 2, "nobody else is let in");
    cluster.set("bastion_host.address", bastion.address.as_str()).set("bastion_host.user", lab.user());
    cluster.set("bastion_host.ssh_key_path", lab.ssh_key().to_string_lossy().as_ref()).write(windlass)?;
    assert_eq!(away(plan(windlass, []))?, Vec::<String>::new());
    let stats = plan(windlass, ["--stats"]).ran()?.stderr;
    for counted in
        ["bastion: SSH connections 1\n", "node-2: SSH connections 1,", "node-3: SSH connections 1,"]
    {
        assert!(stats.contains(counted), "`{counted}` is not in: {stats}");
    }
    Ok(())
}

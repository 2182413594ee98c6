//! Faults of hosts are reported with host and remedy before anything is changed, and the other hosts go on.
//!
//! Real here: keys, users and groups, Docker's service, ports, full disks, names and ids of hosts, the
//! registry and its credentials. Not real: a clock, which all hosts share with this machine; only the time
//! that commands over SSH see is shifted, which is where windlass looks. And swap: the host's own list of it
//! is replaced by another text.

use std::fs;

use serde_json::Value;
use windlass_integration::lab::{
    ALL_ROLES, Cluster, Images, Lab, LabError, LabShape, LabState, Node, Windlass,
};

type Outcome = Result<(), LabError>;

#[test]
#[ignore = "needs a lab; see integration/lab/test"]
fn bad_worlds_are_reported_with_host_and_remedy_and_stop_nobody_else() -> Outcome {
    let lab = Lab::start(&LabShape::nodes(3).with_disk("6G"))?;
    let windlass = Windlass::new(&lab)?;
    let mut cluster = cluster_of(&lab);
    cluster.write(&windlass)?;

    bare_hosts_tell_everything_together(&lab, &windlass, &mut cluster)?;
    the_sound_host_becomes_a_cluster(&lab, &windlass)?;
    the_others_join_when_they_are_mended(&lab, &windlass)?;
    a_kernel_is_set_again(&lab, &windlass)?;
    no_image_stops_nothing(&lab, &windlass, &mut cluster)?;
    live_hosts_go_on(&lab, &windlass, &mut cluster)
}

/// The first with all roles, two workers.
fn cluster_of(lab: &Lab) -> Cluster {
    let worker: &[&str] = &["worker"];
    let roles = [(1, &ALL_ROLES[..]), (2, worker), (3, worker)];
    Cluster::of(lab, Images::FromRegistry, roles)
}

/// One line for each finding: weight, subject, cause, and what to do.
fn reported(findings: &[Value]) -> Vec<String> {
    let text = |finding: &Value, key: &str| finding[key].as_str().unwrap_or_default().to_owned();
    let line = |finding: &Value| {
        let [kind, subject, what, help] = ["kind", "subject", "what", "help"].map(|key| text(finding, key));
        format!("{kind} {subject}: {what} = {help}")
    };
    findings.iter().map(line).collect()
}

/// A text without its line breaks, since output is wrapped.
fn on_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What `plan` finds wrong; checks that it changed nothing on any host.
fn planned(lab: &Lab, windlass: &Windlass, before: &LabState) -> Result<Vec<String>, LabError> {
    let planned = windlass.planned()?;
    assert_eq!(lab.state()?.since(before), Vec::<String>::new(), "a plan changes nothing");
    Ok(reported(&planned.findings))
}

const AWAY: &str =
    "nothing is planned there until it answers; if it is gone for good, remove it from cluster.yml";
const UNTIL: &str = "nothing is planned on this node until then";

fn bare_hosts_tell_everything_together(lab: &Lab, windlass: &Windlass, cluster: &mut Cluster) -> Outcome {
    let (second, third) = (lab.node(2), lab.node(3));
    let bare = lab.state()?;
    assert_eq!(planned(lab, windlass, &bare)?, Vec::<String>::new(), "sound hosts have nothing to tell");

    eprintln!("a wrong key, and Docker stopped");
    third.shut_out()?;
    second.stop_docker()?;
    let found = reported(&windlass.planned()?.findings);
    second.start_docker()?;
    third.let_in()?;
    assert_eq!(
        found,
        [
            format!(
                "held node-2: (worker) unreachable: Docker does not run there (there is no \
                 /var/run/docker.sock): `systemctl enable --now docker` = {AWAY}"
            ),
            format!(
                "held node-3: (worker) unreachable: {}:22 refuses the key for the user {}: name another by \
                 `ssh_key_path` in cluster.yml, or let this one in by ~{1}/.ssh/authorized_keys there = {AWAY}",
                third.address,
                lab.user()
            ),
        ]
    );

    eprintln!("a user outside the docker group");
    cluster.set("nodes.2.user", "visitor").write(windlass)?;
    assert_eq!(
        planned(lab, windlass, &bare)?,
        [format!(
            "held node-3: (worker) unreachable: the user visitor may not use Docker: `usermod -aG docker visitor` \
             as root there = {AWAY}"
        )]
    );
    cluster.set("nodes.2.user", lab.user()).write(windlass)?;

    eprintln!("a port taken, a disk full, swap on");
    cluster.set("services.kubelet.fail_swap_on", true).write(windlass)?;
    for node in lab.nodes() {
        node.pretend_file("/proc/swaps", "Filename Type Size Used Priority\n")?;
    }
    second.take_port(10250)?;
    // The command that fills the rest needs a little itself.
    third.fill_disk((100 << 20) + (1 << 19))?;
    let swap = "Filename Type Size Used Priority\n/dev/sdb1 partition 1048572 0 -2\n";
    third.restore_file("/proc/swaps")?;
    third.pretend_file("/proc/swaps", swap)?;
    let found = planned(lab, windlass, &bare)?;
    for node in lab.nodes() {
        node.restore_file("/proc/swaps")?;
    }
    third.free_disk()?;
    second.release_port(10250)?;
    cluster.set("services.kubelet.fail_swap_on", false).write(windlass)?;
    assert_eq!(
        found,
        [
            format!(
                "held node-2: port 10250, which kubelet needs, is taken by something else = stop it: `ss -ltnp sport \
                 = :10250`, as root, shows what it is; {UNTIL}"
            ),
            format!(
                "held node-3: swap is on, and kubelet does not start with it = switch it off (`swapoff -a`, and its \
                 lines in /etc/fstab), or set `services.kubelet.fail_swap_on: false`; {UNTIL}"
            ),
            format!(
                "held node-3: 100 MiB are free under /var/lib/docker, and the missing images need 2.0 GiB = make \
                 room: `docker system df` shows what takes it; {UNTIL}"
            ),
        ]
    );

    two_hosts_look_alike(lab, windlass)
}

fn two_hosts_look_alike(lab: &Lab, windlass: &Windlass) -> Outcome {
    let (second, third) = (lab.node(2), lab.node(3));
    eprintln!("one name and one id for two hosts");
    let id = second.read_file("/etc/machine-id")?;
    let own = third.read_file("/etc/machine-id")?;
    third.rename_host("node-2")?;
    third.set_machine_id(id.trim())?;
    let found = planned(lab, windlass, &lab.state()?)?;
    third.set_machine_id(own.trim())?;
    third.rename_host("node-3")?;
    let name = "give each machine a name of its own: `hostnamectl set-hostname NAME`; Kubernetes uses the names of \
                cluster.yml all the same";
    let id = "machines copied from one image need ids of their own, since systemd derives addresses of interfaces from \
              them: `rm /etc/machine-id && systemd-machine-id-setup`, then reboot";
    assert_eq!(
        found,
        [
            format!("notice node-2: its host name is `node-2`, the same as that of node-3 = {name}"),
            format!("notice node-2: it has the same /etc/machine-id as node-3 = {id}"),
            format!("notice node-3: its host name is `node-2`, the same as that of node-2 = {name}"),
            format!("notice node-3: it has the same /etc/machine-id as node-2 = {id}"),
        ]
    );
    Ok(())
}

/// Two of three hosts are held: the third becomes a cluster all the same, and nothing is on the two.
fn the_sound_host_becomes_a_cluster(lab: &Lab, windlass: &Windlass) -> Outcome {
    eprintln!("up with a port taken and a clock off by a minute");
    lab.node(2).take_port(6443)?;
    lab.node(3).shift_session_clock(60)?;
    lab.node(1).set_sysctl("net.ipv4.ip_forward", "0")?;
    let ran = windlass.run(["up"])?;
    assert_eq!(ran.code, Some(3), "{}{}", ran.stdout, ran.stderr);
    let said = on_one_line(&format!("{}{}", ran.stdout, ran.stderr));
    for words in [
        "node-2: port 6443, which nginx-proxy needs, is taken by something else",
        "`ss -ltnp sport = :6443`, as root, shows what it is",
        "node-3: its clock is 60 s ahead of this machine's",
        "`timedatectl set-ntp true`, chrony or ntpd",
    ] {
        assert!(said.contains(words), "`{words}` is not in: {said}");
    }
    assert_eq!(windlass.kubectl(lab).ready_nodes()?, ["node-1"]);
    assert!(forwards(lab.node(1))?, "windlass switched it on again");
    let state = lab.state()?;
    let mut names = state.containers().keys().chain(state.files().keys());
    assert!(names.all(|name| name.starts_with("node-1 ")), "nothing is on the hosts that are held");
    Ok(())
}

fn the_others_join_when_they_are_mended(lab: &Lab, windlass: &Windlass) -> Outcome {
    eprintln!("up when they are mended");
    lab.node(2).release_port(6443)?;
    lab.node(3).restore_session_clock()?;
    let before = lab.state()?;
    let ran = windlass.run(["up"])?;
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    assert_eq!(windlass.kubectl(lab).ready_nodes()?, ["node-1", "node-2", "node-3"]);
    let touched = lab.state()?.since(&before);
    // The copy of the ledger lists the nodes.
    let of_first = touched.iter().filter(|name| name.starts_with("node-1 ") && !name.contains("ledger.json"));
    assert_eq!(of_first.collect::<Vec<_>>(), Vec::<&String>::new());
    Ok(())
}

fn forwards(node: &Node) -> Result<bool, LabError> {
    Ok(node.read_file("/proc/sys/net/ipv4/ip_forward")?.trim() == "1")
}

/// A kernel setting that somebody changes is shown as such, and the host's own programs can set it when it
/// boots.
fn a_kernel_is_set_again(lab: &Lab, windlass: &Windlass) -> Outcome {
    eprintln!("forwarding switched off on a live host");
    let node = lab.node(2);
    node.set_sysctl("net.ipv4.ip_forward", "0")?;
    let planned = windlass.planned()?;
    assert_eq!(planned.changes, ["node-2/kernel/set: net.ipv4.ip_forward 0 → 1"]);
    let before = lab.state()?;
    windlass.succeeds(["up"])?;
    assert!(forwards(node)?);
    assert_eq!(lab.state()?.since(&before), Vec::<String>::new(), "nothing else was touched");
    node.set_sysctl("net.ipv4.ip_forward", "0")?;
    node.root("sysctl --load /etc/sysctl.d/90-windlass.conf")?;
    assert!(forwards(node)?, "by the file that is read as it boots");
    Ok(())
}

/// An image that cannot be pulled: the registry is down, does not have it, or refuses the credentials.
fn no_image_stops_nothing(lab: &Lab, windlass: &Windlass, cluster: &mut Cluster) -> Outcome {
    let image = format!("{}/{}", lab.registry().host, lab.image("kube_scheduler"));
    let other = format!("{image}-other");
    let before = lab.state()?;
    let failed = |case: &str, words: &[&str]| -> Outcome {
        eprintln!("{case}");
        let ran = windlass.run(["up"])?;
        assert_eq!(ran.code, Some(1), "{case}: {}{}", ran.stdout, ran.stderr);
        let said = on_one_line(&format!("{}{}", ran.stdout, ran.stderr));
        for words in words {
            assert!(said.contains(words), "{case}: `{words}` is not in: {said}");
        }
        // The credentials with which kubelet pulls are a file of cluster.yml's desired state too, and may be
        // written again.
        let mut touched = lab.state()?.since(&before);
        touched.retain(|name| !name.contains("/var/lib/kubelet/config.json"));
        assert_eq!(touched, Vec::<String>::new(), "{case}: nothing is stopped before its image is there");
        Ok(())
    };
    cluster.set("system_images.kube_scheduler", other.as_str()).write(windlass)?;
    failed("an image that the registry does not have", &["node-1", &other, "manifest"])?;

    let good = fs::read_to_string(windlass.cluster_yml()).expect("it was written");
    cluster.set("private_registries.0.password", "wrong").write(windlass)?;
    failed("wrong credentials", &["node-1", &other, "private_registries"])?;

    fs::write(windlass.cluster_yml(), good).expect("it is there");
    lab.registry().stop()?;
    // Docker gives up the connection, or the whole request, whichever is sooner.
    let address = format!("Get \"https://{}/v2/\"", lab.registry().host);
    let down = failed("a registry that is down", &["node-1", &other, &address]);
    lab.registry().start()?;
    down?;

    cluster.set("private_registries.0.password", lab.registry().password()?.trim());
    cluster.set("system_images.kube_scheduler", image.as_str()).write(windlass)?;
    let ran = windlass.run(["up"])?;
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    Ok(())
}

/// A live host whose Docker is stopped is held, one whose clock goes wrong is not; the others are changed.
fn live_hosts_go_on(lab: &Lab, windlass: &Windlass, cluster: &mut Cluster) -> Outcome {
    eprintln!("a live host's clock is off by a minute");
    lab.node(2).shift_session_clock(-60)?;
    let planned = windlass.planned()?;
    lab.node(2).restore_session_clock()?;
    assert_eq!(
        (planned.code, reported(&planned.findings)),
        (
            Some(0),
            vec![
                "notice node-2: its clock is 60 s behind this machine's = set it and keep it synchronised: `timedatectl \
                 set-ntp true`, chrony or ntpd"
                    .to_owned()
            ]
        )
    );

    eprintln!("Docker stopped on a live host");
    lab.node(3).stop_docker()?;
    cluster.set("services.scheduler.extra_args.v", "3").write(windlass)?;
    let before = lab.node(2).docker(["ps", "--no-trunc", "--format", "{{.ID}}"])?;
    let ran = windlass.run(["up"])?;
    let after = lab.node(2).docker(["ps", "--no-trunc", "--format", "{{.ID}}"])?;
    lab.node(3).start_docker()?;
    let said = on_one_line(&format!("{}{}", ran.stdout, ran.stderr));
    assert_eq!(ran.code, Some(3), "{said}");
    assert!(said.contains("node-3 (worker) unreachable: Docker does not run there"), "{said}");
    assert_eq!(before, after, "workers were left alone");
    let scheduler = lab.node(1).docker(["inspect", "-f", "{{.Args}}", "kube-scheduler"])?;
    assert!(scheduler.contains("--v=3"), "the sound host was changed: {scheduler}");
    let ran = windlass.run(["up"])?;
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    Ok(())
}

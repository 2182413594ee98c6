//! The lab works as described: hosts answer, lose what real hosts lose, and leave nothing behind.
//!
//! It needs root or a Docker engine, and builds the lab where that is missing; so `integration/lab/test` runs
//! it, not the run of all other tests.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::time::Duration;

use windlass_integration::lab::{ApiProber, Cluster, Images, Lab, LabError, LabShape, Node, Run, await_that};

type Outcome = Result<(), LabError>;

fn said(node: &Node, command: &str) -> Result<String, LabError> {
    node.ssh(command).map(|ran| ran.stdout.trim().to_owned())
}

#[test]
#[ignore = "needs a lab; see integration/lab/test"]
fn a_host_answers_reboots_and_goes() -> Outcome {
    let lab = Lab::start(&LabShape::nodes(1))?;
    let node = lab.node(1);

    assert_eq!(said(node, "id -un; hostname")?, "ops\nnode-1");
    assert_eq!(said(node, "docker version --format '{{.Server.Version}}' | cut -d. -f1,2")?, "26.1");
    assert_ne!(node.ssh("sudo -n true")?.code, Some(0), "ops cannot become root");

    let registry = lab.registry();
    let image = format!("{}/lab/busybox:1", registry.host);
    assert!(!node.ssh(&format!("docker pull -q {image}"))?.is_success(), "the registry asks for credentials");
    let login = format!("docker login -u {} --password-stdin {}", registry.user, registry.host);
    node.as_root(&login).with_input(registry.password()?).output()?;
    node.docker(["pull", "-q", &image])?;
    node.docker(["run", "-d", "--name", "always", "--restart", "always", &image, "sleep", "1000000"])?;
    let before = node.containers()?;

    node.root("touch /run/gone-after-boot /etc/stays")?;
    node.reboot()?;
    node.await_answering()?;
    assert!(!node.has_path("/run/gone-after-boot")?);
    assert!(node.has_path("/etc/stays")?);
    await_that("the container runs again", Duration::from_secs(20), || {
        Ok(node.containers()?["always"].state == "running")
    })?;
    let after = node.containers()?;
    assert_eq!(after["always"].id, before["always"].id);
    assert_ne!(after["always"].started, before["always"].started);

    let name = lab.name().to_owned();
    drop(lab);
    let left =
        Run::new("docker", ["ps", "-aq", "--filter", &format!("label=windlass.lab={name}")]).output()?;
    assert_eq!(left, "");
    let left = Run::new("docker", ["network", "ls", "-q", "--filter", &format!("name={name}")]).output()?;
    assert_eq!(left, "");
    Ok(())
}

#[test]
#[ignore = "needs a lab; see integration/lab/test"]
fn what_befalls_a_host_is_seen_and_can_be_undone() -> Outcome {
    let lab = Lab::start(&LabShape::nodes(2).with_disk("3G"))?;
    let (node, other) = (lab.node(1), lab.node(2));
    let reaches = |port: u16| {
        other.ssh(&format!("timeout 2 nc -z {} {port}", node.address)).map(|ran| ran.code == Some(0))
    };

    assert!(reaches(22)?);
    node.cut_off()?;
    assert!(!reaches(22)?);
    node.reconnect()?;
    assert!(reaches(22)?);
    node.cut_off_from(other)?;
    assert!(!reaches(22)?);
    assert!(node.ssh("true")?.is_success());
    node.reconnect_to(other)?;

    node.pause()?;
    assert!(!reaches(22).is_ok_and(|answers| answers && node.root("true").is_ok()));
    node.unpause()?;
    node.await_answering()?;

    node.take_port(6443)?;
    assert!(reaches(6443)?);
    node.release_port(6443)?;
    assert!(!reaches(6443)?);
    node.block_port(22)?;
    assert!(!reaches(22)?);
    node.unblock_port(22)?;

    node.stop_docker()?;
    assert!(!node.ssh("docker info")?.is_success());
    node.start_docker()?;
    assert!(node.ssh("docker info")?.is_success());
    node.crash_docker()?;
    node.await_answering()?;

    let free = "stat -f -c '%a %S' /var/lib/docker | awk '{print int($1 * $2 / 1024 / 1024)}'";
    node.fill_disk(50 * 1024 * 1024)?;
    let left: u64 = said(node, free)?.parse().expect("a number of mebibytes");
    assert!((40..=50).contains(&left), "{left} MiB are left");
    node.free_disk()?;
    let left: u64 = said(node, free)?.parse().expect("a number of mebibytes");
    assert!(left > 2000, "{left} MiB are free again");

    let clock = || said(node, "date +%s").map(|text| text.parse::<i64>().expect("seconds"));
    let off = clock()?;
    node.shift_session_clock(60)?;
    assert!((55..=70).contains(&(clock()? - off)));
    node.restore_session_clock()?;
    assert!((0..=20).contains(&(clock()? - off)));

    node.rename_host("node-2")?;
    assert_eq!(said(node, "hostname; docker info -f '{{.Name}}'")?, "node-2\nnode-2");
    node.set_sysctl("net.ipv4.ip_forward", "0")?;
    assert_eq!(said(node, "cat /proc/sys/net/ipv4/ip_forward")?, "0");
    assert_eq!(said(other, "cat /proc/sys/net/ipv4/ip_forward")?, "1");

    let swaps = "Filename Type Size Used Priority\n/swapfile file 1048576 0 -2\n";
    node.pretend_file("/proc/swaps", swaps)?;
    assert_eq!(node.ssh("cat /proc/swaps")?.stdout, swaps);
    node.restore_file("/proc/swaps")?;
    assert_ne!(node.ssh("cat /proc/swaps")?.stdout, swaps);

    node.shut_out()?;
    assert_eq!(node.ssh("true")?.code, Some(255));
    node.let_in()?;
    node.renew_host_key()?;
    assert!(node.ssh("true")?.is_success());

    node.power_off()?;
    assert!(!reaches(22)?);
    node.power_on()?;
    node.await_answering()?;
    Ok(())
}

#[test]
#[ignore = "needs a lab; see integration/lab/test"]
fn a_lab_whose_owner_was_killed_goes_with_the_next() -> Outcome {
    let hosts = concat!(env!("CARGO_MANIFEST_DIR"), "/lab/hosts");
    let name = format!("lab-{}-orphan", std::process::id());
    let mut owner = Command::new("sleep").arg("600").spawn().expect("sleep is there");
    let owner_id = owner.id().to_string();
    let count = || {
        let filter = format!("label=windlass.lab={name}");
        Run::new("docker", ["ps", "-q", "--filter", &filter]).output().map(|text| text.lines().count())
    };
    let while_it_lives =
        Run::new(hosts, ["up", &name, "--nodes", "1", "--no-registry", "--owner", &owner_id])
            .output()
            .and_then(|_| Run::new(hosts, ["sweep"]).output())
            .and_then(|_| count());
    owner.kill().and_then(|()| owner.wait()).expect("the owner is this test's child");
    assert_eq!(while_it_lives?, 1);
    Run::new(hosts, ["sweep"]).output()?;
    assert_eq!(count()?, 0);
    Ok(())
}

#[test]
#[ignore = "needs a lab; see integration/lab/test"]
fn seeded_nodes_hold_the_images_and_share_nothing() -> Outcome {
    let mut lab = Lab::start(&LabShape::nodes(1).with_images_loaded())?;
    let images = "docker images --format '{{.Repository}}:{{.Tag}}' | grep ^lab/ | sort";
    let mut all: Vec<String> = lab
        .era()
        .images(lab.versions())
        .into_iter()
        .chain(lab.era().network_images())
        .map(|(_, image)| image)
        .chain(["lab/busybox:1".to_owned()])
        .collect();
    all.sort();
    let all = all.join("\n");
    assert_eq!(said(lab.node(1), images)?, all);
    // Changes of one node's images are not visible on others.
    lab.node(1).root("docker rmi -f $(docker images -q)")?;
    lab.add_nodes(1)?;
    assert_eq!(said(lab.node(2), images)?, all);
    let version = lab.node(2).docker(["run", "--rm", &lab.image("kubelet"), "kubelet", "--version"])?;
    assert_eq!(version, format!("Kubernetes {}\n", lab.versions().kubernetes));
    Ok(())
}

#[test]
#[ignore = "needs a lab; see integration/lab/test"]
fn the_cluster_yml_of_a_lab_is_understood_without_a_warning() -> Outcome {
    let lab = Lab::start(&LabShape::nodes(5))?;
    let mut edited = Cluster::three_control_planes_two_workers(&lab);
    edited
        .set("services.kubelet.extra_args.max-pods", "150")
        .set("authentication.sans", vec!["balancer.lab".to_owned()]);
    edited.remove("cluster_name").set("nodes.4.labels.rack", "r1");
    for cluster in [
        Cluster::three_control_planes_two_workers(&lab),
        Cluster::all_roles(&lab, Images::FromRegistry),
        Cluster::all_roles(&lab, Images::Loaded),
        edited,
    ] {
        let text = cluster.text();
        let reading = windlass_spec::read(text.as_bytes());
        assert_eq!(reading.diagnostics, [], "{text}");
        let spec = reading.spec.expect("it has no errors");
        let resolution =
            windlass_blueprint::resolve(&spec, windlass_blueprint::Catalog::builtin(), &BTreeMap::new());
        assert_eq!(resolution.problems, [], "{text}");
        assert!(resolution.blueprint.is_some());
    }
    Ok(())
}

#[test]
#[ignore = "needs a lab; see integration/lab/test"]
fn a_balancer_stands_in_front_of_the_hosts() -> Outcome {
    let lab = Lab::start(&LabShape::nodes(2))?;
    let (first, second) = (&lab.node(1).address, &lab.node(2).address);
    let address = lab.start_balancer(&format!(
        "include /etc/nginx/modules-enabled/*.conf;
         events {{}}
         stream {{ upstream hosts {{ server {first}:22; server {second}:22; }} server {{ listen 22; proxy_pass hosts; proxy_connect_timeout 1s; }} }}"
    ))?;
    let ask = format!("nc -w 5 {address} 22 </dev/null | head -c 4");
    await_that(
        "sshd answers through it",
        Duration::from_secs(10),
        || Ok(said(lab.node(1), &ask)? == "SSH-"),
    )?;
    lab.node(2).power_off()?;
    assert_eq!(said(lab.node(1), &ask)?, "SSH-");
    Ok(())
}

/// A web server on every node, and a Service in front of them.
const WEB: &str = "
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: web
        image: lab/busybox:1
        imagePullPolicy: IfNotPresent
        command: [sh, -c, 'mkdir /web; hostname > /web/index.html; exec httpd -f -p 8080 -h /web']
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, clusterIP: 10.43.0.80, ports: [{port: 80, targetPort: 8080}]}
";

#[test]
#[ignore = "needs a lab; see integration/lab/test"]
fn kubernetes_runs_on_the_hosts_and_a_dead_api_server_is_noticed() -> Outcome {
    let lab = Lab::start(&LabShape::nodes(2).with_images_loaded())?;
    let floor = lab.run_floor()?;
    assert!(floor.keys < floor.started && floor.started < floor.ready);
    let kubectl = lab.floor_kubectl();
    assert_eq!(kubectl.ready_nodes()?, ["node-1", "node-2"]);

    // Both answer through the Service, whichever node asks: pods, routes and kube-proxy work.
    kubectl.apply(WEB)?;
    for node in lab.nodes() {
        let mut heard = BTreeSet::new();
        await_that("both pods answer through the Service", Duration::from_secs(60), || {
            let ask = "docker run --rm --network host lab/busybox:1 wget -q -O - http://10.43.0.80";
            heard.extend(Some(said(node, ask)?).filter(|name| !name.is_empty()));
            Ok(heard.len() == 2)
        })?;
    }

    let node = lab.node(1);
    let components = node.components()?;
    assert!(!node.pod_containers()?.is_empty(), "pods have containers too");
    assert!(components["etcd"].command.contains(&"--client-cert-auth".to_owned()));
    let files = node.files("/etc/kubernetes")?;
    assert!(files.contains_key("/etc/kubernetes/floor/ca.crt"));
    assert_eq!(node.files("/etc/kubernetes")?, files, "nothing changes by being looked at");

    let prober = ApiProber::start(&format!("{}:6443", node.address), &lab.floor_kubeconfig())?;
    await_that("forty answers", Duration::from_secs(20), || Ok(prober.so_far().answered >= 40))?;
    assert_eq!(prober.so_far().failures, []);
    node.docker(["stop", "--time", "1", "kube-apiserver"])?;
    await_that("failures", Duration::from_secs(20), || Ok(prober.so_far().failures.len() >= 20))?;
    node.docker(["start", "kube-apiserver"])?;
    let answered = prober.so_far().answered;
    await_that("answers again", Duration::from_secs(60), || Ok(prober.so_far().answered > answered + 20))?;
    assert!(prober.stop().slowest < Duration::from_secs(11));
    Ok(())
}

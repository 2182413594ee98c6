//! The ledger is lost with the operator's files and with every control-plane node's copy: what the cluster keeps of it comes
//! back by the recovery key alone, and goes where cluster.yml wants none kept.

use std::fs;

use windlass_integration::lab::{Cluster, Images, Lab, LabError, LabShape, Windlass};

type Outcome = Result<(), LabError>;

const OF_THE_OPERATOR: &str = "cluster.windlass-ledger.json";
const RECOVERY_KEY: &str = "cluster.windlass-recovery.key";
const OF_A_NODE: &str = "/etc/kubernetes/windlass/ledger.json";
const SECRET: &str = "windlass-ledger";

#[test]
#[ignore = "needs a lab; see integration/lab/test"]
fn a_ledger_comes_back_from_the_cluster_by_its_recovery_key() -> Outcome {
    let lab = Lab::start(&LabShape::nodes(1).with_images_loaded())?;
    let windlass = Windlass::new(&lab)?;
    let node = lab.node(1);
    let mut cluster = Cluster::all_roles(&lab, Images::Loaded);
    cluster.write(&windlass)?;
    windlass.succeeds(["up"])?;
    let kubectl = windlass.kubectl(&lab);
    kubectl.run(["create", "configmap", "kept"])?;
    let ca = node.read_file("/etc/kubernetes/ssl/kube-ca.pem")?;

    eprintln!("the ledger is lost everywhere");
    let at = |name: &str| windlass.directory().join(name);
    let (ledger, key) = (at(OF_THE_OPERATOR), at(RECOVERY_KEY));
    node.remove_path(OF_A_NODE)?;
    fs::remove_file(&ledger).expect("`up` wrote it");
    refuses(&windlass, "its ledger with the keys was not found")?;

    eprintln!("the cluster's copy opens for nobody without the recovery key");
    let template = "go-template={{.data.ledger | base64decode}}";
    let sealed =
        kubectl.run(["--namespace", "kube-system", "get", "secret", SECRET, "--output", template])?;
    assert!(!sealed.contains("PRIVATE KEY"), "keys in clear");
    fs::write(&ledger, &sealed).expect("the directory is there");
    let aside = at("aside.key");
    fs::rename(&key, &aside).expect("`up` wrote it");
    let ran = windlass.run(["plan"])?;
    assert_ne!(ran.code, Some(0), "{}", ran.stdout);
    assert!(ran.stderr.contains(RECOVERY_KEY), "{}", ran.stderr);

    eprintln!("with it the cluster goes on under its own CAs");
    fs::rename(&aside, &key).expect("it was moved there");
    windlass.succeeds(["up"])?;
    assert_eq!(node.read_file("/etc/kubernetes/ssl/kube-ca.pem")?, ca);
    assert!(node.has_path(OF_A_NODE)?);
    kubectl.run(["get", "configmap", "kept"])?;
    assert_eq!(windlass.planned()?.code, Some(0));

    eprintln!("none is kept where cluster.yml wants none");
    cluster.set("windlass.ledger_in_cluster", "none").write(&windlass)?;
    windlass.succeeds(["up"])?;
    let left = kubectl.run(["--namespace", "kube-system", "get", "secrets", "--output", "name"])?;
    assert!(!left.contains(SECRET), "{left}");
    assert_eq!(windlass.planned()?.code, Some(0));
    Ok(())
}

fn refuses(windlass: &Windlass, why: &str) -> Outcome {
    let ran = windlass.run(["up"])?;
    assert_eq!(ran.code, Some(1), "{}{}", ran.stdout, ran.stderr);
    let words: Vec<&str> = ran.stdout.split_whitespace().chain(ran.stderr.split_whitespace()).collect();
    assert!(words.join(" ").contains(why), "{}{}", ran.stdout, ran.stderr);
    Ok(())
}

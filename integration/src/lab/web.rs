//! A web server on every node and a Service in front of them: the workload of a lab.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{Images, Kubectl, Lab, LabError, Node, await_that};

/// The Service's address.
const SERVICE: &str = "10.43.0.80";

/// A web server on every node, including the control plane, that answers with its pod's name.
const MANIFEST: &str = "
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 1
      tolerations: [{operator: Exists}]
      containers:
      - name: web
        image: IMAGE
        imagePullPolicy: IfNotPresent
        command: [sh, -c, 'mkdir -p /web; hostname > /web/index.html; exec httpd -f -p 8080 -h /web']
";

/// A Service in front of it.
const IN_FRONT: &str = "
apiVersion: v1
kind: Service
metadata: {name: NAME}
spec: {selector: {app: web}, clusterIP: ADDRESS, ports: [{port: 80, targetPort: 8080}]}
";

/// Starts the workload.
///
/// # Errors
/// The API refuses it.
pub fn start_web(lab: &Lab, kubectl: &Kubectl, images: Images) -> Result<(), LabError> {
    let registry = match images {
        Images::FromRegistry => format!("{}/", lab.registry().host),
        Images::Loaded => String::new(),
    };
    let image = format!("{registry}lab/busybox:1");
    kubectl.apply(&MANIFEST.replace("IMAGE", &image))?;
    start_service(kubectl, "web", SERVICE)
}

/// Puts another Service in front of the workload. It answers when the control plane has found the pods and kube-proxy has
/// heard of that.
///
/// # Errors
/// The API refuses it; the name and the address (`10.43.0.81`) must be free.
pub fn start_service(kubectl: &Kubectl, name: &str, address: &str) -> Result<(), LabError> {
    kubectl.apply(&IN_FRONT.replace("NAME", name).replace("ADDRESS", address)).map(|_| ())
}

/// Asks the Service from a node until this many pods have answered: then pods run, and Services reach all
/// nodes.
///
/// # Errors
/// They do not within two minutes.
pub fn await_web(node: &Node, pods: usize) -> Result<Duration, LabError> {
    await_service(node, SERVICE, pods)
}

/// The same of the Service at this address.
///
/// # Errors
/// They do not within two minutes.
pub fn await_service(node: &Node, address: &str, pods: usize) -> Result<Duration, LabError> {
    let mut heard = BTreeSet::new();
    let what = format!("{pods} pods answer {} through the Service at {address}", node.name);
    await_that(&what, Duration::from_secs(120), || {
        let ask = format!("printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 2 {address} 80 | tail -n 1");
        let answer = node.ssh(&ask)?.stdout;
        heard.extend(Some(answer.trim().to_owned()).filter(|name| !name.is_empty()));
        Ok(heard.len() == pods)
    })
}

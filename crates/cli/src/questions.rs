//! `windlass config`: asks in the order in which `rke config` asked, and writes a commented cluster.yml from
//! the answers.

use std::io::{self, BufRead};

use windlass_model::KubernetesVersion;

/// Asks, line by line, and returns the file.
///
/// # Errors
/// If the answers end before a question that has no default, or cannot be read.
pub(crate) fn ask(
    input: impl BufRead,
    show: impl Fn(&str),
    version: &KubernetesVersion,
) -> io::Result<String> {
    let mut asking = Asking { lines: input.lines(), show };
    let key_path = asking.text("Cluster Level SSH Private Key Path", "~/.ssh/id_rsa")?;
    let count = loop {
        let answer = asking.text("Number of Hosts", "1")?;
        match answer.parse::<u32>() {
            Ok(count) if (1..=5_000).contains(&count) => break count,
            _ => (asking.show)("a number from 1 to 5000, please\n"),
        }
    };
    let mut nodes = String::new();
    for number in 1..=count {
        node(&mut asking, number, &mut nodes)?;
    }
    let plugin =
        asking.one_of("Network Plugin Type", &["canal", "flannel", "calico", "weave", "aci", "none"])?;
    let strategy = asking.one_of("Authentication Strategy", &["x509", "x509|webhook"])?;
    let mode = asking.one_of("Authorization Mode", &["rbac", "none"])?;
    let version = asking.text("Kubernetes Version", &version.to_string())?;
    let domain = asking.text("Cluster domain", "cluster.local")?;
    let services = asking.text("Service Cluster IP Range", "10.43.0.0/16")?;
    let pods = asking.text("Cluster Network CIDR", "10.42.0.0/16")?;
    let dns = asking.text("Cluster DNS Service IP", "10.43.0.10")?;
    let mut addons = Vec::new();
    if asking.yes("Add addon manifest URLs or YAML files", Usual::No)? {
        loop {
            addons.push(asking.needed("Enter the Path or URL for the manifest")?);
            if !asking.yes("Add another addon", Usual::No)? {
                break;
            }
        }
    }
    let mut file = format!(
        "\
# A cluster.yml in the format of RKE 1, made of answers to `windlass config`.
# Every key with its default and meaning: docs/reference/cluster-yml.md.

# One version for all components.
kubernetes_version: {version}

# The private key on this machine for all nodes that name none.
ssh_key_path: {key_path}

nodes:
{nodes}
services:
  kube-api:
    # The range of Service addresses. A live cluster keeps what it was founded on.
    service_cluster_ip_range: {services}
  kube-controller:
    # The range of pod addresses. A live cluster keeps what it was founded on.
    cluster_cidr: {pods}
    # As under `kube-api`.
    service_cluster_ip_range: {services}
  kubelet:
    # The DNS domain of the cluster. A live cluster keeps what it was founded on.
    cluster_domain: {domain}
    # The address of the cluster's DNS, in the range of Service addresses.
    cluster_dns_server: {dns}

network:
  # The network plugin; `none` leaves it to you.
  plugin: {plugin}

authentication:
  # How users show who they are.
  strategy: {strategy}

authorization:
  # Who may do what.
  mode: {mode}
",
        version = quoted(&version),
        key_path = quoted(&key_path),
        services = quoted(&services),
        pods = quoted(&pods),
        domain = quoted(&domain),
        dns = quoted(&dns),
        strategy = quoted(&strategy),
    );
    file.push_str(&runtime_of(&version));
    file.push_str(&manifests(&addons));
    Ok(file)
}

/// From 1.24 on Docker runs pods only where hosts have cri-dockerd, which is rare.
fn runtime_of(version: &str) -> String {
    if !version.parse().is_ok_and(|version: KubernetesVersion| version.at_least(1, 24)) {
        return String::new();
    }
    "\nwindlass:\n  # What runs pods: the hosts' containerd; `docker` needs cri-dockerd on every host.\n  pod_runtime: containerd\n"
        .to_owned()
}

fn manifests(addons: &[String]) -> String {
    if addons.is_empty() {
        return String::new();
    }
    let lines: Vec<String> = addons.iter().map(|addon| format!("  - {}\n", quoted(addon))).collect();
    format!("\n# Manifests of your own, applied after all else.\naddons_include:\n{}", lines.concat())
}

fn node<R: BufRead, S: Fn(&str)>(
    asking: &mut Asking<R, S>,
    number: u32,
    nodes: &mut String,
) -> io::Result<()> {
    let address = asking.needed(&format!("SSH Address of host ({number})"))?;
    let of = |what: &str| format!("{what} of host ({address})");
    let port = asking.text(&of("SSH Port"), "22")?;
    let key_path = asking.text(&of("SSH Private Key Path"), "none")?;
    let user = asking.text(&of("SSH User"), "ubuntu")?;
    let mut roles = Vec::new();
    for (question, role, usual) in [
        ("Control Plane host", "controlplane", Usual::Yes),
        ("Worker host", "worker", Usual::No),
        ("etcd host", "etcd", Usual::No),
    ] {
        if asking.yes(&format!("Is host ({address}) a {question}"), usual)? {
            roles.push(role);
        }
    }
    let name = asking.text(&format!("Override Hostname of host ({address})"), "none")?;
    let internal = asking.text(&of("Internal IP"), "none")?;
    let socket = asking.text(&format!("Docker socket path on host ({address})"), "/var/run/docker.sock")?;
    let mut line = |text: String| {
        nodes.push_str(&text);
        nodes.push('\n');
    };
    line(format!("  - address: {}", quoted(&address)));
    line(format!("    user: {}", quoted(&user)));
    line(format!("    role: [{}]", roles.join(", ")));
    let optional = [
        ("port", &port, "22"),
        ("hostname_override", &name, "none"),
        ("internal_address", &internal, "none"),
        ("ssh_key_path", &key_path, "none"),
        ("docker_socket", &socket, "/var/run/docker.sock"),
    ];
    for (key, answer, default) in optional {
        if answer != default {
            line(format!("    {key}: {}", quoted(answer)));
        }
    }
    Ok(())
}

/// A text in YAML: plain where nothing in it could be read as something else.
fn quoted(text: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "._-/~:|".contains(letter);
    let begins_plain = text.starts_with(|first: char| first.is_ascii_alphanumeric() || "/~.".contains(first));
    // A list of addresses, a colon at the end, or a word of YAML's own.
    let is_plain = begins_plain && text.chars().all(plain) && !text.ends_with(':') && text != "~";
    if is_plain { text.to_owned() } else { serde_json::to_string(text).expect("a text is JSON") }
}

/// What an empty answer to a question of yes or no means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Usual {
    Yes,
    No,
}

impl Usual {
    fn letter(self) -> &'static str {
        match self {
            Self::Yes => "y",
            Self::No => "n",
        }
    }
}

struct Asking<R, S> {
    lines: io::Lines<R>,
    show: S,
}

impl<R: BufRead, S: Fn(&str)> Asking<R, S> {
    /// The next answer without blanks around it; nothing if there are no more.
    fn answer(&mut self, question: &str) -> io::Result<Option<String>> {
        (self.show)(&format!("[+] {question}: "));
        let answer = self.lines.next().transpose()?;
        Ok(answer.map(|answer| answer.trim().chars().filter(|letter| !letter.is_control()).collect()))
    }

    fn text(&mut self, question: &str, default: &str) -> io::Result<String> {
        let answer = self.answer(&format!("{question} [{default}]"))?.unwrap_or_default();
        Ok(if answer.is_empty() { default.to_owned() } else { answer })
    }

    fn needed(&mut self, question: &str) -> io::Result<String> {
        loop {
            match self.answer(&format!("{question} [none]"))? {
                Some(answer) if !answer.is_empty() => return Ok(answer),
                Some(_) => (self.show)("an answer is needed\n"),
                None => {
                    let what = format!("no answer to `{question}`");
                    return Err(io::Error::new(io::ErrorKind::UnexpectedEof, what));
                }
            }
        }
    }

    fn one_of(&mut self, question: &str, words: &[&str]) -> io::Result<String> {
        loop {
            let answer = self.text(&format!("{question} ({})", words.join(", ")), words[0])?;
            if words.contains(&answer.as_str()) {
                return Ok(answer);
            }
            (self.show)(&format!("one of {}, please\n", words.join(", ")));
        }
    }

    fn yes(&mut self, question: &str, usual: Usual) -> io::Result<bool> {
        loop {
            let answer = self.text(&format!("{question} (y/n)?"), usual.letter())?;
            match answer.to_lowercase().as_str() {
                "y" | "yes" => return Ok(true),
                "n" | "no" => return Ok(false),
                _ => (self.show)("y or n, please\n"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made_of(answers: &str) -> io::Result<String> {
        ask(answers.as_bytes(), |_| (), &KubernetesVersion::new(1, 30, 5))
    }

    #[test]
    fn a_file_made_of_answers_is_one_that_can_be_read() {
        let answers = "\n2\n10.0.0.1\n\n\nops\ny\ny\ny\nnode-1\n\n\n10.0.0.2\n2222\n~/.ssh/other\n\nn\nyes\n\n\n10.1.0.2\n\n\
                       nonsense\ncalico\n\n\n\n\n10.43.0.0/16,fd00::/108\n\n\ny\na b.yml\nn\n";
        let file = made_of(answers).expect("every question is answered");
        let reading = windlass_spec::read(file.as_bytes());
        let spec = reading.spec.unwrap_or_else(|| panic!("{file}\n{:#?}", reading.diagnostics));
        let nodes: Vec<_> = spec.nodes.iter().map(|node| (node.name().to_string(), node.port)).collect();
        assert_eq!(nodes, [("node-1".to_owned(), None), ("10.0.0.2".to_owned(), Some(2222))]);
        assert_eq!(spec.nodes[1].user, "ubuntu");
        assert_eq!(spec.addons_include, ["a b.yml"]);
        assert_eq!(spec.services.kube_api.service_cluster_ip_range.len(), 2);
    }

    #[test]
    fn answers_that_end_too_early_are_reported() {
        let why = made_of("\n1\n").expect_err("a node has no address");
        assert_eq!(why.to_string(), "no answer to `SSH Address of host (1)`");
    }
}

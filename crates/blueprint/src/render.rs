//! A blueprint as text: every node's containers line by line, files, labels and taints, and the certificates.

use std::collections::BTreeSet;
use std::fmt::{Display, Write as _};

use windlass_model::{
    BeforeUpgrade, Blueprint, CertKind, CertPart, ContainerSpec, Content, DesiredCert, DesiredEtcd,
    DesiredFile, DesiredNode, Digest, Elsewhere, Footprint, Footprints, LedgerInCluster, OnChange, PidMode,
    Privilege, Rollout, Usage,
};

/// The blueprint as text, for people and for comparing; it holds no secret.
pub fn render(blueprint: &Blueprint) -> String {
    let Blueprint {
        cluster,
        version,
        nodes,
        etcd,
        certs,
        foundation,
        rollout,
        etcd_log: _,
        keys_phase: _,
        ledger_in_cluster,
        before_upgrade,
        addons,
        footprints,
        origins: _,
    } = blueprint;
    let mut page = Page::default();
    page.line(0, format_args!("cluster {cluster}, Kubernetes {version}"));
    for (fact, value) in foundation.facts() {
        page.line(1, format_args!("{fact} {value}"));
    }
    if let DesiredEtcd::External { urls, .. } = etcd {
        page.line(1, format_args!("etcd at {}", urls.join(", ")));
    }
    if *ledger_in_cluster == LedgerInCluster::None {
        page.line(1, "no ledger in the cluster");
    }
    if *before_upgrade == BeforeUpgrade::Nothing {
        page.line(1, "no snapshot before an upgrade");
    }
    page.rollout(rollout);
    for (kind, addon) in addons {
        let objects: Vec<String> = addon.objects.iter().map(|object| object.object.to_string()).collect();
        page.line(1, format_args!("addon {kind} {}: {}", addon.name, objects.join(", ")));
    }
    for (name, node) in nodes {
        page.blank();
        page.line(0, format_args!("node {name}"));
        page.node(node);
    }
    page.blank();
    page.line(0, "certificates");
    for (name, cert) in certs {
        page.line(1, name);
        page.certificate(cert);
    }
    page.blank();
    page.line(0, "footprint");
    let Footprints { ordinary, elsewhere } = footprints.as_ref();
    page.footprint(ordinary);
    for Elsewhere { systems, prefix, footprint: _ } in elsewhere {
        let systems: Vec<&str> = systems.iter().map(String::as_str).collect();
        page.line(1, format_args!("under {prefix} on {}", systems.join(", ")));
    }
    page.texts(nodes.values());
    page.text
}

#[derive(Default)]
struct Page {
    text: String,
}

impl Page {
    fn line(&mut self, depth: usize, text: impl Display) {
        writeln!(self.text, "{:1$}{text}", "", depth * 2).expect("a String takes every text");
    }

    fn blank(&mut self) {
        self.text.push('\n');
    }

    fn list(&mut self, depth: usize, head: &str, items: impl IntoIterator<Item = impl Display>) {
        let mut items = items.into_iter().peekable();
        if items.peek().is_some() {
            self.line(depth, head);
        }
        for item in items {
            self.line(depth + 1, item);
        }
    }

    fn rollout(&mut self, rollout: &Rollout) {
        let Rollout { max_unavailable_worker, max_unavailable_controlplane, drain, upgraded, leaving } =
            rollout;
        self.line(1, format_args!("unavailable at once: {max_unavailable_worker} of the workers, {max_unavailable_controlplane} of the control plane"));
        self.line(1, format_args!("before an upgrade: {upgraded:?}; before a node leaves: {leaving:?}"));
        self.line(1, format_args!("{drain:?}"));
    }

    fn node(&mut self, node: &DesiredNode) {
        let DesiredNode {
            origin: _,
            target,
            roles,
            prefix,
            containers,
            files,
            kernel,
            images,
            labels,
            taints,
            taint_places: _,
        } = node;
        let roles: Vec<&str> = roles.iter().map(|role| role.as_str()).collect();
        self.line(1, format_args!("roles {}", roles.join(", ")));
        if let Some(prefix) = prefix {
            self.line(1, format_args!("under {prefix}"));
        }
        self.line(
            1,
            format_args!(
                "{}@{}:{} inside {} docker {}{}",
                target.user,
                target.address,
                target.port,
                target.internal_address,
                target.docker_socket,
                target.key_path.as_ref().map(|path| format!(" key {path}")).unwrap_or_default()
            ),
        );
        for (component, desired) in containers {
            self.line(1, format_args!("container {component}"));
            self.container(&desired.spec);
        }
        self.list(1, "images of pods", images);
        self.list(1, "files", files.iter().map(|(path, file)| file_line(path.as_str(), file)));
        self.list(1, "modules", &kernel.modules);
        self.list(1, "sysctls", kernel.sysctls.iter().map(|(name, value)| format!("{name}={value}")));
        self.list(1, "labels", labels.iter().map(|(key, value)| format!("{key}={value}")));
        self.list(1, "taints", taints);
    }

    fn container(&mut self, spec: &ContainerSpec) {
        let ContainerSpec { image, command, env, binds, pid, privilege, user, reads, ciphers, version } =
            spec;
        self.line(2, format_args!("image {image}"));
        if let Some(version) = version {
            self.line(2, format_args!("version {version}"));
        }
        let host_pid = (*pid == PidMode::Host).then_some("sees the host's processes");
        let privileged = (*privilege == Privilege::Privileged).then_some("privileged");
        for trait_ in [host_pid, privileged].into_iter().flatten() {
            self.line(2, trait_);
        }
        if let Some(user) = user {
            self.line(2, format_args!("user {user}"));
        }
        self.list(2, "command", command);
        self.list(2, "environment", env.iter().map(|(name, value)| format!("{name}={value}")));
        self.list(2, "binds", binds);
        self.list(
            2,
            "reads",
            reads.iter().map(|(path, change)| match change {
                OnChange::Replace => path.to_string(),
                OnChange::Reload => format!("{path} (reloads)"),
            }),
        );
        for (resource, ways) in &ciphers.0 {
            self.list(2, &format!("ways to read {resource}"), ways);
        }
    }

    fn certificate(&mut self, cert: &DesiredCert) {
        let DesiredCert { kind, common_name, organizations, issuer, usages, sans, valid_days, service } =
            cert;
        let kind = match kind {
            CertKind::Authority => "CA",
            CertKind::Leaf => "certificate",
            CertKind::KeyPair => "key pair",
        };
        let mut words = vec![format!("{kind} CN={common_name}")];
        words.extend(organizations.iter().map(|organization| format!("O={organization}")));
        words.extend(issuer.iter().map(|issuer| format!("by {issuer}")));
        words.extend(usages.iter().map(|usage| match usage {
            Usage::ServerAuth => "server".to_owned(),
            Usage::ClientAuth => "client".to_owned(),
        }));
        words.push(format!("{valid_days} days"));
        words.extend(service.iter().map(|service| format!("of {service}")));
        self.line(2, words.join(" "));
        self.list(2, "names", sans);
    }

    fn footprint(&mut self, footprint: &Footprint) {
        let Footprint { files, directories, etcd_data: _, etcd_log: _, ledger, kubelet: _ } = footprint;
        self.line(1, format_args!("etcd's data {}", footprint.etcd()));
        self.line(1, format_args!("ledger {ledger}"));
        self.list(1, "files", files);
        self.list(1, "directories", directories.iter().map(|(path, holds)| format!("{path} {holds:?}")));
    }

    /// Every text once, however many files hold it.
    fn texts<'a>(&mut self, nodes: impl Iterator<Item = &'a DesiredNode>) {
        let mut shown = BTreeSet::new();
        for (path, file) in nodes.flat_map(|node| &node.files) {
            let Content::Text(text) = &file.content else { continue };
            let digest = Digest::of(text.as_bytes());
            if shown.insert(digest) {
                self.blank();
                self.line(0, format_args!("text {} {path}", digest.short()));
                for line in text.lines() {
                    self.line(1, line);
                }
            }
        }
    }
}

fn file_line(path: &str, file: &DesiredFile) -> String {
    let DesiredFile { content, mode, owner, origin: _ } = file;
    let content = match content {
        Content::Text(text) => format!("text {}", Digest::of(text.as_bytes()).short()),
        Content::Cert { cert, part: CertPart::Certificate } => format!("certificate {cert}"),
        Content::Cert { cert, part: CertPart::Key } => format!("key {cert}"),
        Content::Cert { cert, part: CertPart::EncryptionBehind } => {
            format!("plain text, read by {cert} too")
        }
        Content::Cert { cert, part: CertPart::Encryption } => format!("encryption by {cert}"),
        Content::Secret(name) => format!("secret {name}"),
        Content::Ledger => "ledger".to_owned(),
    };
    format!("{path} {mode} {owner} {content}")
}

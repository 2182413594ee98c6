//! Reads `nodes`: each by itself, and then what they may not share.

use std::collections::{BTreeMap, BTreeSet};

use windlass_model::{Role, Roles, Secret};

use super::{hosts, keys, syntax, words};
use crate::conform::{brief, cut};
use crate::nearest::nearest;
use crate::path::Path;
use crate::report::Reports;
use crate::spec::{NodeSpec, NodeWindlassSpec, TaintEffect, TaintSpec};
use crate::template::{NO_VARIABLES, is_template};
use crate::view::{View, text_of};
use crate::yaml::{Span, Value};

/// How much of a reason is shown; it quotes the user's words.
pub(super) const MAX_WHY: usize = 160;

/// Where the members of etcd are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Members {
    /// On nodes of this cluster.
    OfNodes,
    /// Elsewhere.
    External,
}

/// Where the private keys for SSH come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeysFrom {
    /// An SSH agent.
    Agent,
    /// cluster.yml, or a file that it names.
    File,
}

/// Whether a node has others beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Company {
    Alone,
    Others,
}

impl KeysFrom {
    /// As this section says by its `ssh_agent_auth`.
    pub(super) fn of(view: View<'_, '_>) -> Self {
        if view.flag("ssh_agent_auth") == Some(true) { Self::Agent } else { Self::File }
    }
}

/// Reads all nodes; those that are wrong are reported and left out.
pub(super) fn nodes(top: View<'_, '_>, members: Members, reports: &mut Reports<'_>) -> Vec<NodeSpec> {
    let list = top.path.key("nodes");
    let items = top.items("nodes");
    if items.is_empty() {
        if top.entry("nodes").is_none_or(|entry| matches!(&entry.value.value, Value::List(_))) {
            missing_nodes(top, &list, reports);
        }
        return Vec::new();
    }
    let mut seen = Shared::default();
    let mut nodes = Vec::with_capacity(items.len());
    let mut roles_known = true;
    let keys_from = KeysFrom::of(top);
    let company = if items.len() == 1 { Company::Alone } else { Company::Others };
    for (index, entries, span) in items {
        let path = list.item(index);
        let view = View::new(entries, span, &path);
        let (role, known) = roles(view, reports);
        roles_known &= known;
        seen.roles.extend(&role);
        if let Some(node) = node(view, role, (keys_from, company), reports) {
            seen.compare(&node, view, reports);
            seen.unreachable(&node, view);
            nodes.push(node);
        }
    }
    report_local(&seen, &nodes, reports);
    if roles_known {
        missing_roles(&seen, members, top.span_of("nodes"), &list, reports);
    }
    nodes
}

fn missing_nodes(top: View<'_, '_>, path: &Path<'_>, reports: &mut Reports<'_>) {
    match top.key("nodes") {
        Some(entry) => {
            let draft = reports.error(path, entry.key_span, "`nodes` lists no node");
            if matches!(entry.value.value, Value::Null) {
                draft.note("nothing is under the key; perhaps every entry is commented out");
            }
            draft.help("list at least one node with the roles controlplane and etcd");
        }
        None => {
            reports
                .error(path, top.head(), "`nodes` is missing")
                .help("list at least one node with `address`, `user` and `role`");
        }
    }
}

fn missing_roles(seen: &Shared, members: Members, span: Span, path: &Path<'_>, reports: &mut Reports<'_>) {
    // Only the first line of the list is worth marking.
    let head = Span { start: span.start, end: span.start };
    if !seen.roles.contains(&Role::Etcd) && members == Members::OfNodes {
        reports
            .error(path, head, "no node has the role etcd")
            .help("give it to one, three or five nodes, or name an external etcd under `services.etcd`");
    }
    if !seen.roles.contains(&Role::ControlPlane) {
        reports
            .error(path, head, "no node has the role controlplane")
            .help("give it to at least one node: there is no API server without");
    }
    if !seen.roles.contains(&Role::Worker) && seen.roles.contains(&Role::ControlPlane) {
        reports
            .warning(path, head, "no node has the role worker")
            .note("no pod but those of the cluster itself will find a place");
    }
    if seen.etcd_members > 0 && seen.etcd_members.is_multiple_of(2) {
        let members = seen.etcd_members;
        reports
            .warning(path, head, format!("{members} nodes have the role etcd, which is an even number"))
            .note(format!("they survive the loss of no more members than {} would", members - 1));
    }
}

fn node(
    view: View<'_, '_>,
    role: Roles,
    (keys_from, company): (KeysFrom, Company),
    reports: &mut Reports<'_>,
) -> Option<NodeSpec> {
    let address = view.string("address");
    match &address {
        None => {
            reports
                .error(view.path.key("address"), place_of_missing(view, "address"), "a node has no `address`")
                .help("give the IP address or the name that SSH reaches it by");
        }
        Some(address) => flaw(view, "address", address, syntax::address, reports),
    }
    let user = view.string("user");
    match &user {
        // RKE 1 refused it too; a guess would be tried on machines that may lock out who guesses.
        None => {
            reports
                .error(
                    view.path.key("user"),
                    place_of_missing(view, "user"),
                    format!("{} has no `user`", who(view)),
                )
                .help("give the user that logs in over SSH and may use Docker");
        }
        Some(user) => {
            flaw(view, "user", user, syntax::user, reports);
            address_in_user(view, user, reports);
        }
    }
    addresses(view, company, reports);
    let hostname_override = name(view, address.as_deref(), reports);
    let keys_from = match KeysFrom::of(view) {
        KeysFrom::Agent => KeysFrom::Agent,
        KeysFrom::File => keys_from,
    };
    private_key(view, "ssh_key", keys_from, reports);
    key_path(view, reports);
    let port = port(view, reports);
    if let Some(socket) = view.text("docker_socket")
        && !socket.starts_with('/')
    {
        reports
            .error(
                view.path.key("docker_socket"),
                view.span_of("docker_socket"),
                "`docker_socket` is no absolute path",
            )
            .help(match socket.strip_prefix("unix://").filter(|path| path.starts_with('/')) {
                Some(path) => format!("write `{path}`, without `unix://`"),
                None => "the usual one is `/var/run/docker.sock`".to_owned(),
            });
    }
    let labels = labels(view, reports);
    let taints = taints(view, reports);
    Some(NodeSpec {
        address: address?,
        port,
        internal_address: view.string("internal_address"),
        role,
        hostname_override,
        user: user.unwrap_or_default(),
        docker_socket: view.string("docker_socket"),
        ssh_agent_auth: view.flag("ssh_agent_auth"),
        ssh_key: view.string("ssh_key").map(Secret::new),
        ssh_key_path: view.string("ssh_key_path"),
        ssh_cert: view.string("ssh_cert"),
        ssh_cert_path: view.string("ssh_cert_path"),
        labels,
        taints,
        windlass: NodeWindlassSpec {
            pod_runtime: words::pod_runtime(view.section("windlass", &view.path.key("windlass"))),
        },
        node_name: view.string("nodeName"),
    })
}

/// `root@10.0.0.1`: the address is taken for a part of the user's name. Users of a domain have a `@` too.
fn address_in_user(view: View<'_, '_>, user: &str, reports: &mut Reports<'_>) {
    let Some((name, host)) = user.split_once('@') else { return };
    let names = ["address", "internal_address", "hostname_override"];
    let is_node = host.parse::<std::net::IpAddr>().is_ok()
        || names.into_iter().any(|key| view.text(key).is_some_and(|own| own.eq_ignore_ascii_case(host)));
    if is_node {
        let summary = format!("`{}` is the name of a user with an address in it", brief(user));
        reports
            .warning(view.path.key("user"), view.span_of("user"), summary)
            .note("the machine is asked for a user of that whole name")
            .help(format!("write `{}`: the address has a key of its own", brief(name)));
    }
}

/// `hostname_override`; without it the address is the node's name, and must be one.
fn name(view: View<'_, '_>, address: Option<&str>, reports: &mut Reports<'_>) -> Option<String> {
    let hostname_override = view.string("hostname_override");
    if let Some(name) = &hostname_override {
        // What is wrong is shown as it is written; capital letters become small ones.
        if let Err(why) = syntax::node_name(&name.to_lowercase()) {
            flaw(view, "hostname_override", name, |_| Err(why.clone()), reports);
        }
    } else if let Some(address) = address
        && syntax::address(address).is_ok()
        && let Err(why) = syntax::node_name(&address.to_lowercase())
    {
        reports
            .error(
                view.path.key("address"),
                view.span_of("address"),
                format!("`{address}` cannot be a node's name"),
            )
            .label(why)
            .help(match address.strip_suffix('.') {
                Some(plain) if syntax::node_name(&plain.to_lowercase()).is_ok() => {
                    format!("write it without the dot at its end: `{}`", brief(plain))
                }
                _ => "name the node by `hostname_override`".to_owned(),
            });
    }
    hostname_override
}

/// Reports an internal address that is none, and addresses that no machine has.
fn addresses(view: View<'_, '_>, company: Company, reports: &mut Reports<'_>) {
    if let Some(internal) = view.text("internal_address") {
        flaw(view, "internal_address", internal, syntax::address, reports);
    }
    for name in ["address", "internal_address"] {
        if let Some(kind) = view.text(name).and_then(hosts::impossible_kind) {
            let summary = format!("`{}` is the address of no machine", view.text(name).unwrap_or_default());
            let why = format!("it is {} {kind} address", if kind.starts_with('u') { "the" } else { "a" });
            let (path, span) = (view.path.key(name), view.span_of(name));
            // A machine reaches itself by 0.0.0.0, and one that is alone need not reach others.
            let draft = if kind == "unspecified" && company == Company::Alone {
                reports.warning(path, span, summary)
            } else {
                reports.error(path, span, summary)
            };
            draft.label(why).help(right_form(name));
        }
        let Some(text) = view.text(name) else { continue };
        if let Some(meant) = hosts::address_of_number(text) {
            reports
                .warning(
                    view.path.key(name),
                    view.span_of(name),
                    format!("`{}` is taken for the address {meant}", brief(text)),
                )
                .note("SSH reads a number alone as an address, and asks no name server for it")
                .help("give the address of the machine, and its name under `hostname_override`");
        } else if hosts::is_span(text) {
            reports
                .warning(
                    view.path.key(name),
                    view.span_of(name),
                    format!("`{}` looks like several addresses", brief(text)),
                )
                .note("it is taken for the name of one host")
                .help("each machine is an entry of its own under `nodes`");
        } else if hosts::is_reserved(text) {
            reports
                .warning(view.path.key(name), view.span_of(name), format!("`{text}` is of a reserved range"))
                .note("hardly a machine has such an address")
                .help(right_form(name));
        } else if let Some(plain) = text.strip_suffix('.').filter(|_| syntax::address(text).is_ok()) {
            let is_name = name == "address" && view.text("hostname_override").is_none();
            // As a node's name it is refused by itself.
            if !is_name {
                reports
                    .warning(
                        view.path.key(name),
                        view.span_of(name),
                        format!("`{}` ends with a dot", brief(text)),
                    )
                    .note("certificates do not hold it so")
                    .help(format!("write it without: `{}`", brief(plain)));
            }
        }
    }
}

/// Says of a path under `ssh_key_path` that is one of a public key.
pub(super) fn key_path(view: View<'_, '_>, reports: &mut Reports<'_>) {
    for (name, key) in [("ssh_key_path", "ssh_key"), ("ssh_cert_path", "ssh_cert")] {
        let text = view.text(name).unwrap_or_default();
        if text.starts_with("-----BEGIN") || text.starts_with("ssh-") && text.contains(' ') {
            let summary = format!("`{name}` is the text itself, and no path of a file");
            reports
                .error(view.path.key(name), view.key(name).map_or(view.span, |entry| entry.key_span), summary)
                .help(format!("write it under `{key}`"));
        }
    }
    if let Some(certificate) = view.text("ssh_cert").map(str::trim)
        && !certificate.split_whitespace().next().is_some_and(|kind| kind.contains("-cert-v"))
    {
        let what = if keys::is_public(certificate) { "is a public key" } else { "is no certificate of SSH" };
        let span = view.key("ssh_cert").map_or(view.span, |entry| entry.key_span);
        reports
            .warning(view.path.key("ssh_cert"), span, format!("`ssh_cert` {what}"))
            .help("give what `ssh-keygen -s` made: it begins like `ssh-ed25519-cert-v01@openssh.com`");
    }
    let name = "ssh_key_path";
    if let Some(private) = view.text(name).and_then(|path| path.strip_suffix(".pub")) {
        reports
            .warning(view.path.key(name), view.span_of(name), format!("`{name}` names a public key"))
            .help(format!("name the private key that belongs to it: `{}`", brief(private)));
    }
}

/// Reports a text under `ssh_key` that no SSH takes for a private key; with an agent nobody reads it.
pub(super) fn private_key(view: View<'_, '_>, name: &str, keys_from: KeysFrom, reports: &mut Reports<'_>) {
    if let Some((what, help)) = view.text(name).and_then(keys::private_key_flaw) {
        let entry = view.key(name).map_or(view.span, |entry| entry.key_span);
        let summary = format!("`{name}` {what}");
        let draft = match keys_from {
            KeysFrom::Agent => reports.warning(view.path.key(name), entry, summary),
            KeysFrom::File => reports.error(view.path.key(name), entry, summary),
        };
        draft.help(if view.text(name).is_some_and(is_template) { NO_VARIABLES } else { help });
    }
}

/// The node in words.
fn who(view: View<'_, '_>) -> String {
    view.text("address").map_or_else(|| "a node".to_owned(), |address| format!("node {}", brief(address)))
}

/// The empty value of a key, or the head of the map that lacks it.
fn place_of_missing(view: View<'_, '_>, name: &str) -> Span {
    view.key(name).map_or(view.head(), |entry| entry.key_span)
}

/// Reports what is wrong with a text, if anything.
pub(super) fn flaw(
    view: View<'_, '_>,
    name: &str,
    text: &str,
    check: impl Fn(&str) -> Result<(), syntax::Flaw>,
    reports: &mut Reports<'_>,
) {
    if let Err(why) = check(text) {
        let summary = format!("`{}` is no valid `{name}`", brief(text));
        reports
            .error(view.path.key(name), view.span_of(name), summary)
            .label(cut(&why, MAX_WHY))
            .help(if is_template(text) { NO_VARIABLES } else { right_form(name) });
    }
}

/// What a text under this key looks like.
pub(super) fn right_form(name: &str) -> &'static str {
    match name {
        "address" => {
            "give one IP address or host name, such as `10.0.0.1`; port and user have keys of their own"
        }
        "internal_address" => "give the IP address or host name by which the other nodes reach it",
        "user" => "give the name of the user alone, such as `ops`",
        "hostname_override" => {
            "a node's name has at most 63 small letters, digits, `-` and `.`, such as `node-1`"
        }
        "cluster_domain" => "a domain has small letters, digits, `-` and `.`, such as `cluster.local`",
        "cluster_dns_server" => "give an IP address of the services' range, such as `10.43.0.10`",
        "cri_dockerd_stream_server_address" => "give the IP address alone, such as `127.0.0.1`",
        "key" => LABEL_KEY,
        "value" => LABEL_VALUE,
        "cache_timeout" => "write a number and a unit, such as `5s` or `2m`",
        "endpoint" => "write it like `api.example.org` or `api.example.org:6443`",
        "certificate_validity" => "write hours, such as `8760h` for a year",
        "token_issuer" => "write a URL that outside services can ask, such as `https://tokens.example.org`",
        _ => "write a number and a unit, such as `12h`",
    }
}

const LABEL_KEY: &str =
    "a key has letters, digits, `-`, `_` and `.`, perhaps after a domain and `/`: `example.org/tier`";
const LABEL_VALUE: &str =
    "a value has up to 63 letters, digits, `-`, `_` and `.`, and begins and ends with a letter or a digit";

/// `port` of a node or of the bastion.
pub(super) fn port(view: View<'_, '_>, reports: &mut Reports<'_>) -> Option<u16> {
    port_at(view, "port", reports)
}

/// A port, written as a text.
pub(super) fn port_at(view: View<'_, '_>, name: &str, reports: &mut Reports<'_>) -> Option<u16> {
    let text = view.text(name)?;
    match text.parse::<u16>() {
        Ok(port) if port > 0 && text.bytes().all(|byte| byte.is_ascii_digit()) => Some(port),
        _ => {
            reports
                .error(view.path.key(name), view.span_of(name), format!("`{}` is no port", brief(text)))
                .help(if name == "port" {
                    "a port is a number from 1 to 65535; sshd's own is 22"
                } else {
                    "a port is a number from 1 to 65535"
                });
            None
        }
    }
}

/// The roles, and whether all that is written was understood.
fn roles(view: View<'_, '_>, reports: &mut Reports<'_>) -> (Roles, bool) {
    let path = view.path.key("role");
    let mut roles = Roles::new();
    let mut known = true;
    let single = view.text("role").map(|text| (None, text, view.span_of("role")));
    let listed = view.texts("role").into_iter().map(|(index, text, span)| (Some(index), text, span));
    for (index, text, span) in single.into_iter().chain(listed) {
        if let Some(role) = role(text) {
            roles.insert(role);
            continue;
        }
        known = false;
        let place = index.map_or_else(|| path.to_string(), |index| path.item(index).to_string());
        let draft = reports.error(place, span, format!("unknown role `{}`", brief(text)));
        let dashed: Option<Vec<&str>> =
            text.split_whitespace().map(|word| role(word.strip_prefix('-')?).map(Role::as_str)).collect();
        if dashed.is_some() {
            draft.help("put a blank after each `-`");
            continue;
        }
        let listed: Option<Vec<&str>> = text
            .split([',', ' ', '|', '+', '/'])
            .filter(|word| !word.is_empty())
            .map(|word| role(word).map(Role::as_str))
            .collect();
        if let Some(listed) = listed.filter(|listed| listed.len() > 1) {
            draft.help(format!("several are a list: `[{}]`", listed.join(", ")));
            continue;
        }
        match meant(text) {
            Some(meant) => draft.help(format!("did you mean `{meant}`?")),
            None => draft.help("the roles are controlplane, etcd and worker"),
        };
    }
    if roles.is_empty() && known {
        known = false;
        let is_wrong_form = view.entry("role").is_some_and(|entry| match &entry.value.value {
            Value::List(items) => !items.is_empty(),
            Value::Map(_) => true,
            _ => false,
        });
        if !is_wrong_form {
            reports
                .error(path, place_of_missing(view, "role"), format!("{} has no `role`", who(view)))
                .help("list one or more of controlplane, etcd and worker");
        }
    }
    (roles, known)
}

fn role(text: &str) -> Option<Role> {
    [Role::Etcd, Role::ControlPlane, Role::Worker].into_iter().find(|role| role.as_str() == text)
}

fn meant(text: &str) -> Option<&'static str> {
    if matches!(text, "master" | "server") {
        return Some("controlplane");
    }
    nearest(text, ["controlplane", "etcd", "worker"])
}

fn labels(view: View<'_, '_>, reports: &mut Reports<'_>) -> BTreeMap<String, String> {
    let path = view.path.key("labels");
    for entry in view.names("labels") {
        let path = path.key(&entry.key);
        if let Err(why) = syntax::label_key(&entry.key) {
            let summary = format!("`{}` is no key of a label", brief(&entry.key));
            reports.error(path, entry.key_span, summary).label(cut(&why, MAX_WHY)).help(LABEL_KEY);
        }
        if let Some(value) = text_of(&entry.value)
            && let Err(why) = syntax::label_value(value)
        {
            let summary = format!("`{}` is no value of a label", brief(value));
            reports.error(path, entry.value.span, summary).label(cut(&why, MAX_WHY)).help(LABEL_VALUE);
        }
    }
    view.text_map("labels")
}

fn taints(view: View<'_, '_>, reports: &mut Reports<'_>) -> Vec<TaintSpec> {
    let list = view.path.key("taints");
    let mut taints = Vec::new();
    for (index, entries, span) in view.items("taints") {
        let path = list.item(index);
        let view = View::new(entries, span, &path);
        let Some(key) = view.text("key") else {
            reports
                .error(path.key("key"), place_of_missing(view, "key"), "a taint has no `key`")
                .help("write it like `{key: dedicated, value: gpu, effect: NoSchedule}`, or remove it");
            continue;
        };
        if key.contains(['=', ':']) {
            reports
                .error(path.key("key"), view.span_of("key"), format!("`{}` is no valid `key`", brief(key)))
                .label("key, value and effect of a taint are keys of their own")
                .help("write it like `{key: dedicated, value: gpu, effect: NoSchedule}`");
            continue;
        }
        flaw(view, "key", key, syntax::label_key, reports);
        let value = view.text("value").unwrap_or_default();
        flaw(view, "value", value, syntax::label_value, reports);
        let Some(effect) = view.text("effect") else {
            reports
                .error(path.key("effect"), place_of_missing(view, "effect"), "a taint has no `effect`")
                .help("the effects are NoSchedule, PreferNoSchedule and NoExecute");
            continue;
        };
        // An unknown effect was reported when the file was compared with the schema.
        if let Some(effect) = TaintEffect::ALL.into_iter().find(|known| known.as_str() == effect) {
            let same = taints.iter().find(|taint: &&TaintSpec| taint.key == key && taint.effect == effect);
            if let Some(other) = same.filter(|other| other.value != value) {
                reports
                    .error(
                        path.key("key"),
                        view.span_of("key"),
                        format!(
                            "two taints with the key `{}` and the effect {}",
                            brief(key),
                            effect.as_str()
                        ),
                    )
                    .label(format!("the other has the value `{}`", brief(&other.value)))
                    .help("Kubernetes takes one of each key and effect: leave one out");
            }
            taints.push(TaintSpec { key: key.to_owned(), value: value.to_owned(), effect });
        }
    }
    taints
}

/// What the nodes before have, so that the next may not have it too.
#[derive(Default)]
struct Shared {
    roles: Roles,
    etcd_members: usize,
    addresses: BTreeMap<String, (String, Span)>,
    names: BTreeMap<String, (String, Span)>,
    internal_addresses: BTreeMap<String, (String, Span)>,
    /// The internal addresses of members of etcd.
    members: BTreeSet<String>,
    local: Vec<Local>,
}

impl Shared {
    fn compare(&mut self, node: &NodeSpec, view: View<'_, '_>, reports: &mut Reports<'_>) {
        self.etcd_members += usize::from(node.role.contains(&Role::Etcd));
        let address = hosts::canonical(&node.address);
        let key = "address";
        let span = view.span_of(key);
        if let Some((other, line)) = taken(&mut self.addresses, address, view, span, reports) {
            let draft = reports.error(
                view.path.key(key),
                span,
                format!("two nodes share the address {}", brief(&node.address)),
            );
            draft.label(format!("also the address of `{other}`, on line {line}"));
            draft.help("for two roles on one machine, list both under `role`");
            // Whatever else they share follows from the address.
            return;
        }
        let key = if node.hostname_override.is_some() { "hostname_override" } else { "address" };
        let span = view.span_of(key);
        let name = node.name().to_string();
        if let Some((other, line)) = taken(&mut self.names, name.clone(), view, span, reports) {
            let draft =
                reports.error(view.path.key(key), span, format!("two nodes share the name {}", brief(&name)));
            draft.label(format!("also the name of `{other}`, on line {line}"));
            draft.help("give each node a `hostname_override` of its own");
        }
        let key = if node.internal_address.is_some() { "internal_address" } else { "address" };
        let span = view.span_of(key);
        let internal = hosts::canonical(node.internal_address());
        let is_member = node.role.contains(&Role::Etcd);
        let other_is_member = self.members.contains(&internal);
        if is_member {
            self.members.insert(internal.clone());
        }
        if let Some((other, line)) = taken(&mut self.internal_addresses, internal, view, span, reports) {
            let summary = format!("two nodes share the internal address {}", brief(node.internal_address()));
            // RKE 1 looked at none of it; two members of etcd cannot have one address.
            let draft = if is_member && other_is_member {
                reports.error(view.path.key(key), span, summary)
            } else {
                reports.warning(view.path.key(key), span, summary)
            };
            draft.label(format!("also the internal address of `{other}`, on line {line}"));
            draft.help("give each the address by which the other nodes reach it");
        }
    }

    /// What of the nodes' addresses no other node reaches, once all nodes are known.
    fn unreachable(&mut self, node: &NodeSpec, view: View<'_, '_>) {
        let key = if node.internal_address.is_some() { "internal_address" } else { "address" };
        if let Some(kind) = hosts::local_kind(node.internal_address()) {
            self.local.push(Local {
                kind,
                text: node.internal_address().to_owned(),
                role: node.role.clone(),
                path: view.path.key(key).to_string(),
                span: view.span_of(key),
            });
        }
    }
}

/// A node whose address only itself reaches.
struct Local {
    kind: &'static str,
    text: String,
    role: Roles,
    path: String,
    span: Span,
}

/// Says which addresses no other node reaches: an error where one must.
fn report_local(seen: &Shared, nodes: &[NodeSpec], reports: &mut Reports<'_>) {
    let members = nodes.iter().filter(|node| node.role.contains(&Role::Etcd)).count();
    let has_alone = nodes.iter().any(|node| !node.role.contains(&Role::ControlPlane));
    for Local { kind, text, role, path, span } in &seen.local {
        let is_reached =
            (role.contains(&Role::Etcd) && members > 1) || (role.contains(&Role::ControlPlane) && has_alone);
        let summary = format!("`{}` is a {kind} address", brief(text));
        if is_reached {
            reports
                .error(path.as_str(), *span, summary)
                .label("no other node reaches this one by it")
                .help("give the address by which the other nodes reach it, under `internal_address`");
        } else {
            reports
                .warning(path.as_str(), *span, summary)
                .note(if role.contains(&Role::ControlPlane) {
                    "Kubernetes takes it for no address of an API server: no pod reaches that one"
                } else {
                    "no other machine reaches this one by it"
                })
                .help(
                    "give the address by which the machine is reached from outside, under `internal_address`",
                );
        }
    }
}

/// The node that has this already, with its line; or nobody, and then this one has it.
fn taken(
    owners: &mut BTreeMap<String, (String, Span)>,
    what: String,
    view: View<'_, '_>,
    span: Span,
    reports: &Reports<'_>,
) -> Option<(String, usize)> {
    if let Some((owner, span)) = owners.get(&what) {
        return Some((owner.clone(), reports.line_of(*span)));
    }
    owners.insert(what, (view.path.to_string(), span));
    None
}

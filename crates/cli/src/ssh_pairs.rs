//! Whether the SSH certificates that cluster.yml names belong to the private keys beside them.
//!
//! sshd would refuse such a pair without a reason. Only files that exist are read: where cluster.yml is
//! checked on another machine than the operator's, the keys are not there, and nothing is reported about
//! them.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ssh_encoding::{Decode as _, Encode as _};
use ssh_key::certificate::CertType;
use ssh_key::public::KeyData;
use ssh_key::{Algorithm, PrivateKey};
use windlass_model::Secret;
use windlass_spec::{ClusterSpec, Diagnostic, Severity, SourceMap};

/// What is wrong with the pairs of a cluster.yml. A key that is not in OpenSSH's own format counts as the
/// right one.
pub(crate) fn check(spec: &ClusterSpec, places: &SourceMap<'_>) -> Vec<Diagnostic> {
    let nodes = spec.nodes.iter().enumerate().map(|(index, node)| {
        let key = source("ssh_key", node.ssh_key.as_ref(), node.ssh_key_path.as_deref());
        let cert = source("ssh_cert", None, node.ssh_cert_path.as_deref());
        let cert = node.ssh_cert.as_deref().map(|text| (Found::Text(text), "ssh_cert")).or(cert);
        (format!("nodes[{index}]."), key, cert)
    });
    let bastion = spec.bastion_host.iter().map(|bastion| {
        let key = source("ssh_key", bastion.ssh_key.as_ref(), bastion.ssh_key_path.as_deref());
        let cert = source("ssh_cert", None, bastion.ssh_cert_path.as_deref());
        let cert = bastion.ssh_cert.as_deref().map(|text| (Found::Text(text), "ssh_cert")).or(cert);
        ("bastion_host.".to_owned(), key, cert)
    });
    let mut found = Vec::new();
    // Thousands of nodes name the same pair.
    let mut seen = BTreeSet::new();
    for (path, key, cert) in nodes.chain(bastion) {
        let (key_path, key) = at(&path, key, spec.ssh_key_path.as_deref(), "ssh_key_path");
        let (cert_path, cert) = at(&path, cert, spec.ssh_cert_path.as_deref(), "ssh_cert_path");
        let (Some(key), Some(cert)) = (key, cert) else { continue };
        if seen.insert((key, cert)) {
            found.extend(pair((&cert_path, cert), (&key_path, key), places));
        }
    }
    found
}

/// A text of cluster.yml, or a file that it names.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Found<'a> {
    Text(&'a str),
    File(&'a str),
}

impl Found<'_> {
    /// The text, if it can be read.
    fn text(self) -> Option<Secret<String>> {
        match self {
            Self::Text(text) => Some(Secret::new(text.to_owned())),
            Self::File(path) => read(path),
        }
    }
}

/// No key and no certificate is as long as this.
const MAX_BYTES: u64 = 64 << 10;

fn read(path: &str) -> Option<Secret<String>> {
    let path = match path.strip_prefix("~/") {
        Some(rest) => Path::new(&std::env::var_os("HOME")?).join(rest),
        None => PathBuf::from(path),
    };
    // Reading a pipe or a device might never end.
    let file =
        fs::File::open(&path).ok().filter(|file| file.metadata().is_ok_and(|facts| facts.is_file()))?;
    let mut text = String::new();
    file.take(MAX_BYTES).read_to_string(&mut text).ok()?;
    Some(Secret::new(text))
}

type Source<'a> = Option<(Found<'a>, &'static str)>;

fn source<'a>(name: &'static str, inline: Option<&'a Secret<String>>, path: Option<&'a str>) -> Source<'a> {
    let path_name = if name == "ssh_key" { "ssh_key_path" } else { "ssh_cert_path" };
    let inline = inline.map(|text| (Found::Text(text.expose().as_str()), name));
    inline.or(path.map(|path| (Found::File(path), path_name)))
}

/// The machine's own, or else what all share; with its path in cluster.yml.
fn at<'a>(
    machine: &str,
    own: Source<'a>,
    common: Option<&'a str>,
    common_name: &str,
) -> (String, Option<Found<'a>>) {
    match own {
        Some((found, name)) => (format!("{machine}{name}"), Some(found)),
        None => (common_name.to_owned(), common.map(Found::File)),
    }
}

fn pair(
    (cert_path, cert): (&str, Found<'_>),
    (key_path, key): (&str, Found<'_>),
    places: &SourceMap<'_>,
) -> Option<Diagnostic> {
    let name = cert_path.rsplit('.').next().unwrap_or(cert_path);
    let key_name = key_path.rsplit('.').next().unwrap_or(key_path);
    let reported = |severity, summary: String, notes: Vec<String>, help: &str| {
        let place = places.place(cert_path);
        Some(Diagnostic {
            severity,
            summary,
            place,
            label: String::new(),
            notes,
            help: Some(help.to_owned()),
        })
    };
    let text = cert.text()?;
    // The file of a certificate may begin with comments.
    let line =
        text.expose().lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'))?;
    let Some((certified, kind)) = certified(line) else {
        return reported(
            Severity::Warning,
            format!("`{name}` holds no SSH certificate that can be read"),
            Vec::new(),
            "a certificate is one line, such as `ssh-ed25519-cert-v01@openssh.com AAAA…`; `ssh-keygen -L` shows it",
        );
    };
    if kind == CertType::Host {
        return reported(
            Severity::Error,
            format!("`{name}` is the certificate of a host, not of a user"),
            Vec::new(),
            "have a certificate of a user made for the key: `ssh-keygen -s` without `-h`",
        );
    }
    let key = key.text()?;
    let key = PrivateKey::from_openssh(key.expose()).ok()?;
    if certified == *key.public_key().key_data() {
        return None;
    }
    // A machine with its own key may not need the certificate that is for all: RKE 1 never read that one.
    let is_for_others = cert_path == "ssh_cert_path" && key_path != "ssh_key_path";
    let severity = if is_for_others { Severity::Warning } else { Severity::Error };
    let line = places.place(key_path).range.map(|range| range.start.line);
    reported(
        severity,
        format!("`{name}` and `{key_name}` do not belong together"),
        line.map(|line| format!("`{key_name}` is on line {line}")).into_iter().collect(),
        "give the key that the certificate was made for: `ssh-keygen -lf` prints the same for both",
    )
}

/// The public key that a certificate is for, and its type.
///
/// `ssh_key::Certificate` accepts none that never expires, which is the default of `ssh-keygen`; so the
/// fields after these are not read. The format: `PROTOCOL.certkeys` of OpenSSH.
fn certified(line: &str) -> Option<(KeyData, CertType)> {
    let bytes = STANDARD.decode(line.split_whitespace().nth(1)?).ok()?;
    let mut reader = bytes.as_slice();
    let algorithm = Algorithm::new_certificate(&String::decode(&mut reader).ok()?).ok()?;
    let _nonce = Vec::<u8>::decode(&mut reader).ok()?;
    // The rest is the key as in a public key, without the name of its algorithm.
    let mut key = Vec::new();
    algorithm.as_str().encode(&mut key).ok()?;
    key.extend_from_slice(reader);
    let mut reader = key.as_slice();
    let key = KeyData::decode(&mut reader).ok()?;
    let _serial = u64::decode(&mut reader).ok()?;
    Some((key, CertType::decode(&mut reader).ok()?))
}

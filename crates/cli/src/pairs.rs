//! Whether the certificates in cluster.yml belong to the keys beside them.
//!
//! This is neither in `spec`, which reads texts and no cryptography, nor in `blueprint`, which sees no key:
//! the desired state no longer contains them. `pki` can read both, and `cli` is the first to have file and
//! `pki`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_yaml::Value;
use windlass_pki::{CertificateFacts, fits};
use windlass_spec::{ClusterSpec, Diagnostic, Severity, SourceMap};

/// What is wrong with the pairs of a cluster.yml.
///
/// A key of a kind that cannot be read here counts as the right one.
pub(crate) fn check(spec: &ClusterSpec, places: &SourceMap<'_>) -> Vec<Diagnostic> {
    let mut checks = Checks { places, found: Vec::new() };
    checks.external_etcd(spec);
    checks.webhook(spec);
    checks.found
}

struct Checks<'a> {
    places: &'a SourceMap<'a>,
    found: Vec<Diagnostic>,
}

impl Checks<'_> {
    fn external_etcd(&mut self, spec: &ClusterSpec) {
        let etcd = &spec.services.etcd;
        if etcd.external_urls.is_empty() {
            return;
        }
        if let Some(ca) = &etcd.ca_cert {
            self.certificate("services.etcd.ca_cert", ca);
        }
        if let Some(cert) = &etcd.cert {
            self.certificate("services.etcd.cert", cert);
            if let Some(key) = &etcd.key {
                self.pair(["services.etcd.cert", "services.etcd.key"], cert, key.expose());
            }
        }
    }

    /// The certificate with which the API server authenticates to the webhook is within a kubeconfig.
    fn webhook(&mut self, spec: &ClusterSpec) {
        const PLACE: &str = "authentication.webhook.config_file";
        let config = spec.authentication.webhook.as_ref().and_then(|webhook| webhook.config_file.as_ref());
        let Some(Ok(config)) = config.map(|config| serde_yaml::from_str::<Value>(config.expose())) else {
            return;
        };
        for user in config["users"].as_sequence().into_iter().flatten() {
            let text = |name: &str| {
                let data = STANDARD.decode(user["user"][name].as_str()?.trim()).ok()?;
                String::from_utf8(data).ok()
            };
            let Some(cert) = text("client-certificate-data") else { continue };
            self.certificate(PLACE, &cert);
            if let Some(key) = text("client-key-data") {
                self.pair([PLACE; 2], &cert, &key);
            }
        }
    }

    fn certificate(&mut self, place: &str, pem: &str) {
        let name = name_of(place);
        if !pem.contains("-----BEGIN ") {
            // The reader has reported it.
            return;
        }
        if CertificateFacts::read(pem).is_err() {
            let summary = format!("`{name}` holds no certificate that can be read");
            self.find(Severity::Warning, place, summary, "it begins with `-----BEGIN CERTIFICATE-----`");
        }
    }

    fn pair(&mut self, [cert_place, key_place]: [&str; 2], cert: &str, key: &str) {
        if !matches!(fits(cert, key), Ok(false)) {
            return;
        }
        let (cert, key) = (name_of(cert_place), name_of(key_place));
        let summary = if cert_place == key_place {
            format!("a certificate and its key in `{cert}` do not belong together")
        } else {
            format!("`{cert}` and `{key}` do not belong together")
        };
        self.find(
            Severity::Error,
            cert_place,
            summary,
            "give the key that the certificate was made for: `openssl pkey -pubout` of the one and `openssl x509 \
             -pubkey` of the other print the same",
        );
        if let Some(range) = self.places.place(key_place).range.filter(|_| cert_place != key_place)
            && let Some(found) = self.found.last_mut()
        {
            found.notes.push(format!("`{key}` is on line {}", range.start.line));
        }
    }

    fn find(&mut self, severity: Severity, place: &str, summary: String, help: &str) {
        self.found.push(Diagnostic {
            severity,
            summary,
            place: self.places.place(place),
            label: String::new(),
            notes: Vec::new(),
            help: Some(help.to_owned()),
        });
    }
}

/// The last key of a path.
fn name_of(place: &str) -> &str {
    place.rsplit('.').next().unwrap_or(place)
}

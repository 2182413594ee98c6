//! A process: the effect of its arguments and of the files that it has read at its start.

use std::collections::BTreeMap;
use std::sync::Arc;

use windlass_model::{Component, ContainerSpec, Digest, FilePath, Owner, San, StoredCert, Timestamp, Usage};

use crate::api_files;
use crate::arguments;
use crate::at_rest::AtRest;
use crate::files::FileState;
use crate::minter::Keys;

/// What a process is after its start: everything that a later change of a file does not alter.
#[derive(Clone, Debug, Default)]
pub(crate) struct Program {
    /// Why it exits right after its start, if it does.
    pub(crate) crash: Option<String>,
    /// Why it runs but cannot work, if so.
    pub(crate) fault: Option<String>,
    /// When all certificates that it presents have become valid.
    pub(crate) from: Timestamp,
    /// When the first of them expires.
    pub(crate) until: Option<Timestamp>,
    /// What it does.
    pub(crate) work: Work,
}

/// What a process does, with the arguments that matter for it.
#[derive(Clone, Debug, Default)]
pub(crate) enum Work {
    #[default]
    Other,
    Etcd(EtcdWork),
    Api(ApiWork),
    Proxy {
        upstreams: Vec<String>,
    },
    Client(ClientWork),
}

/// The two sides of a TLS endpoint: what it presents, and whom it trusts. Absent where no TLS is configured.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tls {
    pub(crate) cert: Option<Presented>,
    pub(crate) trust: Option<Vec<Digest>>,
}

/// A certificate that is presented.
#[derive(Clone, Debug)]
pub(crate) struct Presented {
    pub(crate) cert: Arc<crate::minter::Known>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct EtcdWork {
    pub(crate) name: String,
    pub(crate) peer_url: String,
    /// Its minor version, if the tag of its image names it.
    pub(crate) version: Option<(u32, u32)>,
    pub(crate) data: FilePath,
    /// Where its log is, if that is not with the data.
    pub(crate) log: Option<FilePath>,
    /// The user as whom it runs.
    pub(crate) user: Owner,
    pub(crate) initial_cluster: Vec<(String, String)>,
    pub(crate) token: String,
    pub(crate) existing: bool,
    pub(crate) peer: Tls,
    pub(crate) client: Tls,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct ApiWork {
    pub(crate) etcd_servers: Vec<String>,
    pub(crate) etcd_prefix: String,
    pub(crate) etcd: Tls,
    /// Whether what it presents to etcd, and what it trusts, belongs to somebody else.
    pub(crate) is_a_guest: bool,
    pub(crate) serving: Tls,
    /// How it stores Secrets.
    pub(crate) secrets: AtRest,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct ClientWork {
    /// The host of the server in its kubeconfig.
    pub(crate) server: String,
    pub(crate) tls: Tls,
    /// For kubelet: the name under which it registers its node.
    pub(crate) node: String,
    pub(crate) labels: Vec<(String, String)>,
    pub(crate) taints: Vec<(String, String, String)>,
}

impl Tls {
    /// Whether a peer that presents this certificate is accepted, for this use.
    pub(crate) fn believes(&self, peer: Option<&Presented>, usage: Usage) -> bool {
        let Some(trust) = &self.trust else { return true };
        peer.is_some_and(|Presented { cert }| {
            cert.cert.issuer.is_some_and(|issuer| trust.contains(&issuer))
                && (cert.cert.desired.usages.is_empty() || cert.cert.desired.usages.contains(&usage))
        })
    }
}

impl Presented {
    /// Whether it names this host.
    pub(crate) fn names(&self, host: &str) -> bool {
        self.cert.cert.desired.sans.contains(&San::parse(host))
    }
}

/// The host of `https://host:port/…` or `host:port`; the brackets of an IPv6 address are removed.
pub(crate) fn host_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let rest = rest.split('/').next().unwrap_or(rest);
    if let Some(bracketed) = rest.strip_prefix('[') {
        return bracketed.split(']').next().unwrap_or(bracketed);
    }
    rest.rsplit_once(':').map_or(rest, |(host, _)| host)
}

/// The component of a container: by its name, which may have a suffix such as `.next`, or else by its
/// program.
pub(crate) fn kind_of(name: &str, spec: &ContainerSpec) -> Option<Component> {
    let base = name.split_once('.').map_or(name, |(base, _)| base);
    Component::named(base).or_else(|| {
        let program = spec.command.first()?.rsplit('/').next()?.to_owned();
        match program.as_str() {
            "nginx" => Some(Component::NginxProxy),
            _ => Component::named(&program),
        }
    })
}

/// The user as whom a container runs.
pub(crate) fn user_of(spec: &ContainerSpec) -> Owner {
    let Some(user) = spec.user.as_deref() else { return Owner::default() };
    let (uid, gid) = user.split_once(':').unwrap_or((user, "0"));
    Owner { uid: uid.parse().unwrap_or(0), gid: gid.parse().unwrap_or(0) }
}

/// The path on the machine of a path in the container; none if no mount covers it.
pub(crate) fn path_on_machine(spec: &ContainerSpec, path: &str) -> Option<FilePath> {
    let path = path.trim_end_matches('/');
    spec.binds
        .iter()
        .filter_map(|bind| {
            let mut parts = bind.split(':');
            let (source, target) = (parts.next()?.trim_end_matches('/'), parts.next()?.trim_end_matches('/'));
            let rest = path.strip_prefix(target)?;
            (rest.is_empty() || rest.starts_with('/')).then(|| (target.len(), format!("{source}{rest}")))
        })
        .max_by_key(|(length, _)| *length)
        .map(|(_, path)| FilePath::from(path))
}

/// Pairs of flags that name a certificate and its key.
const PAIRS: [(&str, &str); 7] = [
    ("cert-file", "key-file"),
    ("peer-cert-file", "peer-key-file"),
    ("tls-cert-file", "tls-private-key-file"),
    ("etcd-certfile", "etcd-keyfile"),
    ("kubelet-client-certificate", "kubelet-client-key"),
    ("proxy-client-cert-file", "proxy-client-key-file"),
    ("cluster-signing-cert-file", "cluster-signing-key-file"),
];

/// Flags that name any other file without which the process does not start.
const FILES: [&str; 13] = [
    "trusted-ca-file",
    "peer-trusted-ca-file",
    "client-ca-file",
    "etcd-cafile",
    "requestheader-client-ca-file",
    "kubelet-certificate-authority",
    "root-ca-file",
    "service-account-key-file",
    "service-account-signing-key-file",
    "service-account-private-key-file",
    "kubeconfig",
    "admission-control-config-file",
    "encryption-provider-config",
];

/// What a process has loaded, by path on the machine.
pub(crate) type LoadedFiles = BTreeMap<FilePath, Arc<FileState>>;

/// A process as it starts.
pub(crate) struct Start<'a> {
    pub(crate) kind: Option<Component>,
    pub(crate) spec: &'a ContainerSpec,
    pub(crate) birth: &'a [Arc<str>],
    /// The machine's name, under which kubelet registers without `--hostname-override`.
    pub(crate) machine: &'a str,
    /// The addresses of the machine.
    pub(crate) addresses: [&'a str; 2],
}

impl Start<'_> {
    fn flag(&self, name: &str) -> Option<&str> {
        self.spec.flag(name).or_else(|| {
            self.birth
                .iter()
                .find_map(|argument| argument.strip_prefix("--")?.strip_prefix(name)?.strip_prefix('='))
        })
    }

    fn file<'l>(&self, path: &str, loaded: &'l LoadedFiles) -> Option<&'l Arc<FileState>> {
        loaded.get(&path_on_machine(self.spec, path)?)
    }

    /// The paths on the machine of every file that it reads as it starts.
    pub(crate) fn reads(&self, files: &BTreeMap<FilePath, Arc<FileState>>) -> Vec<FilePath> {
        let mut paths: Vec<FilePath> = self.spec.reads.keys().cloned().collect();
        let flags = PAIRS.iter().flat_map(|(cert, key)| [*cert, *key]).chain(FILES);
        for flag in flags {
            if let Some(path) = self.flag(flag).and_then(|path| path_on_machine(self.spec, path)) {
                if flag == "kubeconfig"
                    && let Some(file) = files.get(&path)
                {
                    let inner = ["client-certificate", "client-key", "certificate-authority"];
                    paths.extend(
                        inner
                            .iter()
                            .filter_map(|key| kubeconfig_value(file.text(), key))
                            .filter_map(|path| path_on_machine(self.spec, path)),
                    );
                }
                paths.push(path);
            }
        }
        paths
    }

    /// What the process does after it has loaded these files.
    pub(crate) fn run(&self, loaded: &LoadedFiles, keys: &Keys) -> Program {
        let mut program = Program::default();
        match self.work(loaded, keys, &mut program) {
            Ok(work) => program.work = work,
            Err(crash) => program.crash = Some(crash),
        }
        program
    }

    fn work(&self, loaded: &LoadedFiles, keys: &Keys, program: &mut Program) -> Result<Work, String> {
        if let Some(why) = self.kind.and_then(|kind| arguments::refused(kind, self.spec)) {
            return Err(why);
        }
        self.check_files(loaded)?;
        match self.kind {
            Some(Component::Etcd) => self.etcd(loaded, keys, program).map(Work::Etcd),
            Some(Component::KubeApiserver) => self.api(loaded, keys, program).map(Work::Api),
            Some(Component::NginxProxy) => Ok(Work::Proxy { upstreams: upstreams(loaded) }),
            Some(
                Component::Kubelet
                | Component::KubeProxy
                | Component::KubeControllerManager
                | Component::KubeScheduler,
            ) => self.client(loaded, keys, program).map(Work::Client),
            Some(Component::EtcdRollingSnapshots) | None => Ok(Work::Other),
        }
    }

    /// Every file that it must read exists, and it may read it as its user.
    fn check_files(&self, loaded: &LoadedFiles) -> Result<(), String> {
        let Owner { uid, gid } = self.user();
        for path in self.spec.reads.keys() {
            let file = loaded.get(path).ok_or_else(|| format!("open {path}: no such file or directory"))?;
            if !file.is_readable_by(uid, gid) {
                return Err(format!("open {path}: permission denied"));
            }
        }
        for flag in FILES {
            if let Some(path) = self.flag(flag)
                && self.file(path, loaded).is_none()
            {
                return Err(format!("--{flag}: open {path}: no such file or directory"));
            }
        }
        let text_at =
            |flag: &str| self.flag(flag).and_then(|path| self.file(path, loaded)).map(|file| file.text());
        let refusals = [
            text_at("audit-policy-file").and_then(api_files::audit_policy),
            text_at("admission-control-config-file").and_then(api_files::admission),
        ];
        if let Some(why) = refusals.into_iter().flatten().next() {
            return Err(why);
        }
        Ok(())
    }

    fn user(&self) -> Owner {
        user_of(self.spec)
    }

    /// The certificate at `cert` if the key at `key` belongs to it; the program's life is limited by its
    /// validity.
    fn pair(
        &self,
        (cert, key): (&str, &str),
        loaded: &LoadedFiles,
        keys: &Keys,
        program: &mut Program,
    ) -> Result<Presented, String> {
        let file = |path: &str| {
            self.file(path, loaded).ok_or_else(|| format!("open {path}: no such file or directory"))
        };
        let (certificate, key_file) = (file(cert)?, file(key)?);
        let (known, own_key) =
            keys.certificate(&certificate.digest).ok_or_else(|| format!("tls: no certificate in {cert}"))?;
        if own_key != key_file.digest {
            return Err(format!("tls: private key {key} does not match public key {cert}"));
        }
        let (from, until) = keys.validity(&known.cert);
        program.from = program.from.max(from);
        program.until = Some(program.until.map_or(until, |before| before.min(until)));
        Ok(Presented { cert: known.clone() })
    }

    /// The pair of the flags at `index` of [`PAIRS`]; none where the flag is not given.
    fn flagged_pair(
        &self,
        (cert, key): (&str, &str),
        loaded: &LoadedFiles,
        keys: &Keys,
        program: &mut Program,
    ) -> Result<Option<Presented>, String> {
        match (self.flag(cert), self.flag(key)) {
            (Some(cert), Some(key)) => self.pair((cert, key), loaded, keys, program).map(Some),
            (None, None) => Ok(None),
            _ => Err(format!("--{cert} and --{key} must be given together")),
        }
    }

    /// Whether a pair, and the CA beside it, are PEM texts that windlass has not created.
    fn has_foreign_pair(
        &self,
        (cert, key): (&str, &str),
        authority: &str,
        loaded: &LoadedFiles,
        keys: &Keys,
    ) -> bool {
        let holds = |flag, block: &str| {
            let file = self.flag(flag).and_then(|path| self.file(path, loaded));
            file.is_some_and(|file| {
                file.text().starts_with("-----BEGIN ")
                    && file.text().contains(block)
                    && keys.certificate(&file.digest).is_none()
                    && keys.of_key(&file.digest).is_none()
            })
        };
        holds(cert, " CERTIFICATE-----")
            && holds(key, " PRIVATE KEY-----")
            && holds(authority, " CERTIFICATE-----")
    }

    fn trust(&self, path: Option<&str>, loaded: &LoadedFiles, keys: &Keys) -> Option<Vec<Digest>> {
        path.map(|path| self.file(path, loaded).map(|file| authorities(file, keys)).unwrap_or_default())
    }

    fn etcd(&self, loaded: &LoadedFiles, keys: &Keys, program: &mut Program) -> Result<EtcdWork, String> {
        let data = self.flag("data-dir").ok_or("no --data-dir")?;
        let data = path_on_machine(self.spec, data).ok_or_else(|| format!("{data} is not mounted"))?;
        let log = self.log(&data)?;
        let peer_url = self.flag("initial-advertise-peer-urls").unwrap_or_default().to_owned();
        let work = EtcdWork {
            name: self.flag("name").unwrap_or("default").to_owned(),
            data,
            log,
            version: minor_of(self.spec.image.as_str()),
            user: self.user(),
            initial_cluster: self
                .flag("initial-cluster")
                .unwrap_or_default()
                .split(',')
                .filter_map(|entry| entry.split_once('='))
                .map(|(name, url)| (name.to_owned(), url.to_owned()))
                .collect(),
            token: self.flag("initial-cluster-token").unwrap_or("etcd-cluster").to_owned(),
            existing: self.flag("initial-cluster-state") == Some("existing"),
            peer: Tls {
                cert: self.flagged_pair(("peer-cert-file", "peer-key-file"), loaded, keys, program)?,
                trust: self.trust(self.flag("peer-trusted-ca-file"), loaded, keys),
            },
            client: Tls {
                cert: self.flagged_pair(("cert-file", "key-file"), loaded, keys, program)?,
                trust: self.trust(self.flag("trusted-ca-file"), loaded, keys),
            },
            peer_url,
        };
        // The peers reach it by this address, and check that its certificate says so.
        let host = host_of(&work.peer_url);
        for presented in work.peer.cert.iter().chain(&work.client.cert) {
            if !presented.names(host) {
                program.fault = Some(format!("x509: certificate is not valid for {host}"));
            }
        }
        Ok(work)
    }

    /// The directory of etcd's log, if it is not with the data. etcd puts another directory in its place as it creates
    /// its log, so it cannot be a mount itself (`renameWAL` of `server/storage/wal/wal.go`).
    fn log(&self, data: &FilePath) -> Result<Option<FilePath>, String> {
        let in_env = self.spec.env.get("ETCD_WAL_DIR").map(|value| &**value);
        let Some(log) = self.flag("wal-dir").or(in_env).filter(|log| !log.is_empty()) else {
            return Ok(None);
        };
        let is_at = |bind: &Arc<str>| {
            bind.split(':')
                .nth(1)
                .is_some_and(|target| target.trim_end_matches('/') == log.trim_end_matches('/'))
        };
        if self.spec.binds.iter().any(is_at) {
            return Err(format!("failed to create WAL: rename {log}.tmp {log}: device or resource busy"));
        }
        let place = path_on_machine(self.spec, log).ok_or_else(|| format!("{log} is not mounted"))?;
        Ok(Some(place).filter(|place| place.as_str() != format!("{data}/member/wal")))
    }

    fn api(&self, loaded: &LoadedFiles, keys: &Keys, program: &mut Program) -> Result<ApiWork, String> {
        let is_a_guest =
            self.has_foreign_pair(("etcd-certfile", "etcd-keyfile"), "etcd-cafile", loaded, keys);
        let pair = if is_a_guest {
            None
        } else {
            self.flagged_pair(("etcd-certfile", "etcd-keyfile"), loaded, keys, program)?
        };
        let configuration = self.flag("encryption-provider-config").and_then(|path| self.file(path, loaded));
        let work = ApiWork {
            is_a_guest,
            secrets: configuration.map_or(Ok(AtRest::Plain), |file| AtRest::read(file.text()))?,
            etcd_prefix: self.flag("etcd-prefix").unwrap_or("/registry").to_owned(),
            etcd_servers: self
                .flag("etcd-servers")
                .ok_or("--etcd-servers must be specified")?
                .split(',')
                .map(|url| host_of(url).to_owned())
                .collect(),
            etcd: Tls { cert: pair, trust: self.trust(self.flag("etcd-cafile"), loaded, keys) },
            serving: Tls {
                cert: self.flagged_pair(("tls-cert-file", "tls-private-key-file"), loaded, keys, program)?,
                trust: self.trust(self.flag("client-ca-file"), loaded, keys),
            },
        };
        for pair in &PAIRS[4..6] {
            self.flagged_pair(*pair, loaded, keys, program)?;
        }
        self.check_service_account(loaded, keys)?;
        // Local clients reach it as 127.0.0.1, those of other nodes by its addresses.
        if let Some(presented) = &work.serving.cert {
            for host in ["127.0.0.1"].into_iter().chain(self.addresses) {
                if !presented.names(host) {
                    program.fault = Some(format!("x509: certificate is not valid for {host}"));
                }
            }
        }
        Ok(work)
    }

    /// The keys of service accounts must be keys: the public part where tokens are verified, the private one
    /// where they are signed. An API server reads a private elliptic key in PKCS#8 only for signing
    /// (`ParsePublicKeysPEM` in `client-go/util/keyutil`).
    fn check_service_account(&self, loaded: &LoadedFiles, keys: &Keys) -> Result<(), String> {
        let digest = |flag| Some(self.file(self.flag(flag)?, loaded)?.digest);
        let flag = "service-account-key-file";
        if digest(flag).is_some_and(|digest| keys.certificate(&digest).is_none()) {
            return Err(format!("--{flag}: data does not contain any valid RSA or ECDSA public keys"));
        }
        for flag in ["service-account-signing-key-file", "service-account-private-key-file"] {
            if digest(flag).is_some_and(|digest| keys.of_key(&digest).is_none()) {
                return Err(format!("--{flag}: data does not contain a valid RSA or ECDSA private key"));
            }
        }
        Ok(())
    }

    fn client(&self, loaded: &LoadedFiles, keys: &Keys, program: &mut Program) -> Result<ClientWork, String> {
        self.check_service_account(loaded, keys)?;
        self.flagged_pair(("tls-cert-file", "tls-private-key-file"), loaded, keys, program)?;
        let node = self.flag("hostname-override").unwrap_or(self.machine).to_owned();
        let list =
            |flag: &str| self.flag(flag).unwrap_or_default().split(',').filter(|text| !text.is_empty());
        let mut work = ClientWork {
            node,
            labels: list("node-labels")
                .map(|label| label.split_once('=').unwrap_or((label, "")))
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .collect(),
            taints: list("register-with-taints")
                .filter_map(|taint| taint.rsplit_once(':'))
                .map(|(taint, effect)| (taint.split_once('=').unwrap_or((taint, "")), effect))
                .map(|((key, value), effect)| (key.to_owned(), value.to_owned(), effect.to_owned()))
                .collect(),
            ..ClientWork::default()
        };
        let Some(kubeconfig) = self.flag("kubeconfig").and_then(|path| self.file(path, loaded)) else {
            return Err("--kubeconfig must be specified".to_owned());
        };
        let text = kubeconfig.text();
        host_of(kubeconfig_value(text, "server").unwrap_or_default()).clone_into(&mut work.server);
        if let (Some(cert), Some(key)) =
            (kubeconfig_value(text, "client-certificate"), kubeconfig_value(text, "client-key"))
        {
            work.tls.cert = Some(self.pair((cert, key), loaded, keys, program)?);
        }
        work.tls.trust = self.trust(kubeconfig_value(text, "certificate-authority"), loaded, keys);
        // The Node authorizer knows a kubelet by its name and group:
        // https://kubernetes.io/docs/reference/access-authn-authz/node/
        if self.kind == Some(Component::Kubelet)
            && let Some(Presented { cert }) = &work.tls.cert
        {
            let StoredCert { desired, .. } = &cert.cert;
            if desired.common_name != format!("system:node:{}", work.node)
                || !desired.organizations.iter().any(|group| group == "system:nodes")
            {
                program.fault = Some(format!("{} may not act for node {}", desired.common_name, work.node));
            }
        }
        Ok(work)
    }
}

/// The first two numbers of an image's tag.
fn minor_of(image: &str) -> Option<(u32, u32)> {
    let mut numbers = image.rsplit_once(":v")?.1.split('.').map_while(|number| number.parse().ok());
    Some((numbers.next()?, numbers.next()?))
}

/// The value of the first line `key: value` of a kubeconfig.
fn kubeconfig_value<'t>(text: &'t str, key: &str) -> Option<&'t str> {
    text.lines().find_map(|line| {
        let line = line.trim_start().trim_start_matches("- ");
        let value = line.strip_prefix(key)?.strip_prefix(':')?;
        Some(value.trim().trim_matches(['"', '\'']))
    })
}

/// The addresses behind an nginx configuration: every `server <address>:6443;`.
fn upstreams(loaded: &LoadedFiles) -> Vec<String> {
    loaded
        .values()
        .flat_map(|file| file.text().split("server ").skip(1))
        .filter_map(|rest| rest.split(';').next()?.trim().strip_suffix(":6443"))
        .map(|host| host.trim_matches(['[', ']']).to_owned())
        .collect()
}

/// The digests of the certificates in a file: itself, or each block of a bundle.
fn authorities(file: &FileState, keys: &Keys) -> Vec<Digest> {
    if keys.certificate(&file.digest).is_some() {
        return vec![file.digest];
    }
    file.text()
        .split_inclusive("-----END CERTIFICATE-----\n")
        .map(Digest::of)
        .filter(|digest| keys.certificate(digest).is_some())
        .collect()
}

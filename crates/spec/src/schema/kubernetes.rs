//! Formats of Kubernetes itself that cluster.yml embeds, by their own names.

use super::Kind::{Foreign, IntegerOrText, Sections, Word};
use super::{Key, flag, integer, key, secret, section, text, texts};

/// The formats without whose needed keys the API server does not start.
pub(crate) const OF_API_SERVER: [&[Key]; 10] = [
    AUDIT_POLICY,
    AUDIT_RULE,
    ADMISSION_PLUGIN,
    EVENT_RATE_LIMIT_CONFIGURATION,
    LIMIT,
    ENCRYPTION_CONFIGURATION,
    ENCRYPTED_RESOURCES,
    KEYS,
    KEY,
    KMS,
];

/// The formats that cluster.yml embeds; what is in them is Kubernetes' own too.
pub(crate) const OF_KUBERNETES: [&[Key]; 9] = [
    TOLERATION,
    DAEMON_SET_STRATEGY,
    DEPLOYMENT_STRATEGY,
    ENV_VAR,
    VOLUME_MOUNT,
    AUDIT_POLICY,
    ADMISSION_CONFIGURATION,
    EVENT_RATE_LIMIT_CONFIGURATION,
    ENCRYPTION_CONFIGURATION,
];

const API_VERSION: Key = text("apiVersion", "the version of the format");
const KIND: Key = text("kind", "the kind of the format");

pub(super) const TOLERATION: &[Key] = &[
    text("key", "the key of the taint; all taints where absent"),
    key("operator", Word(&["Exists", "Equal"]), "whether the value matters").or("Equal"),
    text("value", "the value of the taint"),
    key("effect", Word(&["NoSchedule", "PreferNoSchedule", "NoExecute"]), "the effect; all where absent"),
    integer("tolerationSeconds", "seconds that NoExecute is tolerated"),
];

/// Of a `DaemonSet`, as RKE 1 has it.
pub(super) const DAEMON_SET_STRATEGY: &[Key] = &[
    key("strategy", Word(&["RollingUpdate", "OnDelete"]), "how pods are replaced").or("RollingUpdate"),
    section("rollingUpdate", ROLLING_UPDATE, "the limits of a rolling update"),
];

/// Of a `Deployment`, as RKE 1 has it.
pub(super) const DEPLOYMENT_STRATEGY: &[Key] = &[
    key("strategy", Word(&["RollingUpdate", "Recreate"]), "how pods are replaced").or("RollingUpdate"),
    section("rollingUpdate", ROLLING_UPDATE, "the limits of a rolling update"),
];

const ROLLING_UPDATE: &[Key] = &[
    key("maxUnavailable", IntegerOrText, "how many pods may be away: a number or a part"),
    key("maxSurge", IntegerOrText, "how many pods may be there too many: a number or a part"),
];

pub(super) const ENV_VAR: &[Key] = &[
    text("name", "the variable").needed(),
    text("value", "its value"),
    key("valueFrom", Foreign, "where its value comes from"),
];

/// The sources of a volume differ from version to version: each is kept whole.
pub(super) const VOLUME_MOUNT: &[Key] = &[
    text("name", "the volume").needed(),
    text("mountPath", "where it is mounted").needed(),
    flag("readOnly", "mount it read-only"),
    text("subPath", "the path in the volume"),
    text("subPathExpr", "the path in the volume, with variables"),
    text("mountPropagation", "how mounts spread"),
    text("recursiveReadOnly", "whether mounts below are read-only too"),
];

/// `audit.k8s.io/v1` Policy.
pub(super) const AUDIT_POLICY: &[Key] = &[
    API_VERSION,
    KIND,
    key("metadata", Foreign, "the metadata of the object"),
    key("rules", Sections(AUDIT_RULE), "the first rule that matches a request decides").needed(),
    texts("omitStages", "stages for which nothing is logged"),
    flag("omitManagedFields", "leave managed fields out of bodies"),
];

const AUDIT_RULE: &[Key] = &[
    key("level", Word(&["None", "Metadata", "Request", "RequestResponse"]), "how much is logged").needed(),
    texts("users", "the users it holds for"),
    texts("userGroups", "the groups it holds for"),
    texts("verbs", "the verbs it holds for"),
    key("resources", Sections(GROUP_RESOURCES), "the resources it holds for"),
    texts("namespaces", "the namespaces it holds for"),
    texts("nonResourceURLs", "the paths it holds for that are no resources"),
    texts("omitStages", "stages for which nothing is logged"),
    flag("omitManagedFields", "leave managed fields out of bodies"),
];

const GROUP_RESOURCES: &[Key] = &[
    text("group", "the API group; empty for the core"),
    texts("resources", "its resources; all where absent"),
    texts("resourceNames", "the names of objects; all where absent"),
];

/// `apiserver.config.k8s.io/v1` `AdmissionConfiguration`.
pub(super) const ADMISSION_CONFIGURATION: &[Key] =
    &[API_VERSION, KIND, key("plugins", Sections(ADMISSION_PLUGIN), "the plugins and their settings")];

const ADMISSION_PLUGIN: &[Key] = &[
    text("name", "the plugin").needed(),
    text("path", "a file with its settings, in the container"),
    key("configuration", Foreign, "its settings, in its own format"),
];

/// `eventratelimit.admission.k8s.io/v1alpha1` Configuration.
pub(super) const EVENT_RATE_LIMIT_CONFIGURATION: &[Key] =
    &[API_VERSION, KIND, key("limits", Sections(LIMIT), "the limits").needed()];

const LIMIT: &[Key] = &[
    key("type", Word(&["Server", "Namespace", "User", "SourceAndObject"]), "what is counted together")
        .needed(),
    integer("qps", "events a second").needed(),
    integer("burst", "events at once").needed(),
    integer("cacheSize", "how many counters are kept"),
];

/// `apiserver.config.k8s.io/v1` `EncryptionConfiguration`.
pub(super) const ENCRYPTION_CONFIGURATION: &[Key] = &[
    API_VERSION,
    KIND,
    key("resources", Sections(ENCRYPTED_RESOURCES), "what is encrypted, and how").needed(),
];

const ENCRYPTED_RESOURCES: &[Key] = &[
    texts("resources", "the resources").needed(),
    key("providers", Sections(PROVIDER), "the first encrypts, any decrypts").needed(),
];

const PROVIDER: &[Key] = &[
    section("aescbc", KEYS, "AES-CBC"),
    section("aesgcm", KEYS, "AES-GCM"),
    section("secretbox", KEYS, "XSalsa20 and Poly1305"),
    section("identity", &[], "no encryption"),
    section("kms", KMS, "a key management service"),
];

const KEYS: &[Key] = &[key("keys", Sections(KEY), "the first encrypts, any decrypts").needed()];

const KEY: &[Key] =
    &[text("name", "the name of the key").needed(), secret("secret", "base64: the key").needed()];

const KMS: &[Key] = &[
    text("apiVersion", "v1 or v2"),
    text("name", "the name of the service").needed(),
    integer("cachesize", "how many keys are kept"),
    text("endpoint", "its socket").needed(),
    text("timeout", "how long a call may take"),
];

//! `nodes[]`, `bastion_host` and `private_registries[]`: the machines and how they are reached.

use super::Kind::{Sections, TextOrTexts, Word};
use super::{Key, flag, integer, key, secret, section, text, text_map};

pub(super) const NODE: &[Key] = &[
    text("address", "where SSH connects to; unique in the cluster").needed(),
    text("port", "the port of sshd").or("22"),
    text("internal_address", "the address that the components use among themselves").or("`address`"),
    key("role", TextOrTexts, "what the node does: any of controlplane, etcd and worker").needed(),
    text("hostname_override", "its name in Kubernetes, in lower case").or("`address`"),
    text("user", "who logs in over SSH; must be able to use Docker's socket").needed(),
    text("docker_socket", "Docker's socket on the node").or("/var/run/docker.sock"),
    flag("ssh_agent_auth", "take keys from the SSH agent; the key of the top level wins").or("false"),
    secret("ssh_key", "the private key itself; wins over a path"),
    text("ssh_key_path", "the file of the private key on the operator's machine")
        .or("the top level's `ssh_key_path`"),
    text("ssh_cert", "the SSH certificate itself"),
    text("ssh_cert_path", "the file of the SSH certificate on the operator's machine")
        .or("the top level's `ssh_cert_path`"),
    text_map("labels", "labels of the Node object, beside those of its roles"),
    key("taints", Sections(TAINT), "taints of the Node object, beside those of its roles"),
    section("windlass", NODE_WINDLASS, "the keys of a node that RKE 1 does not have"),
    text("nodeName", "a reference to a machine of Rancher's").void("it refers to a machine of Rancher's"),
];

/// What `pod_runtime` may be.
pub(super) const POD_RUNTIMES: &[&str] = &["docker", "containerd"];

const NODE_WINDLASS: &[Key] =
    &[key("pod_runtime", Word(POD_RUNTIMES), "what runs the containers of pods on this node")
        .or("that of the top level")];

const TAINT: &[Key] = &[
    text("key", "the key, in the syntax of a label's key").needed(),
    text("value", "the value"),
    key(
        "effect",
        Word(&["NoSchedule", "PreferNoSchedule", "NoExecute"]),
        "what it does to pods that do not tolerate it",
    )
    .needed(),
    text("timeAdded", "when it was added").void("Kubernetes sets it"),
];

pub(super) const BASTION: &[Key] = &[
    text("address", "the host through which every node is reached; without it there is no bastion"),
    text("port", "the port of its sshd").or("22"),
    text("user", "who logs in there"),
    flag("ssh_agent_auth", "take keys from the SSH agent; the key of the top level wins").or("false"),
    secret("ssh_key", "the private key itself"),
    text("ssh_key_path", "the file of the private key").or("the top level's `ssh_key_path`"),
    text("ssh_cert", "the SSH certificate itself"),
    text("ssh_cert_path", "the file of the SSH certificate"),
    flag("ignore_proxy_env_vars", "do not send calls to Kubernetes through a proxy")
        .or("false")
        .void("windlass reaches Kubernetes through its SSH connections and asks no proxy"),
];

pub(super) const REGISTRY: &[Key] = &[
    text("url", "the registry's host, perhaps with a path").or("docker.io"),
    text("user", "who logs in"),
    secret("password", "the password"),
    flag("is_default", "pull the system images through this registry; the first such one counts").or("false"),
    section(
        "ecr_credential_plugin",
        ECR,
        "credentials for Amazon's registry, in the place of user and password",
    ),
];

const ECR: &[Key] = &[
    text("aws_access_key_id", "the access key; ambient credentials where absent"),
    secret("aws_secret_access_key", "its secret"),
    secret("aws_session_token", "the token of a session"),
];

pub(super) const UPGRADE_STRATEGY: &[Key] = &[
    text("max_unavailable_worker", "how many workers may be unavailable at once: a number or a part")
        .or("10%"),
    text("max_unavailable_controlplane", "how many control-plane nodes may be unavailable at once").or("1"),
    flag("drain", "drain a node before its containers change").or("false"),
    section("node_drain_input", NODE_DRAIN_INPUT, "how nodes are drained"),
];

const NODE_DRAIN_INPUT: &[Key] = &[
    flag("force", "evict pods that no controller brings back").or("false"),
    flag("ignore_daemonsets", "leave the pods of DaemonSets").or("true"),
    flag("delete_local_data", "evict pods whose local data is lost by it").or("false"),
    integer("grace_period", "seconds given to each pod; -1 means each pod's own period").or("-1"),
    integer("timeout", "seconds after which the drain fails").or("120"),
];

//! The containers and files on a host at one moment, to be compared with those at another.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::node::quoted;
use super::{LabError, Node};

/// A container as the node's Docker describes it. Equal at two moments if nothing happened to it in between.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerSeen {
    /// Its id: another one after it was recreated.
    pub id: String,
    /// The name of its image.
    pub image: String,
    /// `running`, `exited` …
    pub state: String,
    /// When it was created.
    pub created: String,
    /// When it last started.
    pub started: String,
    /// How often Docker restarted it by itself.
    pub restarts: u64,
    /// Its restart policy: `always`, `no` …
    pub restart_policy: String,
    /// Program and arguments.
    pub command: Vec<String>,
    /// Environment variables.
    pub environment: Vec<String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
}

/// A file as its directory describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileSeen {
    /// When its content last changed, in seconds with nine digits after the point.
    pub modified: String,
    /// When anything of it last changed, including its mode.
    pub changed: String,
    /// Its mode in octal digits.
    pub mode: String,
    /// User and group.
    pub owner: String,
    /// Its size in bytes.
    pub size: u64,
    /// Its inode: another one after it was replaced.
    pub inode: u64,
}

impl Node {
    /// All containers of its Docker by name, stopped ones and those of pods too.
    ///
    /// # Errors
    /// Its Docker does not answer.
    pub fn containers(&self) -> Result<BTreeMap<String, ContainerSeen>, LabError> {
        // A pod's container may be removed between the two calls: then it is left out.
        let text = self
            .as_root(
                "all=$(docker ps -aq) && [ -z \"$all\" ] && echo '[]' || docker inspect $all 2>/dev/null",
            )
            .ran()?
            .stdout;
        let seen: Vec<Value> = serde_json::from_str(&text).map_err(|error| LabError::NotUnderstood {
            what: format!("`docker inspect` of {}", self.name),
            why: error.to_string(),
        })?;
        Ok(seen.iter().map(|container| (name_of(container), container_seen(container))).collect())
    }

    /// Only the containers of components: those that kubelet did not create for pods.
    ///
    /// # Errors
    /// Its Docker does not answer.
    pub fn components(&self) -> Result<BTreeMap<String, ContainerSeen>, LabError> {
        let mut containers = self.containers()?;
        containers.retain(|_, container| !container.labels.contains_key("io.kubernetes.pod.name"));
        Ok(containers)
    }

    /// The ids of the running containers of pods, in any runtime: kubelet never restarts one, it creates
    /// another.
    /// another.
    ///
    /// # Errors
    /// The host does not run.
    pub fn pod_containers(&self) -> Result<BTreeSet<String>, LabError> {
        let of_docker = "docker ps -q --no-trunc --filter label=io.kubernetes.pod.uid";
        let of_containerd = "ctr -n k8s.io tasks ls 2>/dev/null | awk '$3 == \"RUNNING\" { print $1 }'";
        let text =
            self.root(&format!("{of_docker}; [ ! -S /run/containerd/containerd.sock ] || {of_containerd}"))?;
        Ok(text.lines().map(str::to_owned).collect())
    }

    /// All files below a directory by path; none if it does not exist.
    ///
    /// # Errors
    /// The host does not run.
    pub fn files(&self, directory: &str) -> Result<BTreeMap<String, FileSeen>, LabError> {
        let directory = quoted(directory);
        let text = self.root(&format!(
            "[ ! -e {directory} ] || find {directory} -type f -printf '%T@ %C@ %m %u:%g %s %i %p\\n'"
        ))?;
        text.lines().map(file_seen).collect()
    }
}

fn file_seen(line: &str) -> Result<(String, FileSeen), LabError> {
    let wrong = || LabError::NotUnderstood { what: "a line of `find`".to_owned(), why: line.to_owned() };
    let fields: Vec<&str> = line.splitn(7, ' ').collect();
    let [modified, changed, mode, owner, size, inode, path] = fields[..] else { return Err(wrong()) };
    let seen = FileSeen {
        modified: modified.to_owned(),
        changed: changed.to_owned(),
        mode: mode.to_owned(),
        owner: owner.to_owned(),
        size: size.parse().map_err(|_| wrong())?,
        inode: inode.parse().map_err(|_| wrong())?,
    };
    Ok((path.to_owned(), seen))
}

fn name_of(container: &Value) -> String {
    text(&container["Name"]).trim_start_matches('/').to_owned()
}

fn container_seen(container: &Value) -> ContainerSeen {
    let (config, state) = (&container["Config"], &container["State"]);
    let mut command = texts(&config["Entrypoint"]);
    command.extend(texts(&config["Cmd"]));
    let labels = config["Labels"].as_object().into_iter().flatten();
    ContainerSeen {
        id: text(&container["Id"]),
        image: text(&config["Image"]),
        state: text(&state["Status"]),
        created: text(&container["Created"]),
        started: text(&state["StartedAt"]),
        restarts: container["RestartCount"].as_u64().unwrap_or(0),
        restart_policy: text(&container["HostConfig"]["RestartPolicy"]["Name"]),
        command,
        environment: texts(&config["Env"]),
        labels: labels.map(|(name, value)| (name.clone(), text(value))).collect(),
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().map(text).collect()
}

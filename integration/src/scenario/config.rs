//! The cluster.yml of a scenario, and its edits.

use serde_yaml::{Mapping, Value};

use super::text::cut;
use crate::draft::{Draft, DraftNode, address};

/// A change of cluster.yml.
#[derive(Clone, Debug)]
pub(super) enum Edit {
    /// A value at a path; missing parts of the path are created.
    Set(Vec<Part>, Value),
    /// A value is removed.
    Remove(Vec<Part>),
    /// A node is added.
    AddNode { name: String, roles: Vec<String> },
    /// A node is removed.
    RemoveNode(String),
    /// Another version, with the image of it.
    Upgrade(String),
}

/// One part of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Key(String),
    Index(usize),
    /// The node of this name.
    Node(String),
}

impl Edit {
    /// Reads an edit: `edit nodes[node-2].role [etcd]`, `edit remove nodes[node-2].labels`,
    /// `edit add node-4 worker`, `edit remove node-4`, `upgrade v1.21.2`.
    ///
    /// # Errors
    /// It is none of these.
    pub(super) fn read(verb: &str, rest: &str) -> Result<Self, String> {
        if verb == "upgrade" {
            return Ok(Self::Upgrade(rest.to_owned()));
        }
        let (first, after) = cut(rest);
        match first {
            "add" => {
                let (name, roles) = cut(after);
                let roles = if roles == "all" { "etcd+controlplane+worker" } else { roles };
                Ok(Self::AddNode {
                    name: name.to_owned(),
                    roles: roles.split('+').map(str::to_owned).collect(),
                })
            }
            "remove" if after.starts_with("node-") => Ok(Self::RemoveNode(after.to_owned())),
            "remove" => path(after).map(Self::Remove),
            _ => {
                let value = serde_yaml::from_str(after).map_err(|error| error.to_string())?;
                Ok(Self::Set(path(first)?, value))
            }
        }
    }

    /// Carries out the edit.
    ///
    /// # Errors
    /// The path contains a part that does not exist.
    pub(super) fn apply(&self, file: &mut Value) -> Result<(), String> {
        match self {
            Self::Set(path, value) => {
                *reach(file, path)? = value.clone();
            }
            Self::Remove(path) => {
                let (last, way) = path.split_last().ok_or("an empty path")?;
                match (reach(file, way)?, last) {
                    (Value::Mapping(map), Part::Key(key)) => {
                        map.remove(key.as_str()).ok_or_else(|| format!("there is no `{key}`"))?;
                    }
                    (Value::Sequence(items), Part::Index(index)) if *index < items.len() => {
                        items.remove(*index);
                    }
                    _ => return Err("there is nothing to remove".to_owned()),
                }
            }
            Self::AddNode { name, roles } => {
                let machine: usize =
                    name.strip_prefix("node-").and_then(|number| number.parse().ok()).ok_or("no node-N")?;
                let mut node = Mapping::new();
                node.insert("address".into(), address(machine).into());
                node.insert("hostname_override".into(), name.as_str().into());
                node.insert("user".into(), "ops".into());
                node.insert("role".into(), roles.iter().map(String::as_str).collect::<Value>());
                nodes(file)?.push(Value::Mapping(node));
            }
            Self::RemoveNode(name) => {
                let nodes = nodes(file)?;
                let index = index_of(nodes, name)?;
                nodes.remove(index);
            }
            Self::Upgrade(version) => {
                *reach(file, &path("kubernetes_version")?)? = version.as_str().into();
                *reach(file, &path("system_images.kubernetes")?)? = format!("lab/hyperkube:{version}").into();
            }
        }
        Ok(())
    }
}

/// A cluster.yml of nodes in groups, with everything else as usual.
pub(super) fn sized(groups: &[(usize, Vec<String>)]) -> String {
    let mut nodes = Vec::new();
    for (count, roles) in groups {
        for _ in 0..*count {
            let has = |role: &str| roles.iter().any(|other| other == role);
            nodes.push(DraftNode {
                etcd: has("etcd"),
                control_plane: has("controlplane"),
                worker: has("worker"),
                ..DraftNode::new(nodes.len() + 1)
            });
        }
    }
    Draft::of(nodes).text()
}

/// `services.kubelet.extra_args.max-pods`, `nodes[node-2].labels."example.org/disk"`.
fn path(text: &str) -> Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('[') {
            let (index, after) = after.split_once(']').ok_or("`[` without `]`")?;
            parts.push(index.parse().map_or_else(|_| Part::Node(index.to_owned()), Part::Index));
            rest = after;
        } else if let Some(after) = rest.strip_prefix('"') {
            let (key, after) = after.split_once('"').ok_or("one `\"` without another")?;
            parts.push(Part::Key(key.to_owned()));
            rest = after;
        } else {
            let end = rest.find(['.', '[']).unwrap_or(rest.len());
            parts.push(Part::Key(rest[..end].to_owned()));
            rest = &rest[end..];
        }
        rest = rest.strip_prefix('.').unwrap_or(rest);
    }
    Ok(parts)
}

fn nodes(file: &mut Value) -> Result<&mut Vec<Value>, String> {
    match reach(file, &[Part::Key("nodes".to_owned())])? {
        Value::Sequence(nodes) => Ok(nodes),
        _ => Err("`nodes` is no list".to_owned()),
    }
}

fn index_of(nodes: &[Value], name: &str) -> Result<usize, String> {
    let named = |node: &Value| {
        ["hostname_override", "address"]
            .iter()
            .any(|key| node.get(*key).and_then(Value::as_str) == Some(name))
    };
    nodes.iter().position(named).ok_or_else(|| format!("no node `{name}` in cluster.yml"))
}

fn reach<'v>(file: &'v mut Value, path: &[Part]) -> Result<&'v mut Value, String> {
    let mut here = file;
    for part in path {
        if here.is_null() {
            *here = Value::Mapping(Mapping::new());
        }
        here = match (part, here) {
            (Part::Key(key), Value::Mapping(map)) => map.entry(key.as_str().into()).or_insert(Value::Null),
            (Part::Index(index), Value::Sequence(items)) => {
                items.get_mut(*index).ok_or_else(|| format!("there is no [{index}]"))?
            }
            (Part::Node(name), Value::Sequence(nodes)) => {
                let index = index_of(nodes, name)?;
                &mut nodes[index]
            }
            (part, _) => return Err(format!("nothing here has {part:?}")),
        };
    }
    Ok(here)
}

//! The hosts of a cluster listen where the table of ports in the documentation says, and nowhere else.

use std::collections::{BTreeMap, BTreeSet};

use windlass_integration::lab::{Cluster, Images, Lab, LabError, LabShape, Node, Windlass};

type Outcome = Result<(), LabError>;

/// The page whose table is compared.
const PAGE: &str = include_str!("../../../docs/reference/files-and-containers.md");
/// What listens on hosts without a cluster.
const OF_THE_HOST: [&str; 1] = ["sshd"];

#[test]
#[ignore = "needs a lab; see integration/lab/test"]
fn every_host_listens_where_the_table_of_ports_says_and_nowhere_else() -> Outcome {
    let lab = Lab::start(&LabShape::nodes(3))?;
    let windlass = Windlass::new(&lab)?;
    let roles: [(usize, &[&str]); 3] = [(1, &["controlplane"]), (2, &["etcd"]), (3, &["worker"])];
    let mut cluster = Cluster::of(&lab, Images::FromRegistry, roles);
    cluster.write(&windlass)?;
    windlass.succeeds(["up"])?;

    let table = rows(PAGE);
    for (number, letter) in [(1, 'C'), (2, 'E'), (3, 'W')] {
        let node = lab.node(number);
        let found = listening(node)?;
        let expected: BTreeSet<Socket> = table
            .iter()
            .filter(|row| row.is_of(letter))
            .flat_map(|row| row.ports.iter().map(|port| Socket { port: *port, at: row.at.clone() }))
            .collect();
        let missing: Vec<&Socket> = expected.iter().filter(|socket| !found.contains_key(socket)).collect();
        assert!(missing.is_empty(), "{letter}: in the table, and nothing listens: {missing:?} of {found:?}");
        let beyond: Vec<_> = found
            .iter()
            .filter(|(socket, program)| !expected.contains(socket) && !is_a_stream(socket, program, &table))
            .collect();
        assert!(beyond.is_empty(), "{letter}: listens, and is not in the table: {beyond:?}");
    }
    // The way back: where somebody needs a port from elsewhere, cluster.yml opens it.
    assert!(!answers(lab.node(1), lab.node(3), 6443)?);
    cluster.set("windlass.local_ports", "open").write(&windlass)?;
    windlass.succeeds(["up"])?;
    assert!(answers(lab.node(1), lab.node(3), 6443)?);
    Ok(())
}

/// A place at which a process listens.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Socket {
    port: u16,
    at: String,
}

/// One row of the table.
struct Row {
    ports: Vec<u16>,
    at: String,
    roles: String,
    listener: String,
}

impl Row {
    /// Whether a node has it whose only role is this one: `E W without C` is of E and of W.
    fn is_of(&self, role: char) -> bool {
        self.roles.split(" without ").next().is_some_and(|roles| roles.contains(role))
    }
}

/// The rows of the table of ports; those without a fixed port of TCP have none.
fn rows(page: &str) -> Vec<Row> {
    let (_, section) = page.split_once("\n## Ports\n").expect("the page has a section of ports");
    let section = section.split("\n## ").next().unwrap_or(section);
    let lines = section.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    let rows: Vec<Row> = lines
        .skip(1)
        .map(|line| {
            let cells: Vec<&str> = line.split(" | ").collect();
            let [ports, at, roles, listener, _] = cells[..] else { panic!("`{line}` has other columns") };
            // The addresses of the lab's hosts are one.
            let at = at.split(';').next().unwrap_or(at);
            assert!(["all addresses", "127.0.0.1"].contains(&at), "`{at}` is no place that the test knows");
            let at = if at == "127.0.0.1" { at } else { "*" };
            let ports = ports.split(", ").filter_map(|port| port.parse().ok()).collect();
            Row { ports, at: at.to_owned(), roles: roles.to_owned(), listener: listener.to_owned() }
        })
        .collect();
    assert!(rows.len() > 6, "the table was read");
    rows
}

/// Every socket of TCP that listens on a host, with the program that has it.
fn listening(node: &Node) -> Result<BTreeMap<Socket, String>, LabError> {
    let mut found = BTreeMap::new();
    for line in node.root("ss -Hltnp")?.lines() {
        let mut words = line.split_whitespace().skip(3);
        let Some((address, port)) = words.next().and_then(|socket| socket.rsplit_once(':')) else { continue };
        let program = line.split("((\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or("?");
        let at = match address.trim_matches(['[', ']']).trim_start_matches("::ffff:") {
            "0.0.0.0" | "::" | "*" => "*",
            other => other,
        };
        let Ok(port) = port.parse() else { continue };
        // Docker's own resolver in the containers that the lab's hosts are.
        if !OF_THE_HOST.contains(&program) && at != "127.0.0.11" {
            found.insert(Socket { port, at: at.to_owned() }, program.to_owned());
        }
    }
    Ok(found)
}

/// Whether it is one of those for the streams of `kubectl exec`, whose port the system chooses.
fn is_a_stream(socket: &Socket, program: &str, table: &[Row]) -> bool {
    let mut of_table = table.iter().filter(|row| row.ports.is_empty());
    socket.at == "127.0.0.1" && socket.port >= 32_768 && of_table.any(|row| row.listener.contains(program))
}

/// Whether one host gets a connection to a port of another.
fn answers(from: &Node, to: &Node, port: u16) -> Result<bool, LabError> {
    let command = format!("nc -z -w 3 {} {port} && echo open || true", to.address);
    Ok(from.root(&command)?.contains("open"))
}

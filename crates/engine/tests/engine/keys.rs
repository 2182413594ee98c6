//! Keys are stored before they are used anywhere.

use std::collections::{BTreeMap, BTreeSet};

use windlass_engine::{Assignment, Limits};
use windlass_model::{
    Action, CertName, CertPart, Content, DesiredFile, FilePath, LedgerChange, Mode, Owner, Plan, Secret,
    SecretName,
};

use crate::fake::{
    COPY, Fake, Fault, assert_frozen, assignment, last_node, lasting, node, passing, reported,
};
use crate::plans::{alone, desired, plan};

fn write(files: &[(&str, Content)]) -> Action {
    let files = files
        .iter()
        .map(|(path, content)| {
            let desired = DesiredFile {
                content: content.clone(),
                mode: Mode::PRIVATE,
                owner: Owner::default(),
                origin: None,
            };
            (FilePath::from(*path), desired)
        })
        .collect();
    Action::WriteFiles { node: node(1), files }
}

fn cert(name: &str, part: CertPart) -> Content {
    Content::Cert { cert: CertName::from(name), part }
}

fn mint() -> Action {
    // In the order of names the CA would come last.
    let certs = desired(&[("a-leaf", Some("z-ca")), ("b-leaf", Some("old-ca")), ("z-ca", None)]);
    Action::MintCerts { certs }
}

fn commit() -> Action {
    let change = LedgerChange {
        nodes: BTreeMap::from([(node(1), last_node(1, &[]))]),
        forget: [node(9)].into(),
        forget_certs: [CertName::from("gone")].into(),
        foundation: None,
        born: true,
        first_members: BTreeSet::new(),
        restore: None,
        stored: None,
    };
    Action::CommitLedger { change: Box::new(change) }
}

fn secrets() -> Assignment {
    let mut assignment = assignment(1);
    assignment.secrets.insert(SecretName::from("token"), Secret::new("hunter2".to_owned()));
    assignment
}

fn first_keys() -> Plan {
    let write = write(&[
        ("/ca.pem", cert("z-ca", CertPart::Certificate)),
        ("/leaf-key.pem", cert("a-leaf", CertPart::Key)),
        ("/plain", Content::Text("plain".into())),
        ("/token", Content::Secret(SecretName::from("token"))),
        (COPY, Content::Ledger),
    ]);
    plan(vec![("1", mint()), ("2", commit()), ("3", write)], &[("1", "2"), ("2", "3")])
}

async fn ledger_with_old_ca(fake: &Fake) {
    let certs = desired(&[("old-ca", None), ("gone", None)]);
    let nodes = BTreeMap::from([(node(9), last_node(9, &[]))]);
    let change = LedgerChange { nodes, ..LedgerChange::default() };
    let steps =
        vec![("1", Action::MintCerts { certs }), ("2", Action::CommitLedger { change: Box::new(change) })];
    let done = fake.execute(&plan(steps, &[("1", "2")]), &assignment(1), &Limits::default()).await;
    assert!(done.report.is_complete());
}

#[tokio::test(start_paused = true)]
async fn keys_are_made_then_durable_then_written() {
    let fake = Fake::new();
    ledger_with_old_ca(&fake).await;
    let done = fake.execute(&first_keys(), &secrets(), &Limits::default()).await;
    let ledger = done.ledger.clone().unwrap();
    assert_eq!(fake.world().ledger.as_ref(), Some(&ledger));
    assert_eq!(fake.world().entrusted, Some(ledger.serial));
    assert_eq!(fake.world().files[&("node-1".into(), COPY.into())], crate::fake::copy_of(&ledger));
    assert_frozen("keys", &(fake.take_log() + "\n" + &reported(&done) + &format!("{ledger:?}\n")));
}

#[tokio::test(start_paused = true)]
async fn what_is_not_committed_never_leaves_even_if_the_plan_says_so() {
    let fake = Fake::new();
    ledger_with_old_ca(&fake).await;
    fake.take_log();
    let steps = vec![
        ("1", Action::MintCerts { certs: desired(&[("new", None), ("old-ca", None)]) }),
        ("2", write(&[("/new", cert("new", CertPart::Key))])),
        ("3", write(&[("/renewed", cert("old-ca", CertPart::Certificate))])),
        ("4", write(&[("/unknown", cert("unknown", CertPart::Key))])),
        ("5", write(&[("/secret", Content::Secret(SecretName::from("unknown")))])),
        ("6", write(&[(COPY, Content::Ledger)])),
    ];
    let plan = plan(steps, &[("1", "2"), ("1", "3"), ("1", "4"), ("1", "5"), ("1", "6")]);
    let before = fake.world().ledger.clone();
    let done = fake.execute(&plan, &secrets(), &Limits::default()).await;
    assert_eq!(done.ledger, before);
    assert_frozen("uncommitted", &(fake.take_log() + "\n" + &reported(&done)));
}

#[tokio::test(start_paused = true)]
async fn a_failed_commit_lets_nothing_out() {
    let fake = Fake::new();
    ledger_with_old_ca(&fake).await;
    fake.take_log();
    let verb = "ledger commit blue serial 2 [a-leaf b-leaf old-ca z-ca]";
    fake.fault(verb, 1, Fault::Before(lasting("disk full")));
    let done = fake.execute(&first_keys(), &secrets(), &Limits::default()).await;
    assert_eq!(fake.world().entrusted, Some(1), "keys that are not durable open nothing");
    assert_frozen("commit_fails", &(fake.take_log() + "\n" + &reported(&done)));
}

#[tokio::test(start_paused = true)]
async fn a_first_commit_tried_twice_is_of_one_lineage() {
    let fake = Fake::new();
    fake.fault("ledger commit blue serial 1 []", 1, Fault::Before(passing("busy")));
    let done = fake.execute(&alone("a", commit()), &assignment(1), &Limits::default()).await;
    assert_frozen("one_lineage", &(fake.take_log() + "\n" + &reported(&done)));
}

#[tokio::test(start_paused = true)]
async fn a_certificate_without_its_issuer_is_not_made() {
    let fake = Fake::new();
    let certs = desired(&[("a", Some("nobody"))]);
    let rings = desired(&[("b", Some("c")), ("c", Some("b"))]);
    let steps = vec![("1", Action::MintCerts { certs }), ("2", Action::MintCerts { certs: rings })];
    let done = fake.execute(&plan(steps, &[]), &assignment(1), &Limits::default()).await;
    assert_frozen("no_issuer", &(fake.take_log() + "\n" + &reported(&done)));
}

#[tokio::test(start_paused = true)]
async fn a_ledger_that_is_forgotten_is_gone() {
    let fake = Fake::new();
    ledger_with_old_ca(&fake).await;
    let done = fake.execute(&alone("a", Action::ForgetLedger), &assignment(1), &Limits::default()).await;
    assert_eq!((done.ledger, fake.world().ledger.clone()), (None, None));
}

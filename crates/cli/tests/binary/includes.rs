//! What `addons_include` names: files and URLs, their flaws at their lines, and their checksums.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use crate::lab::{Lab, THREE_NODES};

const SHOP: &str = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n---\n\
    apiVersion: v1\nkind: Secret\nmetadata: {name: till, namespace: shop}\nstringData: {key: very-private}\n";

fn lab(test: &str, more: &str) -> Lab {
    Lab::new(test).with("cluster.yml", &format!("{THREE_NODES}{more}")).with("world.yml", "bare: 3\n")
}

#[test]
fn what_is_wrong_with_a_file_is_told_at_its_line() {
    let more = "addons_include: [shop.yml, gone.yml, sub/broken.yml, other.yml]\n\
        windlass: {checksums: {other.yml: 0000000000000000000000000000000000000000000000000000000000000000}}\n";
    let lab = lab("includes", more).with("shop.yml", SHOP).with("other.yml", SHOP);
    std::fs::create_dir(lab.path("sub")).unwrap();
    let mut lab = lab.with(
        "sub/broken.yml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n---\nkind: ConfigMap\nmetadata: {name: b}\n",
    );
    lab.note("validate");
    lab.note("plan --simulate world.yml");
    lab.compare("includes.out");
}

#[test]
fn manifests_of_a_file_are_applied_and_no_secret_is_shown() {
    let mut lab = lab("included", "addons_include: [shop.yml]\n").with("shop.yml", SHOP);
    assert_eq!(lab.run(&["up", "--simulate", "world.yml"]).status.code(), Some(0));
    lab.edit("shop.yml", "very-private", "more-private");
    lab.note("plan --simulate world.yml");
    let replay =
        lab.run(&["plan", "--simulate", "world.yml", "--save-replay", "replay.json", "--output", "json"]);
    let shown = String::from_utf8(replay.stdout).unwrap() + &lab.read("replay.json");
    // In base64 as well.
    for secret in ["very-private", "more-private", "dmVyeS1wcml2YXRl", "bW9yZS1wcml2YXRl"] {
        assert!(!shown.contains(secret), "{secret}");
    }
    lab.compare("included.out");
}

#[test]
fn a_url_is_fetched_to_plan_and_not_to_validate() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = std::thread::spawn(move || {
        let mut asked = 0;
        for connection in listener.incoming().take(2) {
            let mut connection = connection.unwrap();
            let _ = connection.read(&mut [0; 4096]).unwrap();
            asked += 1;
            let status = if asked == 1 { "200 OK" } else { "404 Not Found" };
            let head =
                format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", SHOP.len());
            connection.write_all((head + SHOP).as_bytes()).unwrap();
        }
    });
    let lab = lab("url", &format!("addons_include: [\"http://{address}/shop.yml\"]\n"));
    let validated = lab.run(&["validate"]);
    assert_eq!(validated.status.code(), Some(0));
    let said = String::from_utf8(validated.stderr).unwrap();
    assert!(said.contains("is not encrypted"), "{said}");
    let planned = lab.run(&["plan", "--simulate", "world.yml"]);
    assert_eq!(planned.status.code(), Some(0), "{}", String::from_utf8_lossy(&planned.stderr));
    assert!(String::from_utf8(planned.stdout).unwrap().contains("Secret shop/till: missing"));
    let refused = lab.run(&["plan", "--simulate", "world.yml"]);
    assert_eq!(refused.status.code(), Some(64));
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(said.contains("cannot be fetched") && said.contains("404"), "{said}");
    server.join().unwrap();
}

#[test]
fn commands_that_look_at_no_object_read_no_file() {
    let lab = lab("unread", "addons_include: [gone.yml]\n");
    assert_eq!(lab.run(&["plan", "--simulate", "world.yml"]).status.code(), Some(64));
    assert_eq!(lab.run(&["remove", "--force", "--simulate", "world.yml"]).status.code(), Some(0));
}

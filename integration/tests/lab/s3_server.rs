//! The lab's S3 server answers the hosts and this machine, can be frozen, stopped and spoilt, and goes with its objects.

use std::path::Path;

use windlass_integration::lab::{Lab, LabError, LabShape, Ran, Run, S3Server};

type Outcome = Result<(), LabError>;

/// The name of an object, with a folder in it.
const NAME: &str = "daily/one.db";
/// What curl ends with where the server refuses, and where no answer comes.
const ERROR_OF_HTTP: Option<i32> = Some(22);
const NO_ANSWER: Option<i32> = Some(28);

#[test]
#[ignore = "needs a lab; see integration/lab/test"]
fn the_lab_has_an_s3_server() -> Outcome {
    let lab = Lab::start(&LabShape::nodes(1))?;
    let server = S3Server::start_beside(&lab)?;
    let directory = tempfile::tempdir().expect("there is room for a small file");
    let (authority, uploaded) = (directory.path().join("ca.pem"), directory.path().join("uploaded"));
    let content = "what is in a snapshot\n".repeat(1000);
    for (path, text) in [(&authority, &server.authority), (&uploaded, &content)] {
        std::fs::write(path, text).expect("there is room for a small file");
    }
    let get = || curl(&server, &authority, S3Server::SECRET_KEY, &[]);

    eprintln!("hosts reach it, and trust it by its authority alone");
    let node = lab.node(1);
    node.write_file("/tmp/s3-ca.pem", &server.authority)?;
    let address = server.endpoint.split(':').next().unwrap_or_default();
    let shake_hands = format!(
        "openssl s_client -connect {} -verify_ip {address} -verify_return_error </dev/null",
        server.endpoint
    );
    assert!(!node.ssh(&shake_hands)?.is_success());
    let shaken = node.ssh(&shake_hands.replace("-verify_ip", "-CAfile /tmp/s3-ca.pem -verify_ip"))?;
    assert!(shaken.is_success(), "{}{}", shaken.stdout, shaken.stderr);

    eprintln!("an object comes back as it was put");
    assert_eq!(server.objects()?, [""; 0]);
    assert_eq!(get()?.code, ERROR_OF_HTTP);
    let put = ["--upload-file", uploaded.to_str().expect("a path of ASCII")];
    assert_eq!(curl(&server, &authority, "another-secret", &put)?.code, ERROR_OF_HTTP);
    let done = curl(&server, &authority, S3Server::SECRET_KEY, &put)?;
    assert!(done.is_success(), "{}", done.stderr);
    assert_eq!(server.objects()?, [NAME]);
    assert_eq!(get()?.stdout, content);

    eprintln!("paused, it does not answer; stopped, it is not there");
    server.pause()?;
    assert_eq!(get()?.code, NO_ANSWER);
    assert_eq!(server.objects()?, [NAME]);
    server.resume()?;
    assert_eq!(get()?.stdout, content);
    server.stop()?;
    assert!(!get()?.is_success());
    assert_eq!(server.objects()?, [NAME]);
    server.start()?;
    assert_eq!(get()?.stdout, content);

    eprintln!("a damaged object has its length and other bytes");
    assert!(server.damage("daily/two.db").is_err());
    server.damage(NAME)?;
    let damaged = get()?;
    assert!(damaged.is_success(), "{}", damaged.stderr);
    assert_eq!(damaged.stdout.len(), content.len());
    assert_ne!(damaged.stdout, content);

    drop(server);
    let left = format!("name={}-s3-server", lab.name());
    assert_eq!(Run::new("docker", ["ps", "--all", "--quiet", "--filter", &left]).output()?, "");
    Ok(())
}

/// Asks for the object with this secret key, or what the arguments say, from this machine: hosts have no curl.
fn curl(server: &S3Server, authority: &Path, secret_key: &str, arguments: &[&str]) -> Result<Ran, LabError> {
    let url = format!("https://{}/{}/{NAME}", server.endpoint, S3Server::BUCKET);
    let (user, authority) = (format!("{}:{secret_key}", S3Server::ACCESS_KEY), authority.to_string_lossy());
    let signature = format!("aws:amz:{}:s3", S3Server::REGION);
    let own =
        ["--silent", "--show-error", "--fail", "--max-time", "5", "--noproxy", "*", "--cacert", &authority];
    let signed =
        ["--aws-sigv4", &signature, "--user", &user, "--header", "x-amz-content-sha256: UNSIGNED-PAYLOAD"];
    Run::new("curl", own.iter().chain(&signed).chain(arguments).chain([&url.as_str()])).ran()
}

//! An S3 server beside the hosts: versitygw, which keeps each object as a file.

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::{Authority, Lab, LabError, Run, S3Place, await_that, docker, is_kept};

/// versitygw's own; since it is not that of HTTPS, clients must send and sign it as part of the host.
const PORT: u16 = 7070;
/// The directory of buckets in the container, on a volume of its own.
const DATA: &str = "/data";

/// A running S3 server with one bucket, which speaks HTTPS alone. Dropping it removes it with its objects.
///
/// # Guarantees
/// The lab's hosts and this machine reach it by its address; nothing else does. Its certificate is for that
/// address and by an authority of its own, which no host knows. It keeps the address and the objects when it is
/// stopped and started.
#[derive(Debug)]
pub struct S3Server {
    /// Address and port: `172.30.0.4:7070`.
    pub endpoint: String,
    /// The authority of its certificate, in PEM.
    pub authority: String,
    container: String,
    image: String,
}

impl S3Server {
    /// The access key of the bucket's owner.
    pub const ACCESS_KEY: &str = "LABACCESSKEY";
    /// Its secret: worth nothing outside a lab, and easily found where it should not be.
    pub const SECRET_KEY: &str = "lab-secret-key-of-the-s3-server";
    /// The region in which requests are signed.
    pub const REGION: &str = "lab-1";
    /// The bucket, empty at first.
    pub const BUCKET: &str = "snapshots";

    /// Starts one beside the hosts, and waits until it listens.
    ///
    /// # Errors
    /// It cannot be started, or the lab has one already.
    ///
    /// # Panics
    /// The lab's era has no S3 server.
    pub fn start_beside(lab: &Lab) -> Result<Self, LabError> {
        let S3Place { address, image } =
            lab.described.s3_server.as_ref().expect("the lab of today has an S3 server");
        let authority = Authority::new("s3-server-ca")?;
        let issued = authority.issue("s3-server", &[address])?;
        let container = format!("{}-s3-server", lab.name());

        let label = format!("windlass.lab={}", lab.name());
        let access_key = format!("ROOT_ACCESS_KEY={}", Self::ACCESS_KEY);
        let secret_key = format!("ROOT_SECRET_KEY={}", Self::SECRET_KEY);
        // Every directory in that of buckets is one.
        let serve = format!(
            "mkdir -p {DATA}/{} && exec versitygw --port :{PORT} --region {} --cert /etc/s3.crt --key /etc/s3.key \
             posix {DATA}",
            Self::BUCKET,
            Self::REGION
        );
        let place = ["--network", lab.name(), "--ip", address, "--label", &label, "--volume", DATA];
        let keys = ["--env", &access_key, "--env", &secret_key];
        let command = [image, "sh", "-c", &serve];
        docker(["create", "--name", &container].into_iter().chain(place).chain(keys).chain(command))?;
        // From here on it is removed where something fails.
        let own = Self {
            endpoint: format!("{address}:{PORT}"),
            authority: authority.certificate().to_owned(),
            container,
            image: image.clone(),
        };
        lab.write_into(&own.container, "/etc/s3.crt", &issued.certificate)?;
        lab.write_into(&own.container, "/etc/s3.key", &issued.key)?;
        own.start()?;
        Ok(own)
    }

    /// Stops it: its address is gone, so callers wait and are not refused, as with a host that is off.
    ///
    /// # Errors
    /// Docker refuses.
    pub fn stop(&self) -> Result<(), LabError> {
        docker(["stop", "--time", "2", &self.container])
    }

    /// Starts it again, and waits until it listens.
    ///
    /// # Errors
    /// Docker refuses, or it does not listen within half a minute.
    pub fn start(&self) -> Result<(), LabError> {
        docker(["start", &self.container])?;
        let address: SocketAddr = self.endpoint.parse().expect("it is an address of the lab with a port");
        await_that("the S3 server listens", Duration::from_secs(30), || {
            Ok(TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok())
        })
        .map(|_| ())
    }

    /// Freezes it: connections are made and stay open, and no request is answered.
    ///
    /// # Errors
    /// Docker refuses.
    pub fn pause(&self) -> Result<(), LabError> {
        docker(["pause", &self.container])
    }

    /// It continues, and answers what was asked meanwhile.
    ///
    /// # Errors
    /// Docker refuses.
    pub fn resume(&self) -> Result<(), LabError> {
        docker(["unpause", &self.container])
    }

    /// Stops it at once, as a power failure does: what it was doing has no end.
    ///
    /// # Errors
    /// Docker refuses.
    pub fn kill(&self) -> Result<(), LabError> {
        docker(["kill", &self.container])
    }

    /// Gives it a small part of a core, so that an upload of some megabytes takes seconds.
    ///
    /// # Errors
    /// Docker refuses.
    pub fn slow_down(&self) -> Result<(), LabError> {
        docker(["update", "--cpu-period", "100000", "--cpu-quota", "8000", &self.container])
    }

    /// It is as fast again as the machine is.
    ///
    /// # Errors
    /// Docker refuses.
    pub fn hurry(&self) -> Result<(), LabError> {
        docker(["update", "--cpu-quota", "-1", &self.container])
    }

    /// Waits until it has the first part of an upload of which more is to come.
    ///
    /// # Errors
    /// None comes within a minute.
    pub fn await_part(&self) -> Result<Duration, LabError> {
        let parts = "busybox find .sgwtmp -type f -size +1000k 2>/dev/null || true";
        await_that("a part of an upload has arrived", Duration::from_secs(60), || {
            Ok(!self.within(parts)?.is_empty())
        })
    }

    /// A command of the shell in the bucket's directory, in its own container.
    fn within(&self, script: &str) -> Result<String, LabError> {
        let directory = format!("{DATA}/{}", Self::BUCKET);
        let place = ["exec", "--workdir", &directory, &self.container];
        Run::new("docker", place.into_iter().chain(["sh", "-euc", script])).output()
    }

    /// The names of all objects in the bucket, sorted, whether it runs or not.
    ///
    /// # Errors
    /// Docker refuses.
    pub fn objects(&self) -> Result<Vec<String>, LabError> {
        // Uploads that are not complete are in a directory of the server's.
        let files = self.beside_its_data("busybox find . -type f ! -path './.sgwtmp/*'", &[])?;
        let mut names: Vec<String> =
            files.lines().filter_map(|line| line.strip_prefix("./")).map(str::to_owned).collect();
        names.sort();
        Ok(names)
    }

    /// Overwrites some bytes in the middle of an object. Its length stays, and what the server tells of it.
    ///
    /// # Errors
    /// There is no such object, or it is shorter than 16 bytes.
    pub fn damage(&self, name: &str) -> Result<(), LabError> {
        let script = "size=$(busybox stat -c %s \"$1\") && [ \"$size\" -ge 16 ] &&
            printf damaged | busybox dd of=\"$1\" bs=1 seek=$((size / 2)) conv=notrunc";
        self.beside_its_data(script, &[name]).map(|_| ())
    }

    /// A command of the shell in the bucket's directory, in a container of its own: nothing can be run in one that
    /// is stopped or paused.
    fn beside_its_data(&self, script: &str, arguments: &[&str]) -> Result<String, LabError> {
        let directory = format!("{DATA}/{}", Self::BUCKET);
        let container =
            ["run", "--rm", "--network", "none", "--volumes-from", &self.container, "--workdir", &directory];
        let shell = [self.image.as_str(), "sh", "-euc", script, "sh"];
        Run::new("docker", container.into_iter().chain(shell).chain(arguments.iter().copied())).output()
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        if !is_kept() {
            // An error cannot be reported here; what is left over goes with the lab.
            let _ = docker(["rm", "--force", "--volumes", &self.container]);
        }
    }
}

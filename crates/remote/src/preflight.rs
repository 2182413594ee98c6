//! The input of a preflight of a machine, read by one script that any user may run and that changes nothing.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use bollard::models::SystemInfo;
use windlass_engine::{LookScope, PortResult};
use windlass_model::{ContainerdCri, CriDockerd, FilePath, HostReport, Meeting, NodeName, Selinux, Swap};

use crate::link::{Link, quoted};

/// One line for each fact: a word, a blank, and the rest. It uses as few processes as possible, since it runs
/// at every look.
///
/// Listening ports are read from `ss`, since the files list every connection of the machine; but not every
/// machine has `ss`.
///
/// A module is loadable where the kernel accepts any, the machine is not one that runs in a user namespace
/// or lacks `CAP_SYS_MODULE` (16) from its first process on, and modprobe would insert it, and not do
/// something else instead.
const SCRIPT: &str = r#"
export LC_ALL=C PATH="$PATH:/usr/sbin:/sbin"
one() { [ -r "$2" ] && read -r v < "$2" && echo "$1 $v"; }
one hostname /proc/sys/kernel/hostname
one machine /etc/machine-id
one kernel /proc/sys/kernel/osrelease
test -s /run/systemd/resolve/resolv.conf && echo resolved
s=; while read -r f _; do case $f in Filename*) ;; *) s=on;; esac; done < /proc/swaps; echo "swap $s"
cd /sys/module && printf 'module %s\n' *
read -r _ _ r _ < /proc/version
cd /proc/sys && grep -sE '^-?[0-9]+$|/(br_netfilter|overlay|ip_tables|nf_conntrack|vxlan|ip_vs)\.ko' \
  net/bridge/bridge-nf-call-iptables net/bridge/bridge-nf-call-ip6tables net/ipv4/ip_forward \
  net/ipv6/conf/all/forwarding net/ipv4/conf/all/rp_filter vm/overcommit_memory vm/panic_on_oom kernel/panic \
  kernel/panic_on_oops kernel/keys/root_maxkeys kernel/keys/root_maxbytes fs/inotify/max_user_instances \
  fs/inotify/max_user_watches "/lib/modules/$r/modules.builtin"
ss -Hltn 2> /dev/null || grep -sE '^ *[0-9]+: [0-9A-F]+:[0-9A-F]{4} 0+:0000 0A ' /proc/net/tcp /proc/net/tcp6
b=br_netfilter
[ -d /sys/module/$b ] || {
  read -r d 2> /dev/null < /proc/sys/kernel/modules_disabled; read -r _ _ n < /proc/self/uid_map
  c=; while read -r k v; do [ "$k" != CapBnd: ] || c=$v; done 2> /dev/null < /proc/1/status
  [ "$d" != 1 ] && [ "$n" = 4294967295 ] && [ $((0x${c:-0} >> 16 & 1)) = 1 ] &&
    modprobe -D $b 2> /dev/null | grep -q "^insmod .*/$b\.ko" && echo "loadable $b"
}
if command -v ip > /dev/null; then ip -o addr; else for a in $(hostname -I); do echo "- - inet $a"; done; fi
if [ -e /sys/fs/cgroup/cgroup.controllers ]; then echo "cgroup 2"; elif [ -d /sys/fs/cgroup ]; then echo "cgroup 1"; fi
if [ ! -S /run/containerd/containerd.sock ]; then echo "containerd absent"
elif grep -qsE '^ *disabled_plugins *=.*"(io\.containerd\.grpc\.v1\.)?cri"' /etc/containerd/config.toml; then echo "containerd off"
else echo "containerd serves"; fi
if [ -S /var/run/cri-dockerd.sock ]; then echo "cri-dockerd listens"; else echo "cri-dockerd absent"; fi
stat -f -c 'free %a %S %n' "$@" 2> /dev/null
"#;

/// The time, first and last: its middle is the middle of the whole script, however long that takes.
const CLOCK: &str = "
date '+clock %s.%N'
";

/// Reports an address that cannot be reached. A refused connection has reached it: nothing listens there yet.
const MEET: &str = r#"
meet() {
  o=$(timeout 2 bash -c "< /dev/tcp/$1/$2" 2>&1); s=$?
  case "$s $o" in
    0*|*refused*) ;;
    124*) echo "unreached $1 $2 no answer within 2 s" ;;
    *) echo "unreached $1 $2 ${o##*: }" ;;
  esac
}
"#;

/// Kernel modules that matter to Kubernetes.
const MODULES: [&str; 14] = [
    "br_netfilter",
    "overlay",
    "ip_tables",
    "iptable_nat",
    "iptable_filter",
    "nf_conntrack",
    "nf_nat",
    "xt_conntrack",
    "xt_comment",
    "xt_MASQUERADE",
    "veth",
    "bridge",
    "vxlan",
    "ip_vs",
];

/// Directories where much is written.
const DIRECTORIES: [&str; 6] =
    ["/", "/var/lib", "/var/lib/docker", "/var/lib/etcd", "/var/lib/kubelet", "/opt"];

/// The script's report about a machine, with the time of its end.
pub(crate) struct Reported {
    text: String,
    /// The middle between its beginning and end, in milliseconds by this machine's clock.
    when: u64,
}

/// Runs the script on a machine.
pub(crate) async fn ask(link: &Link, scope: &LookScope) -> PortResult<Reported> {
    let before = milliseconds();
    let text = link.run(&script(&link.node, scope)).await?;
    Ok(Reported { text, when: u64::midpoint(before, milliseconds()) })
}

fn script(node: &NodeName, scope: &LookScope) -> String {
    let mut script = format!("{CLOCK}set --");
    let parents = |path| std::iter::successors(Some(path), |path: &&str| Some(path.rsplit_once('/')?.0));
    let of_etcd: Vec<FilePath> = scope
        .footprints
        .all()
        .flat_map(|footprint| [footprint.etcd_data.clone()].into_iter().chain(footprint.etcd_log.clone()))
        .collect();
    let of_etcd = of_etcd.iter().flat_map(|path| parents(path.as_str()));
    let directories: BTreeSet<&str> =
        of_etcd.filter(|path| path.starts_with('/')).chain(DIRECTORIES).collect();
    for directory in directories {
        script.push(' ');
        script.push_str(&quoted(directory));
    }
    script.push_str(SCRIPT);
    let meetings = scope.meetings_of(node);
    let ledgers = scope.footprints.all().map(|footprint| footprint.ledger.as_str());
    let ours = ledgers.filter_map(|ledger| ledger.rsplitn(3, '/').last().filter(|ours| !ours.is_empty()));
    let absent: Vec<String> = ours.map(|ours| format!("[ ! -e {} ] && ", quoted(ours))).collect();
    let absent = absent.concat();
    if !meetings.is_empty() && !absent.is_empty() {
        // A node of a cluster has shown that it reaches the others.
        let _ = writeln!(script, "{MEET}if {absent}command -v bash timeout > /dev/null; then");
        for Meeting { address, port } in meetings {
            let _ = writeln!(script, "meet {} {port} &", quoted(address.trim_matches(['[', ']'])));
        }
        script.push_str("wait; fi\n");
    }
    script.push_str(CLOCK);
    script
}

fn containerd(said: &str) -> Option<ContainerdCri> {
    match said {
        "serves" => Some(ContainerdCri::Serves),
        "off" => Some(ContainerdCri::Off),
        "absent" => Some(ContainerdCri::Absent),
        _ => None,
    }
}

fn milliseconds() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

impl Reported {
    /// The file with the real name servers.
    pub(crate) fn resolv_conf(&self) -> FilePath {
        let is_resolved = self.text.lines().any(|line| line == "resolved");
        FilePath::from(if is_resolved { "/run/systemd/resolve/resolv.conf" } else { "/etc/resolv.conf" })
    }

    /// The input of a preflight, together with what Docker reports about itself.
    pub(crate) fn report(&self, info: &SystemInfo) -> HostReport {
        report(&self.text, info, self.when)
    }
}

/// Parses the output of the script and Docker's report; `now` is this machine's clock in milliseconds.
fn report(reported: &str, info: &SystemInfo, now: u64) -> HostReport {
    let mut report = HostReport {
        docker: info.server_version.clone().unwrap_or_default(),
        // As `uname -m` prints it
        // (https://github.com/moby/moby/blob/v20.10.24/pkg/platform/architecture_unix.go).
        architecture: info.architecture.clone().unwrap_or_default(),
        memory: info.mem_total.and_then(|bytes| u64::try_from(bytes).ok()),
        program: std::env::consts::ARCH.to_owned(),
        selinux: if has_selinux(info) { Selinux::On } else { Selinux::Off },
        ..HostReport::default()
    };
    let mut clocks: Vec<i64> = Vec::new();
    for line in reported.lines() {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "hostname" => rest.clone_into(&mut report.hostname),
            "machine" => rest.clone_into(&mut report.machine_id),
            "kernel" => rest.clone_into(&mut report.kernel),
            "swap" => report.swap = if rest == "on" { Swap::On } else { Swap::Off },
            "cgroup" => report.cgroup = rest.parse().ok(),
            "containerd" => report.containerd = containerd(rest),
            "cri-dockerd" if rest == "listens" => report.cri_dockerd = Some(CriDockerd::Listens),
            "cri-dockerd" if rest == "absent" => report.cri_dockerd = Some(CriDockerd::Absent),
            "loadable" if MODULES.contains(&rest) => drop(report.loadable.insert(Arc::from(rest))),
            "module" if MODULES.contains(&rest) => drop(report.modules.insert(Arc::from(rest))),
            "free" => report.free.extend(free(rest)),
            "clock" => clocks.extend(milliseconds_of(rest)),
            "unreached" => report.unreached.extend(unreached(rest)),
            _ => understand_foreign(line, &mut report),
        }
    }
    if let (Some(first), Some(last), Ok(now)) = (clocks.first(), clocks.last(), i64::try_from(now)) {
        // To the nearest second.
        report.clock_ahead_seconds = (i64::midpoint(*first, *last) - now + 500).div_euclid(1_000);
    }
    report
}

/// Whether Docker runs with `selinux-enabled`: `name=selinux` is among its security options then.
fn has_selinux(info: &SystemInfo) -> bool {
    let options = info.security_options.iter().flatten();
    options.flat_map(|option| option.split(',')).any(|option| option == "name=selinux")
}

/// `ADDRESS PORT CAUSE`: an address that was not reached.
fn unreached(rest: &str) -> Option<(Meeting, Arc<str>)> {
    let mut words = rest.splitn(3, ' ');
    let (address, port) = (words.next()?.to_owned(), words.next()?.parse().ok()?);
    Some((Meeting { address, port }, Arc::from(words.next()?)))
}

/// Lines of other programs: addresses, and the contents of kernel files.
fn understand_foreign(line: &str, report: &mut HostReport) {
    let words: Vec<&str> = line.split_whitespace().collect();
    match words.as_slice() {
        // 2: eth0    inet 10.0.0.1/24 brd …
        [_, _, "inet" | "inet6", place, ..] => {
            report.addresses.extend(address(place.split('/').next().unwrap_or(place)));
            return;
        }
        // LISTEN 0      4096             [::]:22             [::]:*
        ["LISTEN", _, _, local, ..] => {
            report.listening.extend(local.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok()));
            return;
        }
        _ => {}
    }
    let Some((file, said)) = line.split_once(':') else { return };
    if file.starts_with("/proc/net/") {
        // /proc/net/tcp:   0: 00000000:0016 00000000:0000 0A …
        let local = said.split_whitespace().nth(1).and_then(|local| local.rsplit_once(':'));
        report.listening.extend(local.and_then(|(_, port)| u16::from_str_radix(port, 16).ok()));
    } else if file.starts_with('/') {
        // /lib/modules/6.1.0-18-amd64/modules.builtin:kernel/net/bridge/br_netfilter.ko
        let name = said.rsplit('/').next().and_then(|file| file.strip_suffix(".ko"));
        report.modules.extend(name.filter(|name| MODULES.contains(name)).map(Arc::from));
    } else {
        // net/ipv4/ip_forward:1
        report.sysctls.insert(file.replace('/', ".").into(), said.into());
    }
}

/// `BLOCKS SIZE PATH`: how many blocks of which size are free under a path.
fn free(rest: &str) -> Option<(FilePath, u64)> {
    let mut words = rest.splitn(3, ' ');
    let (blocks, size) = (words.next()?.parse::<u64>().ok()?, words.next()?.parse::<u64>().ok()?);
    Some((FilePath::from(words.next()?), blocks.saturating_mul(size)))
}

/// `1700000060.123456789` in milliseconds; `1700000060.N` where `date` knows no nanoseconds.
fn milliseconds_of(text: &str) -> Option<i64> {
    let (seconds, rest) = text.split_once('.').unwrap_or((text, "0"));
    let thousandths: i64 = rest.get(..3).unwrap_or("0").parse().ok()?;
    Some(seconds.parse::<i64>().ok()? * 1_000 + thousandths)
}

/// An address that others may use: neither loopback nor link-local.
fn address(text: &str) -> Option<IpAddr> {
    let address: IpAddr = text.parse().ok()?;
    let is_of_link = match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    };
    (!address.is_loopback() && !is_of_link).then_some(address)
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::sync::Arc;

    use windlass_model::{Footprint, Footprints};

    use super::*;

    const REPORTED: &str = "\
hostname node-1
machine 0123456789abcdef
kernel 6.1.0-18-amd64
resolved
swap on
net/ipv4/ip_forward:1
module overlay
module snd
loadable ip_vs
/lib/modules/6.1.0-18-amd64/modules.builtin:kernel/net/bridge/br_netfilter.ko
LISTEN 0      4096            [::]:2380            [::]:*
/proc/net/tcp:   0: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 19563 1
/proc/net/tcp6:   1: 00000000000000000000000000000000:192B 00000000000000000000000000000000:0000 0A 00000000:00000000
/proc/net/tcp6:   1: 00000000000000000000000000000000:0016 00000000000000000000000000000000:0000 0A 00000000:00000000
1: lo    inet 127.0.0.1/8 scope host lo
2: eth0    inet 10.0.0.1/24 brd 10.0.0.255 scope global eth0
2: eth0    inet6 fe80::1/64 scope link
2: eth0    inet6 fd00::1/64 scope global
cgroup 2
containerd off
cri-dockerd absent
free 256 4096 /
clock 1700000058.123456789
unreached 10.0.0.9 2380 No route to host
clock 1700000062.123456789
";

    #[test]
    fn what_the_script_says_is_understood() {
        let info = SystemInfo {
            server_version: Some("20.10.24".to_owned()),
            mem_total: Some(4_096),
            security_options: Some(vec![
                "name=seccomp,profile=default".to_owned(),
                "name=selinux".to_owned(),
            ]),
            architecture: Some("x86_64".to_owned()),
            ..SystemInfo::default()
        };
        let report = report(REPORTED, &info, 1_700_000_000_000);
        let wanted = HostReport {
            hostname: "node-1".to_owned(),
            machine_id: "0123456789abcdef".to_owned(),
            architecture: "x86_64".to_owned(),
            program: std::env::consts::ARCH.to_owned(),
            kernel: "6.1.0-18-amd64".to_owned(),
            docker: "20.10.24".to_owned(),
            selinux: Selinux::On,
            clock_ahead_seconds: 60,
            addresses: ["10.0.0.1", "fd00::1"].map(|text| text.parse().unwrap()).into(),
            listening: [22, 2380, 6443].into(),
            swap: Swap::On,
            sysctls: [("net.ipv4.ip_forward".into(), "1".into())].into(),
            modules: ["br_netfilter".into(), "overlay".into()].into(),
            loadable: ["ip_vs".into()].into(),
            cgroup: Some(2),
            containerd: Some(ContainerdCri::Off),
            cri_dockerd: Some(CriDockerd::Absent),
            memory: Some(4_096),
            free: [("/".into(), 1_048_576)].into(),
            unreached: [(meeting("10.0.0.9", 2380), "No route to host".into())].into(),
        };
        assert_eq!(report, wanted);
    }

    #[test]
    fn a_clock_without_nanoseconds_is_read_to_the_second() {
        for (reported, wanted) in
            [("1700000060.9", 1_700_000_060_000), ("1700000060.9871", 1_700_000_060_987)]
        {
            assert_eq!(milliseconds_of(reported), Some(wanted));
        }
        for reported in ["1700000060.N", "1700000060.%N", "1700000060."] {
            assert_eq!(milliseconds_of(reported), Some(1_700_000_060_000), "{reported}");
        }
    }

    fn meeting(address: &str, port: u16) -> Meeting {
        Meeting { address: address.to_owned(), port }
    }

    #[test]
    fn who_is_refused_has_reached_the_other_and_who_finds_no_way_has_not() {
        // Nothing listens at port 1; no connection to the broadcast address is possible.
        let script = format!("{MEET}meet 127.0.0.1 1 & meet 255.255.255.255 2380 & wait");
        let output = Command::new("sh").arg("-c").arg(script).output().unwrap();
        let reported = report(&String::from_utf8(output.stdout).unwrap(), &SystemInfo::default(), 0);
        assert!(reported.unreached.keys().eq(&[meeting("255.255.255.255", 2380)]), "{reported:?}");
    }

    #[test]
    fn the_script_runs_wherever_there_is_a_shell() {
        let ordinary = Footprint { etcd_data: "/nowhere/x".into(), ..Footprint::default() };
        let footprints = Footprints { ordinary, ..Footprints::default() };
        let script = script(
            &NodeName::from("n"),
            &LookScope { footprints: Arc::new(footprints), ..LookScope::default() },
        );
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        for missing in ["", "ss() { false; }"] {
            let output = Command::new("sh").arg("-c").arg(format!("{missing}\n{script}")).output().unwrap();
            let reported = Reported { text: String::from_utf8(output.stdout).unwrap(), when: milliseconds() };
            let report = reported.report(&SystemInfo::default());
            assert!(output.status.success());
            assert!(!report.hostname.is_empty() && !report.kernel.is_empty());
            assert!(report.sysctls.contains_key("net.ipv4.ip_forward"), "{:?}", report.sysctls);
            assert!(report.listening.contains(&listener.local_addr().unwrap().port()), "{missing}");
            assert!(report.free.contains_key("/") && !report.free.contains_key("/nowhere"));
            assert!(report.clock_ahead_seconds.abs() < 5);
        }
    }
}

//! What a preflight must know of a machine, told by one script that any user may run and that changes nothing.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use bollard::models::SystemInfo;
use windlass_engine::{Clock as _, PortResult};
use windlass_model::{FilePath, HostReport, NodeName, Swap};

use crate::clock::SystemClock;
use crate::docker::ASK_WITHIN;
use crate::fleet::RemoteFleet;

/// One line a fact: a word, a blank, and the rest.
const SCRIPT: &str = r#"
one() { [ -r "$2" ] && read -r v < "$2" && echo "$1 $v"; }
one hostname /proc/sys/kernel/hostname
one machine /etc/machine-id
one kernel /proc/sys/kernel/osrelease
echo "arch $(uname -m)"
echo "clock $(date +%s)"
[ "$(wc -l < /proc/swaps)" -gt 1 ] && echo "swap on"
for s in net.bridge.bridge-nf-call-iptables net.bridge.bridge-nf-call-ip6tables net.ipv4.ip_forward \
  net.ipv6.conf.all.forwarding net.ipv4.conf.all.rp_filter vm.overcommit_memory vm.panic_on_oom kernel.panic \
  kernel.panic_on_oops fs.inotify.max_user_instances fs.inotify.max_user_watches; do
  one "sysctl $s" "/proc/sys/$(echo "$s" | tr . /)"
done
b=/lib/modules/$(uname -r)/modules.builtin
for m in br_netfilter overlay ip_tables iptable_nat iptable_filter nf_conntrack nf_nat xt_conntrack xt_comment \
  xt_MASQUERADE veth bridge vxlan ip_vs; do
  if [ -d "/sys/module/$m" ] || grep -qs "/$m\.ko" "$b"; then echo "module $m"; fi
done
for f in /proc/net/tcp /proc/net/tcp6; do
  [ -r $f ] && while read -r _ l _ s _; do [ "$s" = 0A ] && echo "port ${l##*:}"; done < $f
done
if command -v ip > /dev/null; then ip -o addr | while read -r _ _ k a _; do
  case $k in inet|inet6) echo "address ${a%%/*}";; esac; done
else for a in $(hostname -I); do echo "address $a"; done; fi
if [ -e /sys/fs/cgroup/cgroup.controllers ]; then echo "cgroup 2"; elif [ -d /sys/fs/cgroup ]; then echo "cgroup 1"; fi
for d in / /var/lib/docker /var/lib/etcd /var/lib/kubelet /opt; do
  [ -d $d ] && df -Pk $d 2> /dev/null | tail -n 1 | { read -r _ _ _ k _; echo "free $d $k"; }
done
true
"#;

impl RemoteFleet {
    /// What a preflight must know of a machine. Changes nothing.
    ///
    /// # Errors
    /// The machine is out of sight, or Docker does not answer.
    pub async fn host_report(&self, node: &NodeName) -> PortResult<HostReport> {
        let link = self.link(node).await?;
        let info = async {
            let info = link.call(ASK_WITHIN, link.docker.info()).await;
            info.map_err(|trouble| trouble.of(&link.node, "ask Docker about itself"))
        };
        let (told, info) = tokio::join!(link.run(SCRIPT), info);
        Ok(report(&told?, &info?, SystemClock.now().0))
    }
}

/// Understands what the script and Docker say; `now` is this machine's clock as the script ended.
fn report(told: &str, info: &SystemInfo, now: u64) -> HostReport {
    let mut report = HostReport {
        docker: info.server_version.clone().unwrap_or_default(),
        memory: info.mem_total.and_then(|bytes| u64::try_from(bytes).ok()),
        ..HostReport::default()
    };
    let HostReport { addresses, listening, sysctls, modules, free, .. } = &mut report;
    let (mut of_words, mut clock): (BTreeMap<&str, &str>, Option<i64>) = (BTreeMap::new(), None);
    for line in told.lines() {
        let Some((word, rest)) = line.split_once(' ') else { continue };
        match word {
            "address" => addresses.extend(address(rest)),
            "port" => listening.extend(u16::from_str_radix(rest, 16).ok()),
            "module" => drop(modules.insert(Arc::from(rest))),
            "sysctl" => {
                if let Some((name, value)) = rest.split_once(' ') {
                    sysctls.insert(name.into(), value.replace('\t', " ").into());
                }
            }
            "free" => {
                if let Some((path, kilobytes)) = rest.split_once(' ')
                    && let Ok(kilobytes) = kilobytes.parse::<u64>()
                {
                    free.insert(FilePath::from(path), kilobytes * 1_024);
                }
            }
            "clock" => clock = rest.parse().ok(),
            word => drop(of_words.insert(word, rest)),
        }
    }
    let text = |word: &str| of_words.get(word).map(ToString::to_string).unwrap_or_default();
    report.hostname = text("hostname");
    report.machine_id = text("machine");
    report.architecture = text("arch");
    report.kernel = text("kernel");
    report.swap = if of_words.contains_key("swap") { Swap::On } else { Swap::Off };
    report.cgroup = text("cgroup").parse().ok();
    report.clock_ahead_seconds = clock.map_or(0, |clock| clock - i64::try_from(now).unwrap_or(clock));
    report
}

/// An address that others may use: not the machine's own loop, nor one of a link alone.
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

    use super::*;

    const TOLD: &str = "\
hostname node-1
machine 0123456789abcdef
kernel 6.1.0-18-amd64
arch x86_64
clock 1700000060
swap on
sysctl net.ipv4.ip_forward 1
module overlay
port 0016
port 192B
port 0016
address 127.0.0.1
address 10.0.0.1
address fe80::1
address fd00::1
cgroup 2
free / 1024
";

    #[test]
    fn what_the_script_says_is_understood() {
        let info = SystemInfo {
            server_version: Some("20.10.24".to_owned()),
            mem_total: Some(4_096),
            ..SystemInfo::default()
        };
        let report = report(TOLD, &info, 1_700_000_000);
        let wanted = HostReport {
            hostname: "node-1".to_owned(),
            machine_id: "0123456789abcdef".to_owned(),
            architecture: "x86_64".to_owned(),
            kernel: "6.1.0-18-amd64".to_owned(),
            docker: "20.10.24".to_owned(),
            clock_ahead_seconds: 60,
            addresses: ["10.0.0.1", "fd00::1"].map(|text| text.parse().unwrap()).into(),
            listening: [22, 6443].into(),
            swap: Swap::On,
            sysctls: [("net.ipv4.ip_forward".into(), "1".into())].into(),
            modules: ["overlay".into()].into(),
            cgroup: Some(2),
            memory: Some(4_096),
            free: [("/".into(), 1_048_576)].into(),
        };
        assert_eq!(report, wanted);
    }

    #[test]
    fn the_script_runs_wherever_there_is_a_shell() {
        let output = Command::new("sh").arg("-c").arg(SCRIPT).output().unwrap();
        let told = String::from_utf8(output.stdout).unwrap();
        let report = report(&told, &SystemInfo::default(), SystemClock.now().0);
        assert!(output.status.success());
        assert_eq!(report.architecture, std::env::consts::ARCH);
        assert!(!report.hostname.is_empty() && !report.kernel.is_empty());
        assert!(report.free.contains_key("/"));
        assert!(report.clock_ahead_seconds.abs() < 5);
    }
}

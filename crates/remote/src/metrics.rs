//! The few of a member's metrics that windlass shows, in Prometheus' text format
//! (<https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format>).

use std::collections::BTreeMap;

use windlass_model::{Latency, MemberId};

/// Writing the log: the most important number about a disk for etcd.
const FSYNC: &str = "etcd_disk_wal_fsync_duration_seconds";
/// Writing the database.
const COMMIT: &str = "etcd_disk_backend_commit_duration_seconds";
/// Round trips to other members, which are labelled `To`.
const PEERS: &str = "etcd_network_peer_round_trip_time_seconds";
/// The most that the database may have.
const QUOTA: &str = "etcd_server_quota_backend_bytes";

/// What a member's metrics say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Metrics {
    pub(crate) fsync: Option<Latency>,
    pub(crate) commit: Option<Latency>,
    pub(crate) peers: BTreeMap<MemberId, Latency>,
    pub(crate) quota_bytes: Option<u64>,
}

/// One histogram: the cumulative counts by the upper bounds of its buckets in microseconds.
#[derive(Default)]
struct Histogram {
    buckets: BTreeMap<u64, u64>,
    count: u64,
    sum_micros: u64,
}

impl Histogram {
    fn latency(&self) -> Option<Latency> {
        Latency::of_histogram(&self.buckets, self.count, self.sum_micros)
    }
}

/// Reads them; what is missing, or not understood, is unknown.
pub(crate) fn read(text: &str) -> Metrics {
    let mut histograms: BTreeMap<(&str, Option<MemberId>), Histogram> = BTreeMap::new();
    let mut quota_bytes = None;
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let Some((series, value)) = line.rsplit_once(' ') else { continue };
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        if name == QUOTA {
            quota_bytes = scaled(value, 1.0);
        }
        let Some(histogram) = [FSYNC, COMMIT, PEERS].into_iter().find(|known| name.starts_with(known)) else {
            continue;
        };
        let to = label(labels, "To").and_then(|id| u64::from_str_radix(id, 16).ok()).map(MemberId);
        let histogram_of = histograms.entry((histogram, to)).or_default();
        match &name[histogram.len()..] {
            "_bucket" => {
                // The last bucket, `+Inf`, has the count once more.
                let bound = label(labels, "le").and_then(|bound| scaled(bound, 1e6));
                if let (Some(bound), Some(count)) = (bound, scaled(value, 1.0)) {
                    histogram_of.buckets.insert(bound, count);
                }
            }
            "_count" => histogram_of.count = scaled(value, 1.0).unwrap_or_default(),
            "_sum" => histogram_of.sum_micros = scaled(value, 1e6).unwrap_or_default(),
            _ => {}
        }
    }
    let of = |name| histograms.get(&(name, None)).and_then(Histogram::latency);
    let peers = histograms.iter().filter_map(|((name, to), histogram)| {
        (*name == PEERS).then_some(())?;
        Some(((*to)?, histogram.latency()?))
    });
    Metrics { fsync: of(FSYNC), commit: of(COMMIT), peers: peers.collect(), quota_bytes }
}

/// The value of a label; those that are read here have no quotes in them.
fn label<'t>(labels: &'t str, name: &str) -> Option<&'t str> {
    let (_, rest) = labels.split_once(&format!("{name}=\""))?;
    rest.split_once('"').map(|(value, _)| value)
}

/// A number of Prometheus, scaled and rounded; none if it is not finite or below zero.
fn scaled(text: &str, by: f64) -> Option<u64> {
    let value = text.parse::<f64>().ok()? * by;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is neither negative nor infinite, and what is greater than a u64 becomes the greatest"
    )]
    let whole = value.round() as u64;
    (value.is_finite() && value >= 0.0).then_some(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn histograms_are_read_as_etcd_writes_them() {
        let text = r#"# HELP etcd_disk_wal_fsync_duration_seconds The latency distributions of fsync called by WAL.
# TYPE etcd_disk_wal_fsync_duration_seconds histogram
etcd_disk_wal_fsync_duration_seconds_bucket{le="0.001"} 90
etcd_disk_wal_fsync_duration_seconds_bucket{le="0.002"} 100
etcd_disk_wal_fsync_duration_seconds_bucket{le="+Inf"} 100
etcd_disk_wal_fsync_duration_seconds_sum 0.0612345
etcd_disk_wal_fsync_duration_seconds_count 100
etcd_disk_backend_commit_duration_seconds_count 0
etcd_network_peer_round_trip_time_seconds_bucket{To="8e9e05c52164694d",le="0.0001"} 0
etcd_network_peer_round_trip_time_seconds_bucket{To="8e9e05c52164694d",le="0.0002"} 10
etcd_network_peer_round_trip_time_seconds_bucket{To="8e9e05c52164694d",le="+Inf"} 10
etcd_network_peer_round_trip_time_seconds_sum{To="8e9e05c52164694d"} 1.5e-03
etcd_network_peer_round_trip_time_seconds_count{To="8e9e05c52164694d"} 10
etcd_server_quota_backend_bytes 2.147483648e+09
etcd_server_has_leader 1
"#;
        let metrics = read(text);
        assert_eq!(metrics.fsync, Some(Latency { p99_micros: Some(1_900), average_micros: 612, count: 100 }));
        assert_eq!(metrics.commit, None, "nothing was measured");
        let peer = Latency { p99_micros: Some(200), average_micros: 150, count: 10 };
        assert_eq!(metrics.peers, [(MemberId(0x8e9e_05c5_2164_694d), peer)].into());
        assert_eq!(metrics.quota_bytes, Some(2_147_483_648));
        assert_eq!(read("nonsense\n"), Metrics::default());
    }
}

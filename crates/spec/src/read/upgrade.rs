//! Reads `upgrade_strategy`.

use crate::conform::brief;
use crate::report::Reports;
use crate::spec::{DrainSpec, MaxUnavailable, UpgradeSpec};
use crate::view::View;

pub(super) fn upgrade_strategy(view: View<'_, '_>, reports: &mut Reports<'_>) -> UpgradeSpec {
    let path = view.path.key("node_drain_input");
    let drain = view.section("node_drain_input", &path);
    if drain.integer("timeout").is_some_and(|seconds| seconds < 0) {
        reports
            .warning(
                drain.path.key("timeout"),
                drain.span_of("timeout"),
                "`timeout` is below zero: 120 is taken",
            )
            .help("write for how many seconds a drain may last");
    }
    UpgradeSpec {
        max_unavailable_worker: max_unavailable(view, "max_unavailable_worker", reports),
        max_unavailable_controlplane: max_unavailable(view, "max_unavailable_controlplane", reports),
        drain: view.flag("drain"),
        node_drain_input: DrainSpec {
            force: drain.flag("force"),
            ignore_daemonsets: drain.flag("ignore_daemonsets"),
            delete_local_data: drain.flag("delete_local_data"),
            grace_period: drain.integer("grace_period"),
            timeout: drain.integer("timeout"),
        },
    }
}

fn max_unavailable(view: View<'_, '_>, name: &str, reports: &mut Reports<'_>) -> Option<MaxUnavailable> {
    let text = view.text(name)?;
    let (number, is_percent) = match text.strip_suffix('%') {
        Some(number) => (number, true),
        None => (text, false),
    };
    let summary = match (number.parse::<i64>(), is_percent) {
        (Ok(number), _) if number <= 0 => format!("`{name}` must be more than zero"),
        (Ok(number), true) if number > 100 => {
            reports
                .warning(view.path.key(name), view.span_of(name), format!("`{name}` is more than 100%"))
                .note("all nodes at once, as in RKE 1, and never more than 50")
                .help("write at most `100%`");
            return Some(MaxUnavailable::Percent(100));
        }
        (Ok(number), is_percent) => match u32::try_from(number) {
            Ok(number) if is_percent => return Some(MaxUnavailable::Percent(number)),
            Ok(number) => return Some(MaxUnavailable::Count(number)),
            Err(_) => format!("`{name}` is too large"),
        },
        (Err(_), _) => format!("`{}` is neither a number nor a percentage", brief(text)),
    };
    reports
        .error(view.path.key(name), view.span_of(name), summary)
        .help("write how many nodes may be away at once: a number such as `1`, or a part such as `10%`");
    None
}

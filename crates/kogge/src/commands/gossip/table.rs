//! The fleet as lines for people.

use kogge_net::{AmountReport, CapacityReport, FleetReport, MemberReport};

const NARROW: [&str; 7] =
    ["NAME", "STATE", "HEALTH", "INCARNATION", "HEARD", "ROUND TRIP", "VOUCHED BY"];
const WIDE: [&str; 6] = ["NODES", "FREE CPU", "FREE MEMORY", "VERSION", "CHANGED", "SAID OF IT"];

pub(super) fn table(report: &FleetReport, wide: bool) -> String {
    let mut rows: Vec<Vec<String>> = Vec::new();
    let head = NARROW.iter().chain(WIDE.iter().filter(|_| wide));
    rows.push(head.map(ToString::to_string).collect());
    rows.extend(report.members.iter().map(|it| row(it, report, wide)));
    let columns = rows[0].len();
    let widths: Vec<usize> = (0..columns)
        .map(|at| rows.iter().map(|it| it[at].chars().count()).max().unwrap_or(0))
        .collect();
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(&widths).map(|(it, width)| format!("{it:width$}"));
        text.push_str(cells.collect::<Vec<_>>().join("   ").trim_end());
        text.push('\n');
    }
    text
}

fn row(member: &MemberReport, report: &FleetReport, wide: bool) -> Vec<String> {
    let name = if member.hub { format!("{} (hub)", member.name) } else { member.name.clone() };
    let is_self = member.name == report.from;
    let heard = match member.heard_seconds {
        _ if is_self => "it is asked".to_owned(),
        Some(seconds) => format!("{} ago", age(seconds)),
        None => "by others".to_owned(),
    };
    let round_trip =
        member.round_trip_milliseconds.map_or("-".to_owned(), |it| format!("{it:.1} ms"));
    let vouchers =
        if member.vouchers.is_empty() { "-".to_owned() } else { member.vouchers.join(",") };
    let mut cells = vec![
        name,
        member.state.clone(),
        member.health.clone(),
        member.incarnation.to_string(),
        heard,
        round_trip,
        vouchers,
    ];
    if wide {
        cells.extend(room(member.capacity.as_ref()));
        let links = member.links.iter().map(|it| format!("{}: {}", it.from, words(&it.word)));
        let links: Vec<String> = links.collect();
        cells.push(member.version.to_string());
        cells.push(format!("{} ago", age(member.changed_seconds)));
        cells.push(if links.is_empty() { "-".to_owned() } else { links.join("; ") });
    }
    cells
}

/// Nodes that are ready of all, and what nobody asked for yet.
fn room(capacity: Option<&CapacityReport>) -> [String; 3] {
    let Some(it) = capacity else { return ["-", "-", "-"].map(str::to_owned) };
    let free = |of: AmountReport| of.total.saturating_sub(of.used);
    [
        format!("{}/{}", it.ready_nodes, it.nodes),
        (free(it.milli_cpu) / 1_000).to_string(),
        format!("{} GiB", free(it.memory_mebibytes) / 1_024),
    ]
}

fn words(word: &str) -> &str {
    match word {
        "Down" => "nobody gets through",
        "Cut" => "only others get through",
        "OneWay" => "it is heard, but does not answer",
        "Reached" => "it answers",
        other => other,
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a time since something, in whole units"
)]
fn age(seconds: f64) -> String {
    match seconds {
        s if s < 10.0 => format!("{s:.1}s"),
        s if s < 120.0 => format!("{}s", s as u64),
        s if s < 7_200.0 => format!("{}m", s as u64 / 60),
        s if s < 172_800.0 => format!("{}h", s as u64 / 3_600),
        s => format!("{}d", s as u64 / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kogge_net::LinkReport;

    fn member(name: &str) -> MemberReport {
        MemberReport {
            name: name.to_owned(),
            state: "Alive".to_owned(),
            health: "Serving".to_owned(),
            capacity: None,
            hub: false,
            incarnation: 3,
            version: 7,
            heard_seconds: Some(0.42),
            changed_seconds: 200.0,
            round_trip_milliseconds: Some(0.31),
            vouchers: vec!["eu".to_owned(), "us".to_owned()],
            links: Vec::new(),
        }
    }

    #[test]
    fn the_fleet_is_a_table() {
        let hub = MemberReport {
            hub: true,
            heard_seconds: None,
            round_trip_milliseconds: None,
            vouchers: Vec::new(),
            ..member("hub-1")
        };
        let room = CapacityReport {
            nodes: 4,
            ready_nodes: 3,
            milli_cpu: AmountReport { total: 16_000, used: 4_100 },
            memory_mebibytes: AmountReport { total: 65_536, used: 32_768 },
            pods: AmountReport { total: 440, used: 12 },
            largest_fit: [0; 8],
        };
        let links = vec![LinkReport { from: "us".to_owned(), word: "OneWay".to_owned() }];
        let report = FleetReport {
            from: "hub-1".to_owned(),
            incarnation: 3,
            root: String::new(),
            local_health: 0,
            members: vec![hub, MemberReport { links, capacity: Some(room), ..member("asia") }],
        };
        let narrow = "\
NAME          STATE   HEALTH    INCARNATION   HEARD         ROUND TRIP   VOUCHED BY
hub-1 (hub)   Alive   Serving   3             it is asked   -            -
asia          Alive   Serving   3             0.4s ago      0.3 ms       eu,us
";
        assert_eq!(table(&report, false), narrow);
        let wide = table(&report, true);
        let asia = "3/4     11         32 GiB        7         3m ago    us: it is heard, but does not answer";
        assert!(wide.lines().any(|it| it.ends_with(asia)), "{wide}");
    }
}

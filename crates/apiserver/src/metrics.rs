//! Counts of requests, as Prometheus text.

use std::{
    collections::BTreeMap,
    fmt::Write,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicI64, Ordering::Relaxed},
    },
    time::Duration,
};

/// Upper bounds of the latency buckets, in milliseconds.
const BOUNDS: [u64; 10] = [1, 2, 5, 10, 25, 50, 100, 250, 1000, 10_000];

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Series {
    verb: String,
    group: String,
    resource: String,
    code: u16,
}

#[derive(Debug, Default)]
struct Latency {
    count: u64,
    sum: Duration,
    buckets: [u64; BOUNDS.len()],
}

/// What one server has done.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    requests: Mutex<BTreeMap<Series, Latency>>,
    in_flight: AtomicI64,
    watchers: AtomicI64,
}

/// Counts as long as it lives.
pub(crate) struct Gauge<'a>(&'a AtomicI64);

impl Drop for Gauge<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

impl Metrics {
    pub fn in_flight(&self) -> Gauge<'_> {
        self.in_flight.fetch_add(1, Relaxed);
        Gauge(&self.in_flight)
    }

    pub fn watch_opened(&self) {
        self.watchers.fetch_add(1, Relaxed);
    }

    pub fn watch_closed(&self) {
        self.watchers.fetch_sub(1, Relaxed);
    }

    /// An answered request; of a watch, when its answer began.
    pub fn request(&self, verb: &str, group: &str, resource: &str, code: u16, took: Duration) {
        let series = Series {
            verb: verb.to_uppercase(),
            group: group.into(),
            resource: resource.into(),
            code,
        };
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        let latency = requests.entry(series).or_default();
        latency.count += 1;
        latency.sum += took;
        for (bucket, bound) in latency.buckets.iter_mut().zip(BOUNDS) {
            *bucket += u64::from(took <= Duration::from_millis(bound));
        }
    }

    pub fn text(&self, revision: u64) -> String {
        let mut out = String::new();
        self.write(&mut out, revision).expect("writing to a string cannot fail");
        out
    }

    fn write(&self, out: &mut String, revision: u64) -> std::fmt::Result {
        let requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        writeln!(out, "# TYPE apiserver_request_total counter")?;
        for (series, latency) in requests.iter() {
            writeln!(out, "apiserver_request_total{{{}}} {}", series.labels(), latency.count)?;
        }
        writeln!(out, "# TYPE apiserver_request_duration_seconds histogram")?;
        for (series, latency) in requests.iter() {
            let name = "apiserver_request_duration_seconds";
            let labels = series.labels();
            for (count, bound) in latency.buckets.iter().zip(BOUNDS) {
                let bound = Duration::from_millis(bound).as_secs_f64();
                writeln!(out, "{name}_bucket{{{labels},le=\"{bound}\"}} {count}")?;
            }
            writeln!(out, "{name}_bucket{{{labels},le=\"+Inf\"}} {}", latency.count)?;
            writeln!(out, "{name}_sum{{{labels}}} {}", latency.sum.as_secs_f64())?;
            writeln!(out, "{name}_count{{{labels}}} {}", latency.count)?;
        }
        for (name, value) in [
            ("apiserver_current_inflight_requests", self.in_flight.load(Relaxed)),
            ("apiserver_longrunning_requests", self.watchers.load(Relaxed)),
        ] {
            writeln!(out, "# TYPE {name} gauge\n{name} {value}")?;
        }
        writeln!(out, "# TYPE kogge_store_revision counter\nkogge_store_revision {revision}")
    }
}

impl Series {
    fn labels(&self) -> String {
        let Self { verb, group, resource, code } = self;
        format!("verb=\"{verb}\",group=\"{group}\",resource=\"{resource}\",code=\"{code}\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_by_verb_resource_and_code() {
        let metrics = Metrics::default();
        metrics.request("get", "", "pods", 200, Duration::from_millis(3));
        metrics.request("get", "", "pods", 200, Duration::from_mins(1));
        let labels = "verb=\"GET\",group=\"\",resource=\"pods\",code=\"200\"";
        let text = metrics.text(7);
        for line in [
            format!("apiserver_request_total{{{labels}}} 2"),
            format!("apiserver_request_duration_seconds_bucket{{{labels},le=\"0.005\"}} 1"),
            format!("apiserver_request_duration_seconds_bucket{{{labels},le=\"+Inf\"}} 2"),
            "kogge_store_revision 7".to_owned(),
        ] {
            assert!(text.lines().any(|it| it == line), "{line} is not in\n{text}");
        }
    }
}

//! Numbers of the process, under the names that every Prometheus client gives them.
//!
//! Read from `/proc` when they are asked for. Elsewhere than on Linux there are none.

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{counter::ConstCounter, gauge::ConstGauge},
    registry::Unit,
};

/// What a scrape is answered with as `Content-Type`: the format has types that Prometheus's older
/// text format refuses.
pub const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Collects them; to be registered without a prefix.
#[derive(Clone, Copy, Debug, Default)]
pub struct Process;

struct Numbers {
    cpu_seconds: f64,
    resident_bytes: u64,
    virtual_bytes: u64,
    open_fds: u64,
    max_fds: u64,
    threads: u64,
    started: f64,
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        // What cannot be read now is not there now.
        let Some(numbers) = read() else {
            return Ok(());
        };
        let cpu = ConstCounter::new(numbers.cpu_seconds);
        cpu.encode(encoder.encode_descriptor(
            "process_cpu",
            "Time that the process spent on processors",
            Some(&Unit::Seconds),
            cpu.metric_type(),
        )?)?;
        let mut gauge = |name, help, unit: Option<&Unit>, value: f64| {
            let gauge = ConstGauge::new(value);
            gauge.encode(encoder.encode_descriptor(name, help, unit, gauge.metric_type())?)
        };
        #[expect(
            clippy::cast_precision_loss,
            reason = "sizes and counts are far below 2^52"
        )]
        let number = |n: u64| n as f64;
        let bytes = Some(&Unit::Bytes);
        gauge(
            "process_resident_memory",
            "Memory of the process that is in RAM",
            bytes,
            number(numbers.resident_bytes),
        )?;
        gauge(
            "process_virtual_memory",
            "Address space of the process",
            bytes,
            number(numbers.virtual_bytes),
        )?;
        gauge(
            "process_open_fds",
            "Open file descriptors",
            None,
            number(numbers.open_fds),
        )?;
        gauge(
            "process_max_fds",
            "Most file descriptors that may be open",
            None,
            number(numbers.max_fds),
        )?;
        gauge(
            "process_threads",
            "Threads of the process",
            None,
            number(numbers.threads),
        )?;
        gauge(
            "process_start_time",
            "When the process began, in Unix time",
            Some(&Unit::Seconds),
            numbers.started,
        )
    }
}

#[cfg(target_os = "linux")]
fn read() -> Option<Numbers> {
    use procfs::{CurrentSI as _, process::LimitValue};

    let process = procfs::process::Process::myself().ok()?;
    let stat = process.stat().ok()?;
    let status = process.status().ok()?;
    let max_fds = match process.limits().ok()?.max_open_files.soft_limit {
        LimitValue::Value(most) => most,
        LimitValue::Unlimited => u64::MAX,
    };
    #[expect(
        clippy::cast_precision_loss,
        reason = "ticks and seconds are far below 2^52"
    )]
    let seconds = |ticks: u64| ticks as f64 / procfs::ticks_per_second() as f64;
    #[expect(clippy::cast_precision_loss, reason = "seconds are far below 2^52")]
    let booted = procfs::KernelStats::current().ok()?.btime as f64;
    Some(Numbers {
        cpu_seconds: seconds(stat.utime + stat.stime),
        resident_bytes: status.vmrss.unwrap_or_default() * 1024,
        virtual_bytes: stat.vsize,
        open_fds: process.fd_count().ok()? as u64,
        max_fds,
        threads: status.threads,
        started: booted + seconds(stat.starttime),
    })
}

#[cfg(not(target_os = "linux"))]
fn read() -> Option<Numbers> {
    None
}

#[cfg(test)]
mod tests {
    use prometheus_client::{encoding::text::encode, registry::Registry};

    use super::*;

    #[test]
    fn the_numbers_are_those_of_this_process() {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Process));
        let read = || {
            let mut text = String::new();
            encode(&mut text, &registry).unwrap();
            text
        };
        let number = |name: &str| -> f64 {
            let text = read();
            let line = text
                .lines()
                .find_map(|line| line.strip_prefix(&format!("{name} ")))
                .unwrap_or_else(|| panic!("no {name} in\n{text}"));
            line.parse().unwrap()
        };
        let before = number("process_open_fds");
        let files: Vec<_> = (0..200)
            .map(|_| std::fs::File::open("/dev/null").unwrap())
            .collect();
        // Other tests of this process open and close some too.
        assert!(number("process_open_fds") >= before + 100.0);
        drop(files);
        assert!(number("process_resident_memory_bytes") > 1e6);
        assert!(number("process_virtual_memory_bytes") >= number("process_resident_memory_bytes"));
        assert!(number("process_max_fds") >= before);
        assert!(number("process_threads") >= 1.0);
        assert!(number("process_start_time_seconds") > 1.7e9);
        let begun = number("process_cpu_seconds_total");
        let mut sum = 0_u64;
        while number("process_cpu_seconds_total") < begun + 0.02 {
            sum = (0..100_000).fold(sum, |sum, n| sum.wrapping_mul(31) ^ n);
        }
        assert!(begun >= 0.0, "{sum}");
    }
}

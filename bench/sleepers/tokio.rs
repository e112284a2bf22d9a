//! sleepers with Tokio: SIZE tasks of a JoinSet sleep 1 to 1000 ms each. Lateness in us, median and
//! 99th percentile; processor time; memory.
use knitbench::{args, peak_mb, run};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tokio::time::sleep;

const SPREAD_MS: usize = 1000;
const STRIDE: usize = 7919;

/// Fields 14 and 15 of /proc/self/stat, in ticks of 10 ms.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("stat");
    let after = stat.rsplit(')').next().expect("name");
    let fields: Vec<&str> = after.split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().expect("utime") + fields[12].parse::<u64>().expect("stime");
    ticks as f64 / 100.0
}

async fn sleep_round(n: usize) -> Vec<f64> {
    let mut set: JoinSet<f64> = JoinSet::new();
    for i in 0..n {
        set.spawn(async move {
            let d = Duration::from_millis((1 + i * STRIDE % SPREAD_MS) as u64);
            let start = Instant::now();
            sleep(d).await;
            (start.elapsed().as_nanos() as f64 - d.as_nanos() as f64) / 1000.0
        });
    }
    let mut late = Vec::with_capacity(n);
    while let Some(r) = set.join_next().await {
        late.push(r.expect("join"));
    }
    late
}

fn main() {
    let a = args();
    run(a.threads, async move {
        sleep_round(a.size / 100 + 1).await;
        let cpu = cpu_seconds();
        let mut late = sleep_round(a.size).await;
        let used = cpu_seconds() - cpu;
        late.sort_by(|x, y| x.partial_cmp(y).expect("numbers"));
        println!(
            "{:.1} p99={:.1} cpu={:.3} peak={:.1}",
            late[a.size / 2],
            late[a.size - 1 - a.size / 100],
            used,
            peak_mb()
        );
    });
}

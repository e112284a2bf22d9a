//! parked with Tokio: SIZE tasks wait on one Notify (its channels have one receiver), which then
//! wakes all; twice. Output as knit.c.
use knitbench::{args, ns_per, rss, run};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::Notify;
use tokio::task::{yield_now, JoinSet};

struct Lot {
    gate: Notify,
    arrived: AtomicUsize,
}

async fn waiter(lot: Arc<Lot>) {
    let opened = lot.gate.notified();
    lot.arrived.fetch_add(1, Ordering::SeqCst);
    opened.await;
}

/// Bytes, create ns, wake ns; each per task.
async fn park_round(n: usize) -> (f64, f64, f64) {
    let lot = Arc::new(Lot { gate: Notify::new(), arrived: AtomicUsize::new(0) });
    let before = rss();
    let start = Instant::now();
    let mut set = JoinSet::new();
    for _ in 0..n {
        set.spawn(waiter(lot.clone()));
    }
    while lot.arrived.load(Ordering::SeqCst) < n {
        yield_now().await;
    }
    let create = ns_per(start, n);
    let bytes = (rss() - before) / n as f64;
    let opening = Instant::now();
    lot.gate.notify_waiters();
    while let Some(r) = set.join_next().await {
        r.expect("task");
    }
    (bytes, create, ns_per(opening, n))
}

fn main() {
    let a = args();
    run(a.threads, async move {
        park_round(10).await;
        let (bytes, create, _) = park_round(a.size).await;
        let (_, recycled, wake) = park_round(a.size).await;
        println!("{:.1} create={:.1} recycled={:.1} wake={:.1}", bytes, create, recycled, wake);
    });
}

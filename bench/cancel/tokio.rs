//! cancel with Tokio: SIZE tasks of a JoinSet sleep for an hour, one more fails, and the parent
//! aborts the rest at the first error. Microseconds from the failure until all have been joined;
//! the median of five rounds.
use knitbench::{args, median, run};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::{yield_now, JoinSet};
use tokio::time::sleep;

async fn cancel_round(n: usize) -> f64 {
    let asleep = Arc::new(AtomicUsize::new(0));
    let mut set: JoinSet<Result<(), Instant>> = JoinSet::new();
    for _ in 0..n {
        let asleep = asleep.clone();
        set.spawn(async move {
            asleep.fetch_add(1, Ordering::SeqCst);
            sleep(Duration::from_secs(3600)).await;
            Ok(())
        });
    }
    while asleep.load(Ordering::SeqCst) < n {
        yield_now().await;
    }
    sleep(Duration::from_millis(10)).await;
    set.spawn(async { Err(Instant::now()) });
    let mut failed_at = None;
    while let Some(r) = set.join_next().await {
        if let Ok(Err(at)) = r {
            failed_at = Some(at);
            set.abort_all();
        }
    }
    failed_at.expect("the error").elapsed().as_nanos() as f64 / 1000.0
}

fn main() {
    let a = args();
    run(a.threads, async move {
        cancel_round(a.size).await;
        let mut took = Vec::new();
        for _ in 0..5 {
            took.push(cancel_round(a.size).await);
        }
        println!("{:.1}", median(&mut took));
    });
}

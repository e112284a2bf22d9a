//! limit with Tokio: SIZE no-op tasks in a JoinSet, each holding one of 4 permits of a semaphore
//! that the parent takes before it spawns. ns per task.
use knitbench::{args, ns_per, run};
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

async fn no_op() -> Result<(), i32> {
    Ok(())
}

async fn limit_round(n: usize) {
    let permits = Arc::new(Semaphore::new(4));
    let mut set = JoinSet::new();
    for _ in 0..n {
        let permit = permits.clone().acquire_owned().await.expect("permit");
        set.spawn(async move {
            let r = no_op().await;
            drop(permit);
            r
        });
    }
    while let Some(r) = set.join_next().await {
        r.expect("task").expect("result");
    }
}

fn main() {
    let a = args();
    run(a.threads, async move {
        limit_round(a.size).await;
        let start = Instant::now();
        limit_round(a.size).await;
        println!("{:.3}", ns_per(start, a.size));
    });
}

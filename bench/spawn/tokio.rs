//! spawn with Tokio: SIZE no-op tasks in one JoinSet. ns per task.
use knitbench::{args, ns_per, peak_mb, run};
use std::time::Instant;
use tokio::task::JoinSet;

async fn no_op() -> Result<(), i32> {
    Ok(())
}

async fn spawn_round(n: usize) {
    let mut set = JoinSet::new();
    for _ in 0..n {
        set.spawn(no_op());
    }
    while let Some(r) = set.join_next().await {
        r.expect("task").expect("result");
    }
}

fn main() {
    let a = args();
    run(a.threads, async move {
        spawn_round(a.size).await;
        let start = Instant::now();
        spawn_round(a.size).await;
        let ns = ns_per(start, a.size);
        println!("{:.3} peak={:.1}", ns, peak_mb());
    });
}

//! spawn_thread with Tokio: SIZE no-op tasks in one JoinSet, spawned from main. ns per task.
use knitbench::{args, ns_per, runtime};
use std::time::Instant;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

async fn no_op() -> Result<(), i32> {
    Ok(())
}

fn spawn_round(rt: &Runtime, n: usize) {
    let mut set = JoinSet::new();
    for _ in 0..n {
        set.spawn_on(no_op(), rt.handle());
    }
    rt.block_on(async {
        while let Some(r) = set.join_next().await {
            r.expect("task").expect("result");
        }
    });
}

fn main() {
    let a = args();
    let rt = runtime(a.threads);
    spawn_round(&rt, a.size);
    let start = Instant::now();
    spawn_round(&rt, a.size);
    println!("{:.3}", ns_per(start, a.size));
}

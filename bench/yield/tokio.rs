//! yield with Tokio: two tasks per thread call yield_now, SIZE times in all. ns per yield.
use knitbench::{args, ns_per, run};
use std::time::Instant;
use tokio::task::yield_now;

async fn yield_round(yields: usize, tasks: usize) -> f64 {
    let each = yields / tasks;
    let start = Instant::now();
    let all: Vec<_> = (0..tasks)
        .map(|_| {
            tokio::spawn(async move {
                for _ in 0..each {
                    yield_now().await;
                }
            })
        })
        .collect();
    for task in all {
        task.await.expect("task");
    }
    ns_per(start, each * tasks)
}

fn main() {
    let a = args();
    let tasks = 2 * a.threads;
    run(a.threads, async move {
        yield_round(a.size / 10 + tasks, tasks).await;
        println!("{:.3}", yield_round(a.size, tasks).await);
    });
}

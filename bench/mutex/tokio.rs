//! mutex with Tokio: 100 tasks, SIZE pairs each on one tokio::sync::Mutex. ns per pair.
use knitbench::{args, ns_per, run};
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::Mutex;

const TASKS: usize = 100;

async fn play(rounds: usize) -> f64 {
    let counter = Arc::new(Mutex::new(0usize));
    let start = Instant::now();
    let mut tasks = Vec::new();
    for _ in 0..TASKS {
        let counter = counter.clone();
        tasks.push(tokio::spawn(async move {
            for _ in 0..rounds {
                *counter.lock().await += 1;
            }
        }));
    }
    for task in tasks {
        task.await.expect("task");
    }
    let took = ns_per(start, rounds * TASKS);
    assert_eq!(*counter.lock().await, rounds * TASKS);
    took
}

fn main() {
    let a = args();
    run(a.threads, async move {
        play(a.size / 10 + 1).await;
        println!("{:.3}", play(a.size).await);
    });
}

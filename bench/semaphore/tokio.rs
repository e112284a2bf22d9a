//! semaphore with Tokio: 100 tasks, SIZE pairs each on one tokio::sync::Semaphore, weights 1 to 3 of
//! 8. ns per pair.
use knitbench::{args, ns_per, run};
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::Semaphore;

const TASKS: usize = 100;

async fn play(rounds: usize) -> f64 {
    let permits = Arc::new(Semaphore::new(8));
    let start = Instant::now();
    let mut tasks = Vec::new();
    for _ in 0..TASKS {
        let permits = permits.clone();
        tasks.push(tokio::spawn(async move {
            for i in 0..rounds {
                let n = 1 + (i % 3) as u32;
                drop(permits.acquire_many(n).await.expect("permits"));
            }
        }));
    }
    for task in tasks {
        task.await.expect("task");
    }
    ns_per(start, rounds * TASKS)
}

fn main() {
    let a = args();
    run(a.threads, async move {
        play(a.size / 10 + 1).await;
        println!("{:.3}", play(a.size).await);
    });
}

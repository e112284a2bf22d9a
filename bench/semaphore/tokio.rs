//! semaphore with Tokio: 100 tasks, SIZE pairs each on one tokio::sync::Semaphore, weights 1 to EXTRA
//! of EXTRA + 1; EXTRA 0: one task alone, weight 1. ns per pair.
use knitbench::tasks;
use std::sync::Arc;
use tokio::sync::Semaphore;

async fn play(rounds: usize, heaviest: usize) -> f64 {
    let permits = Arc::new(Semaphore::new(heaviest + 1));
    let n = if heaviest > 0 { 100 } else { 1 };
    tasks(n, rounds * n, || {
        let permits = permits.clone();
        async move {
            for i in 0..rounds {
                let weight = if heaviest > 1 { 1 + (i % heaviest) as u32 } else { 1 };
                drop(permits.acquire_many(weight).await.expect("permits"));
            }
        }
    })
    .await
}

fn main() {
    knitbench::play(0, play);
}

//! rwlock with Tokio: EXTRA tasks, SIZE pairs each on one tokio::sync::RwLock, every 16th for writing.
//! ns per pair.
use knitbench::tasks;
use std::sync::Arc;
use tokio::sync::RwLock;

async fn play(rounds: usize, n: usize) -> f64 {
    let counter = Arc::new(RwLock::new(0usize));
    let took = tasks(n, rounds * n, || {
        let counter = counter.clone();
        async move {
            let mut least = 0;
            for i in 1..=rounds {
                if i % 16 == 0 {
                    *counter.write().await += 1;
                } else {
                    let now = *counter.read().await;
                    assert!(now >= least, "count went back");
                    least = now;
                }
            }
        }
    })
    .await;
    assert_eq!(*counter.read().await, rounds / 16 * n);
    took
}

fn main() {
    knitbench::play(100, play);
}

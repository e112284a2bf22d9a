//! mutex with Tokio: EXTRA tasks, SIZE pairs each on one tokio::sync::Mutex. ns per pair.
use knitbench::tasks;
use std::sync::Arc;
use tokio::sync::Mutex;

async fn play(rounds: usize, n: usize) -> f64 {
    let counter = Arc::new(Mutex::new(0usize));
    let took = tasks(n, rounds * n, || {
        let counter = counter.clone();
        async move {
            for _ in 0..rounds {
                *counter.lock().await += 1;
            }
        }
    })
    .await;
    assert_eq!(*counter.lock().await, rounds * n);
    took
}

fn main() {
    knitbench::play(100, play);
}

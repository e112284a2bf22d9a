//! handoff with Tokio. Problem and output as knit.c: marked is spawn_blocking; what is not marked
//! blocks the worker, there is nothing that notices.
use knitbench::{args, median, runtime, spin, spin_steps};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::task::{spawn_blocking, yield_now, JoinSet};
use tokio::time::sleep;

const HOLD: Duration = Duration::from_millis(50);

async fn round(kind: usize, tasks: usize, steps: usize) -> f64 {
    let began = Arc::new(Mutex::new(Instant::now()));
    let ended = Arc::new(Mutex::new(Instant::now()));
    let left = Arc::new(AtomicUsize::new(tasks));
    let mut set = JoinSet::new();
    sleep(Duration::from_millis(5)).await;
    let at = began.clone();
    set.spawn(async move {
        *at.lock().unwrap() = Instant::now();
        match kind {
            0 => spawn_blocking(|| std::thread::sleep(HOLD)).await.expect("call"),
            1 => std::thread::sleep(HOLD),
            _ => spin(steps),
        }
    });
    yield_now().await;
    for _ in 0..tasks {
        let (left, ended) = (left.clone(), ended.clone());
        set.spawn(async move {
            if left.fetch_sub(1, Ordering::Relaxed) == 1 {
                *ended.lock().unwrap() = Instant::now();
            }
        });
    }
    while let Some(r) = set.join_next().await {
        r.expect("task");
    }
    let (began, ended) = (*began.lock().unwrap(), *ended.lock().unwrap());
    (ended - began).as_nanos() as f64 / 1e3
}

fn main() {
    let a = args();
    let rounds = if a.extra == 0 { 15 } else { a.extra };
    runtime(a.threads).block_on(async move {
        let steps = spin_steps(HOLD);
        let mut middle = Vec::new();
        for kind in 0..3 {
            round(kind, a.size, steps).await;
            let mut took = Vec::new();
            for _ in 0..rounds {
                took.push(round(kind, a.size, steps).await);
            }
            middle.push(median(&mut took));
        }
        println!("{:.1} unmarked={:.1} compute={:.1}", middle[0], middle[1], middle[2]);
    });
}

//! wake with Tokio. Problem and output as knit.c.
use knitbench::{args, median, ns_per, run, spin, spin_steps};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tokio::time::sleep;

async fn work(steps: usize) {
    spin(steps);
}

async fn burst(steps: usize, n: usize) -> f64 {
    sleep(Duration::from_millis(1)).await;
    let start = Instant::now();
    let mut set = JoinSet::new();
    for _ in 0..n {
        set.spawn(work(steps));
    }
    while let Some(r) = set.join_next().await {
        r.expect("task");
    }
    ns_per(start, 1)
}

async fn one_by_one(steps: usize, n: usize) -> f64 {
    sleep(Duration::from_millis(1)).await;
    let start = Instant::now();
    for _ in 0..n {
        work(steps).await;
    }
    ns_per(start, 1)
}

async fn speed_up(each: Duration, n: usize, rounds: usize) -> f64 {
    let steps = spin_steps(each);
    let (mut serial, mut parallel) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        serial.push(one_by_one(steps, n).await);
        parallel.push(burst(steps, n).await);
    }
    median(&mut serial) / median(&mut parallel)
}

fn main() {
    let a = args();
    run(a.threads, async move {
        for _ in 0..10 {
            burst(0, 64).await;
        }
        let mut took = Vec::new();
        for _ in 0..a.size {
            took.push(burst(0, 64).await);
        }
        let x16 = speed_up(Duration::from_micros(10), 16, a.size).await;
        let x4 = speed_up(Duration::from_micros(100), 4, a.size).await;
        println!("{:.0} x16={:.3} x4={:.3}", median(&mut took), x16, x4);
    });
}

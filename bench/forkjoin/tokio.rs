//! forkjoin with Tokio: one spawned task in every call, joined by its handle. ns per spawn.
use knitbench::{args, ns_per, run};
use std::future::Future;
use std::pin::Pin;
use std::time::Instant;

fn fib(n: usize) -> Pin<Box<dyn Future<Output = usize> + Send>> {
    Box::pin(async move {
        if n < 2 {
            return n;
        }
        let child = tokio::spawn(fib(n - 1));
        let b = fib(n - 2).await;
        child.await.expect("task") + b
    })
}

/// How many calls of fib(n) have two halves.
fn spawns(n: usize) -> usize {
    let (mut a, mut b) = (0, 1);
    for _ in 0..=n {
        (a, b) = (b, a + b);
    }
    a - 1
}

fn main() {
    let a = args();
    run(a.threads, async move {
        fib(a.size - 3).await;
        let start = Instant::now();
        fib(a.size).await;
        println!("{:.3}", ns_per(start, spawns(a.size)));
    });
}

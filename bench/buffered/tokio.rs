//! buffered with Tokio: its mpsc channel of capacity 128, which has one receiver only. ns per item.
use knitbench::{args, ns_per, run};
use std::time::Instant;
use tokio::sync::mpsc;

async fn transfer(items: usize) -> f64 {
    let (sender, mut receiver) = mpsc::channel::<i64>(128);
    let start = Instant::now();
    let receiving = tokio::spawn(async move {
        let mut count = 0;
        while receiver.recv().await.is_some() {
            count += 1;
        }
        count
    });
    let sending = tokio::spawn(async move {
        for i in 0..items {
            sender.send(i as i64).await.expect("send");
        }
    });
    sending.await.expect("task");
    assert_eq!(receiving.await.expect("task"), items);
    ns_per(start, items)
}

fn main() {
    let a = args();
    assert!(a.extra <= 1, "mpsc has one receiver");
    run(a.threads, async move {
        transfer(a.size / 10 + 1).await;
        println!("{:.3}", transfer(a.size).await);
    });
}

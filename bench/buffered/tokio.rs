//! buffered with Tokio: its mpsc channel of capacity 128, which has one receiver only. ns per item.
use knitbench::ns_per;
use std::time::Instant;
use tokio::sync::mpsc;

async fn transfer(items: usize, pairs: usize) -> f64 {
    assert!(pairs <= 1, "mpsc has one receiver");
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
    knitbench::play(1, transfer);
}

//! pingpong with Tokio: two tasks, two channels of capacity 1 (it has no unbuffered one). ns per
//! round trip.
use knitbench::ns_per;
use std::time::Instant;
use tokio::sync::mpsc;

async fn play(rounds: usize, _extra: usize) -> f64 {
    let (there, mut from_there) = mpsc::channel::<usize>(1);
    let (back, mut from_back) = mpsc::channel::<usize>(1);
    let start = Instant::now();
    let echo = tokio::spawn(async move {
        for _ in 0..rounds {
            let ball = from_there.recv().await.expect("recv");
            back.send(ball).await.expect("send");
        }
    });
    let serve = tokio::spawn(async move {
        for i in 0..rounds {
            there.send(i).await.expect("send");
            assert_eq!(from_back.recv().await, Some(i));
        }
    });
    echo.await.expect("task");
    serve.await.expect("task");
    ns_per(start, rounds)
}

fn main() {
    knitbench::play(0, play);
}

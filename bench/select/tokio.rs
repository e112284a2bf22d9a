//! select with Tokio: EXTRA (2, 4 or 8) channels of capacity 1 (it has no unbuffered one), a task that
//! sends on each of them, one that receives from all by select!. ns per item.
use knitbench::ns_per;
use std::time::Instant;
use tokio::sync::mpsc;

macro_rules! receive {
    ($receivers:ident, $items:expr, $($c:ident),+) => {{
        let mut all = $receivers.into_iter();
        $(let mut $c = all.next().expect("channel");)+
        let mut sum = 0usize;
        for _ in 0..$items {
            tokio::select! {
                $(Some(v) = $c.recv() => sum += v,)+
                else => panic!("all closed"),
            }
        }
        sum
    }};
}

async fn transfer(items: usize, n: usize) -> f64 {
    let each = items / n;
    let (senders, receivers): (Vec<_>, Vec<_>) =
        (0..n).map(|_| mpsc::channel::<usize>(1)).unzip();
    let start = Instant::now();
    let receiving = tokio::spawn(async move {
        match n {
            2 => receive!(receivers, each * 2, a, b),
            4 => receive!(receivers, each * 4, a, b, c, d),
            8 => receive!(receivers, each * 8, a, b, c, d, e, f, g, h),
            _ => panic!("2, 4 or 8"),
        }
    });
    let sending: Vec<_> = senders
        .into_iter()
        .map(|sender| {
            tokio::spawn(async move {
                for i in 0..each {
                    sender.send(i).await.expect("send");
                }
            })
        })
        .collect();
    for task in sending {
        task.await.expect("task");
    }
    assert_eq!(receiving.await.expect("task"), n * (each * (each - 1) / 2));
    ns_per(start, each * n)
}

fn main() {
    knitbench::play(2, transfer);
}

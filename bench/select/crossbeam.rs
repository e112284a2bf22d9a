//! select with crossbeam-channel on OS threads: EXTRA (2, 4 or 8) unbuffered channels, a thread that
//! sends on each of them, one that receives from all. ns per item.
use crossbeam_channel::Select;
use knitbench::ns_per;
use std::thread;
use std::time::Instant;

fn transfer(items: usize, n: usize) -> f64 {
    let each = items / n;
    let (senders, receivers): (Vec<_>, Vec<_>) =
        (0..n).map(|_| crossbeam_channel::bounded::<usize>(0)).unzip();
    let start = Instant::now();
    let receiving = thread::spawn(move || {
        let mut select = Select::new();
        for r in &receivers {
            select.recv(r);
        }
        let mut sum = 0;
        for _ in 0..each * n {
            let ready = select.select();
            let i = ready.index();
            sum += ready.recv(&receivers[i]).expect("recv");
        }
        sum
    });
    let sending: Vec<_> = senders
        .iter()
        .cloned() // a channel without senders would always be ready
        .map(|sender| {
            thread::spawn(move || {
                for i in 0..each {
                    sender.send(i).expect("send");
                }
            })
        })
        .collect();
    for t in sending {
        t.join().expect("thread");
    }
    assert_eq!(receiving.join().expect("thread"), n * (each * (each - 1) / 2));
    ns_per(start, each * n)
}

fn main() {
    knitbench::play_threads(2, transfer);
}

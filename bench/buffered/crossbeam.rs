//! buffered with crossbeam-channel on OS threads: capacity 128, EXTRA senders and receivers. ns per
//! item.
use knitbench::ns_per;
use std::thread;
use std::time::Instant;

fn transfer(items: usize, pairs: usize) -> f64 {
    let (sender, receiver) = crossbeam_channel::bounded::<i64>(128);
    let each = items / pairs;
    let start = Instant::now();
    let receiving: Vec<_> = (0..pairs)
        .map(|_| {
            let receiver = receiver.clone();
            thread::spawn(move || receiver.iter().count())
        })
        .collect();
    let sending: Vec<_> = (0..pairs)
        .map(|_| {
            let sender = sender.clone();
            thread::spawn(move || {
                for i in 0..each {
                    sender.send(i as i64).expect("send");
                }
            })
        })
        .collect();
    drop(sender);
    for t in sending {
        t.join().expect("thread");
    }
    let received: usize = receiving.into_iter().map(|t| t.join().expect("thread")).sum();
    assert_eq!(received, each * pairs);
    ns_per(start, received)
}

fn main() {
    knitbench::play_threads(1, transfer);
}

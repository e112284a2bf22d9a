//! unstarted with Tokio: SIZE tasks that wait for a permit of a semaphore without any. Bytes of
//! resident memory for each; then all run.
use knitbench::{args, rss, run};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio::task::{yield_now, JoinSet};

struct Queue {
    slots: Semaphore,
    arrived: AtomicUsize,
    ran: AtomicUsize,
}

async fn queued(q: Arc<Queue>) {
    q.arrived.fetch_add(1, Ordering::SeqCst);
    let _slot = q.slots.acquire().await.expect("slot");
    q.ran.fetch_add(1, Ordering::SeqCst);
}

fn main() {
    let a = args();
    run(a.threads, async move {
        let q = Arc::new(Queue {
            slots: Semaphore::new(0),
            arrived: AtomicUsize::new(0),
            ran: AtomicUsize::new(0),
        });
        let before = rss();
        let mut set = JoinSet::new();
        for _ in 0..a.size {
            set.spawn(queued(q.clone()));
        }
        while q.arrived.load(Ordering::SeqCst) < a.size {
            yield_now().await;
        }
        let bytes = (rss() - before) / a.size as f64;
        q.slots.add_permits(a.size);
        while let Some(r) = set.join_next().await {
            r.expect("task");
        }
        assert_eq!(q.ran.load(Ordering::SeqCst), a.size);
        println!("{:.2}", bytes);
    });
}

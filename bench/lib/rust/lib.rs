//! What all Rust programs of the benchmark share.

use std::future::Future;
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};

pub struct Args {
    pub threads: usize,
    pub size: usize,
    pub extra: usize,
}

/// `prog THREADS SIZE [EXTRA]`
pub fn args() -> Args {
    let all: Vec<usize> = std::env::args()
        .skip(1)
        .map(|a| a.parse().expect("usage: prog THREADS SIZE [EXTRA]"))
        .collect();
    Args { threads: all[0], size: all[1], extra: all.get(2).copied().unwrap_or(0) }
}

/// The scheduler a Tokio user takes for so many threads: for one, the lighter one.
fn builder(threads: usize) -> Builder {
    let mut builder = if threads == 1 {
        Builder::new_current_thread()
    } else {
        Builder::new_multi_thread()
    };
    builder.worker_threads(threads);
    builder
}

pub fn runtime(threads: usize) -> Runtime {
    builder(threads).enable_time().build().expect("runtime")
}

/// What a connection of a server reads at most at a time, as in serve.h.
pub const SERVE_BUFFER: usize = 1024;

/// All of main of a server: a task for each connection. The port is told to who started us (load.c).
pub fn serve<H, F>(handle: H)
where
    H: Fn(TcpStream) -> F,
    F: Future<Output = ()> + Send + 'static,
{
    let rt = builder(args().threads).enable_io().build().expect("runtime");
    rt.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        println!("{}", listener.local_addr().expect("address").port());
        loop {
            let (conn, _) = listener.accept().await.expect("accept");
            tokio::spawn(handle(conn));
        }
    });
}

/// Run a future as a task and wait for it: what it spawns is spawned from inside the runtime.
pub fn run<F>(threads: usize, root: F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let rt = runtime(threads);
    if threads == 1 {
        rt.block_on(root);
    } else {
        rt.block_on(rt.spawn(root)).expect("root task");
    }
}

/// All of main: play with SIZE and EXTRA, first untimed with a tenth of the size.
pub fn play<P, F>(default_extra: usize, play: P)
where
    P: Fn(usize, usize) -> F + Send + Sync + 'static,
    F: Future<Output = f64> + Send,
{
    let a = args();
    let extra = if a.extra < 1 { default_extra } else { a.extra };
    run(a.threads, async move {
        play(a.size / 10 + extra.max(1), extra).await;
        println!("{:.3}", play(a.size, extra).await);
    });
}

/// The same where tasks are OS threads.
pub fn play_threads(default_extra: usize, play: impl Fn(usize, usize) -> f64) {
    let a = args();
    let extra = if a.extra < 1 { default_extra } else { a.extra };
    limit_cpus(a.threads);
    play(a.size / 10 + extra.max(1), extra);
    println!("{:.3}", play(a.size, extra));
}

/// Run so many tasks and wait for them: ns for each of `operations`.
pub async fn tasks<F>(n: usize, operations: usize, make: impl Fn() -> F) -> f64
where
    F: Future<Output = ()> + Send + 'static,
{
    let start = Instant::now();
    let all: Vec<_> = (0..n).map(|_| tokio::spawn(make())).collect();
    for task in all {
        task.await.expect("task");
    }
    ns_per(start, operations)
}

/// Let this process use so many CPUs: for programs whose tasks are OS threads, as in bench.h.
pub fn limit_cpus(threads: usize) {
    unsafe {
        let size = std::mem::size_of::<libc::cpu_set_t>();
        let mut allowed: libc::cpu_set_t = std::mem::zeroed();
        if libc::sched_getaffinity(0, size, &mut allowed) != 0 {
            return;
        }
        let mut chosen: libc::cpu_set_t = std::mem::zeroed();
        (0..libc::CPU_SETSIZE as usize)
            .filter(|&cpu| libc::CPU_ISSET(cpu, &allowed))
            .take(threads)
            .for_each(|cpu| libc::CPU_SET(cpu, &mut chosen));
        libc::sched_setaffinity(0, size, &chosen);
    }
}

pub fn ns_per(start: Instant, n: usize) -> f64 {
    start.elapsed().as_nanos() as f64 / n as f64
}

/// Resident memory now, bytes.
pub fn rss() -> f64 {
    let text = std::fs::read_to_string("/proc/self/statm").expect("statm");
    let pages: f64 = text.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096.0
}

/// The most memory this process ever had resident, MB (10^6 bytes).
pub fn peak_mb() -> f64 {
    let text = std::fs::read_to_string("/proc/self/status").expect("status");
    let line = text.lines().find(|l| l.starts_with("VmHWM:")).unwrap();
    let kib: f64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib * 1024.0 / 1e6
}

/// The middle of the values; sorts them.
pub fn median(values: &mut [f64]) -> f64 {
    values.sort_by(|a, b| a.partial_cmp(b).unwrap());
    values[values.len() / 2]
}

/// Compute for a while: dependent multiplications nobody can shorten.
pub fn spin(steps: usize) {
    let mut x: u64 = 1;
    for _ in 0..steps {
        x = x.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
    }
    if x == 0 {
        println!("0");
    }
}

/// How many steps of spin take d: the best of some trials.
pub fn spin_steps(d: Duration) -> usize {
    const TRIAL: usize = 100_000;
    let best = (0..20)
        .map(|_| {
            let start = Instant::now();
            spin(TRIAL);
            start.elapsed()
        })
        .min()
        .unwrap();
    (TRIAL as f64 * d.as_secs_f64() / best.as_secs_f64()) as usize
}

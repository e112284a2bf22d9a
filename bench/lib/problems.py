"""What is measured: the programs, their sizes, and what their values mean.

A program is a folder of bench/: knit.c and a file per peer, called `prog THREADS SIZE [EXTRA]`. It
prints `VALUE key=value ...`; each output named here is one problem of the tables.
"""
from dataclasses import dataclass, field


@dataclass
class Output:
    problem: str
    about: str
    unit: str
    key: str = ""  # "" is the value that comes first
    higher_is_better: bool = False


@dataclass
class Program:
    folder: str
    outputs: list
    contenders: list
    size: int
    quick: int
    extra: int = 0
    divide: dict = field(default_factory=dict)  # contender: so much smaller is its SIZE
    absent: dict = field(default_factory=dict)  # contender: why there is none
    min_threads: int = 1
    max_threads: int = 1000
    bytes_each: int = 0  # memory the hungriest contender needs for each of SIZE
    load: str = ""  # servers: what lib/load.c plays, with EXTRA connections for SIZE ms
    takes_file: bool = False  # EXTRA is the path of a file of SIZE MiB

    def size_for(self, contender, quick):
        size = self.quick if quick else self.size
        return max(1, size // self.divide.get(contender, 1))


TOKIO_ONE_RECEIVER = "Tokio's channel has one receiver"
NO_PLAIN_THREAD = "has no plain threads: what calls go is a goroutine"

SELECTS = [
    Program(
        "select",
        [Output(f"select{n}", f"one task receives from {n} unbuffered channels", "ns/item")],
        ["knit", "go", "tokio", "crossbeam"],
        size=2_000_000,
        quick=200_000,
        extra=n,
        divide={"crossbeam": 10},
        absent={"fiber": "has no select"},
    )
    for n in (2, 4, 8)
]

SYNCMAPS = [
    Program(
        "syncmap",
        [Output(name, f"a map of 100,000 keys used by all threads, {about}", "ns")],
        ["knit", "go", "urcu", "pthread"],
        size=10_000_000,
        quick=1_000_000,
        extra=stores,
    )
    for name, stores, about in (("syncmap_load", 0, "loads"),
                                ("syncmap_mixed", 10, "nine loads to a store"))
]

LOCKS = [
    Program(
        folder,
        [Output(problem, f"{who} {about}", unit)],
        contenders,
        size=size if tasks > 1 else size * 100,
        quick=size // 10 if tasks > 1 else size * 10,
        extra=tasks,
        absent=absent,
    )
    for folder, about, unit, contenders, absent, size in (
        ("mutex", "lock and unlock one mutex", "ns/pair",
         ["knit", "go", "fiber", "tokio", "pthread"], {}, 100_000),
        ("rwlock", "lock and unlock one rwlock, every 16th for writing", "ns/pair",
         ["knit", "go", "tokio", "pthread"], {"fiber": "has no rwlock"}, 50_000),
        ("once", "call a once that is done", "ns/call",
         ["knit", "go", "pthread"],
         {"fiber": "has no once", "tokio": "its OnceCell is another thing"}, 1_000_000),
    )
    for problem, who, tasks in ((folder, "100 tasks", 100), (folder + "_alone", "one task", 1))
    if folder != "once" or tasks > 1
]

NO_WEIGHTS = "has no weights"

SEMAPHORES = [
    Program(
        "semaphore",
        [Output(problem, about, "ns/pair")],
        contenders,
        size=20_000 if heaviest else 5_000_000,
        quick=4_000 if heaviest else 500_000,
        extra=heaviest,
        absent=absent,
    )
    for problem, about, heaviest, contenders, absent in (
        ("semaphore", "100 tasks take and release 1 to 3 of 4", 3, ["knit", "go", "tokio"],
         {"fiber": "has no semaphore", "pthread": NO_WEIGHTS, "go_chan": NO_WEIGHTS}),
        ("semaphore_units", "100 tasks take and release 1 of 2", 1,
         ["knit", "go", "go_chan", "tokio", "pthread"], {"fiber": "has no semaphore"}),
        ("semaphore_alone", "one task takes and releases 1 of 1", 0,
         ["knit", "go", "go_chan", "tokio", "pthread"], {"fiber": "has no semaphore"}),
    )
]

SINGLEFLIGHTS = [
    Program(
        "singleflight",
        [Output(problem, f"{who} for one key, its function yields once", "ns/call")],
        ["knit", "go"],
        size=1_000_000 // callers,
        quick=100_000 // callers,
        extra=callers,
        absent={"tokio": "has none", "fiber": "has none"},
    )
    for problem, who, callers in (("singleflight_alone", "one caller", 1),
                                  ("singleflight2", "2 callers", 2),
                                  ("singleflight8", "8 callers", 8))
]

FOR_EACHS = [
    Program(
        "for_each",
        [Output(name, f"a loop of tiny bodies, {about}", "ns/body")],
        ["knit", "openmp", "tbb", "go", "serial"],
        size=100_000_000,
        quick=10_000_000,
        extra=form,
        bytes_each=1,
    )
    for form, name, about in ((0, "for_each", "a call each (OpenMP, Go: taken one by one)"),
                              (1, "for_ranges", "a call per range, inlined there"))
]

RACES = [
    Program(
        "race",
        [
            Output(name, f"{winners} of 1,000 calls wins, the rest sleep: until all are gone", "us"),
            Output(name + "_losers", "the same, from the last winner's end", "us", "losers"),
        ],
        ["knit", "go"],
        size=1000,
        quick=1000,
        extra=winners,
    )
    for name, winners in (("race", 1), ("take", 3))
]

SERVERS = [
    Program(
        folder,
        [
            Output(problem, about + ": server's CPU", unit),
            Output(problem + "_rate", "the same: how many", "1/s", "rate", higher_is_better=True),
        ],
        ["knit", "epoll", "go", "uv", "tokio"] + more,
        size=1000,
        quick=300,
        extra=connections,
        max_threads=1,
        load=load,
    )
    for folder, problem, load, connections, more, about, unit in (
        ("echo", "echo", "echo", 100, [],
         "64 bytes back and forth, 100 connections", "ns/request"),
        ("echo", "echo_5000", "echo", 5000, [], "the same, 5,000 connections", "ns/request"),
        ("echo", "accept", "accept", 32, [],
         "connect, a byte back and forth, close; 32 at a time", "ns/connection"),
        ("http", "http", "http", 100, ["go_http"],
         "keep-alive requests on 100 connections", "ns/request"),
    )
] + [
    Program(
        "echo",
        [Output("idle", "10,000 connections, used once and kept: server's memory", "B/connection")],
        ["knit", "epoll", "go", "uv", "tokio"],
        size=1,
        quick=1,
        extra=10_000,
        max_threads=1,
        load="idle",
    )
]

PROGRAMS = [
    Program(
        "spawn",
        [
            Output("spawn", "no-op tasks in one group, started by a task, then wait", "ns/task"),
            Output("spawn_peak", "the same: most memory ever resident", "MB", key="peak"),
        ],
        ["knit", "go", "tbb", "openmp", "fiber", "tokio"],
        size=1_000_000,
        quick=100_000,
    ),
    Program(
        "spawn_thread",
        [Output("spawn_thread", "no-op tasks in one group, started by a plain thread", "ns/task")],
        ["knit", "pthread", "tbb", "uv", "tokio"],
        size=1_000_000,
        quick=100_000,
        divide={"pthread": 50},
        absent={"go": NO_PLAIN_THREAD, "openmp": "tasks exist in a parallel region only"},
    ),
    Program(
        "limit",
        [Output("limit", "no-op tasks in one group, at most 4 at once", "ns/task")],
        ["knit", "go", "go_pool", "tbb", "tokio"],
        size=1_000_000,
        quick=100_000,
    ),
    *FOR_EACHS,
    Program(
        "stream",
        [Output("stream", "no-op tasks with a call after each, in order", "ns/task")],
        ["knit", "go", "go_pool", "tbb"],
        size=1_000_000,
        quick=100_000,
    ),
    Program(
        "limit_queue",
        [
            Output("limit_queue", "no-op tasks, at most 4 at once, a queue of 128", "ns/task"),
            Output("limit_endless", "the same, a queue without an end", "ns/task", "endless"),
            Output("limit_bytes", "resident memory of a task in the queue", "bytes", "bytes"),
        ],
        ["knit", "go", "go_pool"],
        size=1_000_000,
        quick=100_000,
        divide={"go": 10},
    ),
    Program(
        "gather",
        [
            Output("gather", "calls at the same time, results by index", "ns/call"),
            Output("gather_pooled", "the same, at most 4 at once", "ns/call", "pooled"),
        ],
        ["knit", "go"],
        size=1_000_000,
        quick=100_000,
    ),
    *RACES,
    Program(
        "finished",
        [
            Output("finished", "10,000,000 tasks through one group: growth of memory", "kB"),
            Output("finished_size", "size of a group", "bytes", "size"),
        ],
        ["knit", "go"],
        size=10_000_000,
        quick=1_000_000,
    ),
    Program(
        "forkjoin",
        [Output("forkjoin", "fib(n), every call a group with one task", "ns/spawn")],
        ["knit", "go", "tbb", "openmp", "tokio", "serial"],
        size=30,
        quick=24,
    ),
    Program(
        "pingpong",
        [Output("pingpong", "round trip over two unbuffered channels", "ns")],
        ["knit", "go", "fiber", "tokio", "pthread"],
        size=1_000_000,
        quick=100_000,
        divide={"pthread": 20},
    ),
    *LOCKS,
    *SEMAPHORES,
    *SINGLEFLIGHTS,
    Program(
        "buffered",
        [Output("buffered1", "channel of capacity 128, 1 sender, 1 receiver", "ns/item")],
        ["knit", "go", "fiber", "tokio", "crossbeam", "pthread"],
        size=5_000_000,
        quick=500_000,
        extra=1,
        divide={"pthread": 5},
    ),
    Program(
        "buffered",
        [Output("buffered4", "channel of capacity 128, 4 senders, 4 receivers", "ns/item")],
        ["knit", "go", "fiber", "crossbeam", "pthread"],
        size=5_000_000,
        quick=500_000,
        extra=4,
        divide={"crossbeam": 2, "pthread": 10},
        absent={"tokio": TOKIO_ONE_RECEIVER},
    ),
    *SELECTS,
    *SYNCMAPS,
    Program(
        "yield",
        [Output("yield", "two tasks per thread give way to each other", "ns/yield")],
        ["knit", "go", "fiber", "tokio", "pthread"],
        size=5_000_000,
        quick=500_000,
        divide={"pthread": 10},
    ),
    Program(
        "parked",
        [
            Output("parked_bytes", "tasks waiting on one channel: resident memory", "B/task"),
            Output("parked_create", "from start to parked, first time", "ns/task", "create"),
            Output("parked_recycled", "from start to parked, second time", "ns/task", "recycled"),
            Output("parked_wake", "from the close of the channel to the end", "ns/task", "wake"),
        ],
        ["knit", "go", "fiber", "tokio"],
        size=1_000_000,
        quick=50_000,
        bytes_each=9000,
    ),
    Program(
        "unstarted",
        [Output("unstarted", "tasks that may not start yet: resident memory", "B/task")],
        ["knit", "go", "tbb", "tokio"],
        size=1_000_000,
        quick=100_000,
    ),
    Program(
        "cancel",
        [Output("cancel", "10,000 tasks asleep, one fails: until wait returns", "us")],
        ["knit", "go", "fiber", "tokio"],
        size=10_000,
        quick=10_000,
    ),
    Program(
        "sleepers",
        [
            Output("sleepers", "100,000 tasks sleep 1 to 1000 ms: lateness, median", "us"),
            Output("sleepers_p99", "the same, 99th percentile", "us", "p99"),
            Output("sleepers_cpu", "processor time of the round", "s", "cpu"),
            Output("sleepers_peak", "most memory ever resident", "MB", "peak"),
        ],
        ["knit", "go", "tokio", "uv", "pthread"],
        size=100_000,
        quick=10_000,
    ),
    Program(
        "timers",
        [
            Output("timers", "contexts with a timeout, all live: to make one", "ns"),
            Output("timers_cancel", "the same: to give one up", "ns", "cancel"),
        ],
        ["knit", "go", "uv"],
        size=1_000_000,
        quick=100_000,
        absent={"tokio": "a timer is a future that must be polled"},
    ),
    Program(
        "schedgroup",
        [
            Output("schedgroup", "no-op tasks at mixed times, all due: until all have run", "ns/task"),
            Output("schedgroup_add", "the same, due in an hour: to schedule one", "ns", "add"),
            Output("schedgroup_bytes", "resident memory of one that waits", "bytes", "bytes"),
            Output("schedgroup_drop", "to cancel them all", "ns/task", "drop"),
        ],
        ["knit", "go", "go_afterfunc"],
        size=100_000,
        quick=20_000,
    ),
    Program(
        "wake",
        [
            Output("wake", "burst of 64 no-op tasks while the other worker sleeps", "ns/burst"),
            Output("wake_16x10us", "16 tasks of 10 us: speed-up over one by one", "x", "x16", True),
            Output("wake_4x100us", "4 tasks of 100 us: speed-up over one by one", "x", "x4", True),
        ],
        ["knit", "go", "tbb", "openmp", "tokio"],
        size=300,
        quick=100,
        min_threads=2,
    ),
    Program(
        "handoff",
        [
            Output("handoff", "a task sleeps 50 ms in a marked call: until 1,000 short ones ran", "us"),
            Output("handoff_unmarked", "the same, not marked", "us", "unmarked"),
            Output("handoff_compute", "a task computes for 50 ms: until 1,000 short ones ran", "us",
                   "compute"),
        ],
        ["knit", "go", "tokio"],
        size=1000,
        quick=1000,
        extra=15,
    ),
    Program(
        "anycode",
        [
            Output("anycode", "getaddrinfo holds a thread for 50 ms: until 1,000 short tasks ran",
                   "us"),
            Output("anycode_p99", "the same, 99th percentile", "us", "p99"),
            Output("anycode_fread", "the same for fread of a FIFO", "us", "fread"),
            Output("anycode_fread_p99", "the same, 99th percentile", "us", "fread_p99"),
            Output("anycode_usleep", "the same for usleep", "us", "usleep"),
            Output("anycode_usleep_p99", "the same, 99th percentile", "us", "usleep_p99"),
            Output("anycode_busy", "the same for a computation", "us", "busy"),
            Output("anycode_busy_p99", "the same, 99th percentile", "us", "busy_p99"),
        ],
        ["knit"],
        size=1000,
        quick=1000,
        extra=100,
        absent={
            "go": "see handoff; what Go code calls instead does not hold the thread",
            "tokio": "see handoff: nothing notices",
        },
    ),
    Program(
        "monitor",
        [
            Output("monitor", "busy worker: time with the monitor by time without", "x"),
            Output("monitor_cpu", "the same for processor time", "x", "cpu"),
            Output("monitor_idle", "processor time while 1,000 tasks sleep for 10 s", "us", "idle_us"),
            Output("monitor_idle_ticks", "the same in ticks", "ticks", "idle_ticks"),
            Output("monitor_none", "the same without any task", "us", "none_us"),
            Output("monitor_none_ticks", "the same in ticks", "ticks", "none_ticks"),
        ],
        ["knit"],
        size=5_000_000,
        quick=1_000_000,
        extra=10,
    ),
    *SERVERS,
    Program(
        "copy",
        [
            Output("copy", "a cached file of 1 GiB through a pipe, and thrown away", "GB/s",
                   higher_is_better=True),
            Output("copy_cpu", "the same: processor time", "s", "cpu"),
        ],
        ["knit", "splice", "pthread", "go"],
        size=1024,  # MiB
        quick=256,
        takes_file=True,
        absent={"tokio": "its files go through a pool of threads", "uv": "the same"},
    ),
    Program(
        "processes",
        [Output("processes", "2,000 commands `true`, 8 at once", "us/command")],
        ["knit", "posix_spawn", "go", "xargs"],
        size=2000,
        quick=500,
        extra=8,
        min_threads=2,
    ),
    Program(
        "digest",
        [Output("digest", "SHA-256 of every file of a tree of 500 MB, cached", "s")],
        ["knit", "go", "xargs", "xargs_openssl"],
        size=500,  # MB
        quick=50,
    ),
]

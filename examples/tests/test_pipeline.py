#!/usr/bin/env python3
"""The pipeline: right output in the right order, an error in each stage, a consumer that is slow, and
signals. Usage: test_pipeline.py PROGRAM"""

import os
import random
import signal
import subprocess
import sys
import tempfile
import time

PROGRAM = sys.argv[1]
ENV = dict(os.environ, KNIT_WORKERS=os.environ.get("KNIT_WORKERS", "4"))


def fnv(text):
    h = 14695981039346656037
    for byte in text:
        h = (h ^ byte) * 1099511628211 % 2**64
    return h


def expected(lines):
    return b"".join(b"%016x %s\n" % (fnv(line), line) for line in lines)


def run(data, *arguments, status=0, says=b"", **more):
    done = subprocess.run([PROGRAM, *arguments], input=data, stderr=subprocess.PIPE, timeout=60,
                          env=ENV, **more)
    assert done.returncode == status, (done.returncode, done.stderr)
    assert says in done.stderr, done.stderr
    return done


def start(sigint=signal.SIG_DFL):
    """A shell's background job ignores SIGINT, and so would the program: it is told what to do."""
    def prepare():
        signal.signal(signal.SIGINT, sigint)
        # TSan calls no handler in a thread that waits in Knit; signals that all threads block need none
        if os.environ.get("SANITIZED") == "thread":
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    return subprocess.Popen([PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, env=ENV, preexec_fn=prepare)


def first_line(child):
    """It runs then, and waits for more."""
    child.stdin.write(b"one\n")
    child.stdin.flush()
    assert child.stdout.readline() == expected([b"one"])


def interrupt_it(child, number):
    """It passes lines on before its task that waits for signals may have begun."""
    caught = 0
    while not caught & 1 << number - 1:
        time.sleep(0.001)
        with open(f"/proc/{child.pid}/status") as status:
            caught = int(next(line for line in status if line.startswith("SigCgt")).split()[1], 16)
    child.send_signal(number)


def state(pid):
    """State of the process, its peak memory in KiB, and what it has read."""
    with open(f"/proc/{pid}/status") as status:
        fields = dict(line.rstrip("\n").split(":\t", 1) for line in status if ":\t" in line)
    with open(f"/proc/{pid}/io") as io:
        read = int(io.readline().split()[1])
    return int(fields["VmHWM"].split()[0]), read


def order():
    random.seed(7)
    lines = [bytes(random.choices(b"abcdefgh \t\xc3\xbc", k=random.choice([0, 1, 7, 60, 900])))
             for _ in range(3000)]
    data = b"\n".join(lines) + b"\n"
    for workers in "1", "4", "50":
        assert run(data, "-j", workers, stdout=subprocess.PIPE).stdout == expected(lines)
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        assert run(None, file.name, stdout=subprocess.PIPE).stdout == expected(lines)
    long = [b"x" * (1 << 20), b"", b"y"]
    assert run(b"\n".join(long), stdout=subprocess.PIPE).stdout == expected(long)  # no last newline
    assert run(b"", stdout=subprocess.PIPE, says=b" 0 lines").stdout == b""


def errors():
    many = b"a line like any other\n" * 20000
    # while reading
    run(None, "/", status=1, says=b"Is a directory: read", stdout=subprocess.PIPE)
    run(many + b"x" * ((1 << 20) + 1), status=1, says=b"line 20001 is longer",
        stdout=subprocess.PIPE)
    run(None, "/no/such/file", status=1, says=b"No such file", stdout=subprocess.PIPE)
    # while hashing
    run(many + b"a\0b\n" + many, status=1, says=b"line 20001 is no text", stdout=subprocess.PIPE)
    # while writing
    with open("/dev/full", "w") as full:
        run(many, status=1, says=b"No space left on device: write", stdout=full)
    for data in b"x\n", many:
        reader, writer = os.pipe()
        os.close(reader)
        run(data, status=1, says=b"Broken pipe: write", stdout=writer)  # and not SIGPIPE
        os.close(writer)
    # while nothing more comes: the one that reads is woken as well
    child = start()
    child.stdin.write(b"a\0b\n")
    child.stdin.flush()
    assert child.wait(60) == 1
    assert b"line 1 is no text" in child.stderr.read()


def consumer():
    """Nobody reads the output: the input stalls, and the memory is bounded."""
    child = start()
    os.set_blocking(child.stdin.fileno(), False)
    line, sent, last = b"l" * 1023 + b"\n", 0, time.monotonic()
    while time.monotonic() - last < 0.5:  # nothing was taken for so long
        try:
            sent += os.write(child.stdin.fileno(), line * 64)
            last = time.monotonic()
        except BlockingIOError:
            time.sleep(0.01)
        assert sent < 64 << 20, "it reads on and on"
    peak, read = state(child.pid)
    os.set_blocking(child.stdin.fileno(), True)
    got = 0
    while got < sent:  # now it is read
        got += len(os.read(child.stdout.fileno(), 1 << 16))
    child.stdin.close()
    while child.stdout.read(1 << 16):
        pass
    assert child.wait(60) == 0, child.stderr.read()
    print(f"stalled after {read} bytes")
    if not os.environ.get("SANITIZED"):
        assert peak < 32 << 10, peak


def interrupt():
    for number in signal.SIGINT, signal.SIGTERM:
        child = start()
        first_line(child)
        interrupt_it(child, number)
        assert child.wait(60) == 128 + number
        assert b"pipeline: 1 lines written" in child.stderr.read()
        # and the output is stuck
        child = start()
        first_line(child)
        os.set_blocking(child.stdin.fileno(), False)
        try:
            while True:
                os.write(child.stdin.fileno(), b"l" * 4095 + b"\n")
                time.sleep(0.0001)
        except BlockingIOError:
            pass
        interrupt_it(child, number)
        assert child.wait(60) == 128 + number
    # begun with SIGINT ignored, as in the background: it stays so
    child = start(signal.SIG_IGN)
    first_line(child)
    child.send_signal(signal.SIGINT)
    assert child.communicate(b"two\n", 60)[0] == expected([b"two"])
    assert child.returncode == 0


for test in order, errors, consumer, interrupt:
    test()
    print("ok", test.__name__, flush=True)

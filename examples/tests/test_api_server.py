#!/usr/bin/env python3
"""The API server, with real connections on the loopback interface: requests, metrics, an end in order,
failures of its parts, and clients that misbehave. Usage: test_api_server.py PROGRAM

KNIT_CONNECTIONS: how many of those, 1000 by default."""

import concurrent.futures
import http.client
import json
import os
import random
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

PROGRAM = sys.argv[1]
CONNECTIONS = int(os.environ.get("KNIT_CONNECTIONS", "1000"))


def prepare():
    """In the child. TSan calls no handler in a thread that waits in Knit; signals that all threads block
    need none."""
    if os.environ.get("SANITIZED") == "thread":
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGUSR1})


class Server:
    def __init__(self, *arguments):
        self.process = subprocess.Popen([PROGRAM, *arguments], stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True, preexec_fn=prepare)
        ports = re.findall(r":(\d+)", self.process.stdout.readline())
        assert len(ports) == 2, self.process.stderr.read()
        self.port, self.metrics_port = map(int, ports)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def request(self, path, method="GET", body=None, port=None):
        connection = http.client.HTTPConnection("127.0.0.1", port or self.port, timeout=30)
        connection.request(method, path, body)
        reply = connection.getresponse()
        text = reply.read()
        connection.close()
        return reply.status, text

    def metrics(self):
        status, text = self.request("/metrics", port=self.metrics_port)
        assert status == 200
        lines = [line.split() for line in text.decode().splitlines() if line[0] != "#"]
        return {name: int(value) for name, value in lines}

    def fds(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def memory(self):
        """What is resident, in KiB."""
        with open(f"/proc/{self.process.pid}/status") as status:
            return int(re.search(r"VmRSS:\s*(\d+)", status.read())[1])

    def catches(self, number):
        with open(f"/proc/{self.process.pid}/status") as status:
            caught = int(re.search(r"SigCgt:\s*(\w+)", status.read())[1], 16)
        return caught & 1 << number - 1 != 0

    def tell(self, number):
        """It answers requests before its task that waits for signals may have begun."""
        until(lambda: self.catches(number))
        self.process.send_signal(number)

    def end(self, number=signal.SIGTERM):
        if number:
            self.tell(number)
        out, err = self.process.communicate(timeout=60)
        return self.process.returncode, err


def until(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def fnv(text):
    h = 14695981039346656037
    for byte in text:
        h = (h ^ byte) * 1099511628211 % 2**64
    return h


def requests():
    with Server() as server:
        assert server.request("/hello") == (200, b'{"hello": "world"}\n')
        assert server.request("/nothing")[0] == 404
        assert server.request("/helloo")[0] == 404
        assert server.request("/hello", "DELETE")[0] == 405
        for body in b"", b"x", bytes(range(256)) * 3000:
            status, reply = server.request("/hash", "POST", body)
            assert status == 200 and int(json.loads(reply)["hash"], 16) == fnv(body)
        assert server.request("/hash", "POST", b"x" * (1 << 20))[0] == 200
        assert server.request("/hash", "POST", b"x" * (1 << 20) + b"y")[0] == 413
        # many at once, each waits, the connections are used again
        with concurrent.futures.ThreadPoolExecutor(50) as pool:
            def client(_):
                connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
                for _ in range(5):
                    connection.request("GET", "/sleep/10")
                    reply = connection.getresponse()
                    assert (reply.status, reply.read()) == (200, b'{"slept_ms": 10}\n')
                connection.close()
                return True
            assert all(pool.map(client, range(50)))
        assert server.end() == (0, "api-server: ended by a signal; 259 requests, 0 cut off\n")


def overload():
    with Server("--tasks", "2") as server:
        with concurrent.futures.ThreadPoolExecutor(10) as pool:
            replies = list(pool.map(lambda _: server.request("/sleep/500")[0], range(10)))
        assert 200 in replies and set(replies) <= {200, 503}, replies
        until(lambda: server.request("/sleep/0")[0] == 200)  # who has answered ends soon


def metrics():
    with Server() as server:
        before = server.metrics()
        for _ in range(7):
            server.request("/sleep/1")
        server.request("/nothing")
        after = server.metrics()
        assert after["api_requests_total"] - before["api_requests_total"] == 8
        assert after["api_errors_total"] - before["api_errors_total"] == 1
        assert after["metrics_requests_total"] - before["metrics_requests_total"] == 1
        until(lambda: server.metrics()["knit_tasks_run_total"] >= before["knit_tasks_run_total"] + 7)
        assert after["knit_parks_total"] > before["knit_parks_total"]
        assert server.request("/", port=server.metrics_port)[0] == 404


def in_the_background(*calls):
    replies = {}
    def call(key, fn):
        try:
            replies[key] = fn()
        except OSError as error:
            replies[key] = error
    threads = [threading.Thread(target=call, args=item) for item in enumerate(calls)]
    for thread in threads:
        thread.start()
    return threads, replies


def graceful():
    """A request in flight is finished, new connections are refused, idle ones do not matter."""
    for number in signal.SIGTERM, signal.SIGINT:
        with Server() as server:
            idle = socket.create_connection(("127.0.0.1", server.port))
            half = socket.create_connection(("127.0.0.1", server.port))
            half.sendall(b"POST /hash HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf")
            threads, replies = in_the_background(lambda: server.request("/sleep/1000"))
            until(lambda: server.metrics()["api_requests_total"] == 1)
            server.tell(number)
            def refused():
                try:
                    socket.create_connection(("127.0.0.1", server.port)).close()
                except ConnectionError:
                    return True
            until(refused)
            assert server.end(None) == (0, "api-server: ended by a signal; 1 requests, 0 cut off\n")
            threads[0].join()
            assert replies[0] == (200, b'{"slept_ms": 1000}\n')
            idle.close()
            half.close()


def deadline():
    """What does not end within the grace period is cancelled, and still gets an answer."""
    with Server("--grace", "100") as server:
        threads, replies = in_the_background(lambda: server.request("/sleep/1000000"))
        until(lambda: server.metrics()["api_requests_total"] == 1)
        assert server.end() == (0, "api-server: ended by a signal; 1 requests, 1 cut off\n")
        threads[0].join()
        assert replies[0] == (503, b"shutting down\n"), replies


def second():
    with Server("--grace", "1000000") as server:
        threads, _ = in_the_background(lambda: server.request("/sleep/1000000"))
        until(lambda: server.metrics()["api_requests_total"] == 1)
        server.tell(signal.SIGTERM)
        until(lambda: not server.catches(signal.SIGTERM))
        server.process.send_signal(signal.SIGINT)
        assert server.end(None)[0] == -signal.SIGINT
        threads[0].join()


def failures():
    """Each of the three brings the others down, and is the cause."""
    with Server("--fail", "api") as server:
        threads, _ = in_the_background(lambda: server.request("/fail"))
        status, text = server.end(None)
        assert status == 1 and "Input/output error: api: as it was told to" in text, text
        threads[0].join()
    with Server("--fail", "metrics") as server:
        threads, replies = in_the_background(lambda: server.request("/sleep/300"))
        until(lambda: server.metrics()["api_requests_total"] == 1)
        in_the_background(lambda: server.request("/fail", port=server.metrics_port))
        status, text = server.end(None)
        assert status == 1 and "Input/output error: metrics: as it was told to" in text, text
        threads[0].join()
        assert replies[0] == (200, b'{"slept_ms": 300}\n')
    with Server("--fail", "watcher") as server:
        server.request("/hello")
        status, text = server.end(signal.SIGUSR1)
        assert status == 1 and "Input/output error: watcher: as it was told to" in text, text
    with Server() as server:
        for which in "--port", "--metrics-port":
            other = subprocess.run([PROGRAM, which, str(server.port)], capture_output=True, text=True,
                                   timeout=60)
            assert other.returncode == 1 and "Address already in use" in other.stderr, other.stderr


def misbehave(port, rng):
    """One client of those that every server has."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as s:
        kind = rng.randrange(9)
        if kind == 0:
            return  # connect, and nothing else
        if kind == 1:
            s.sendall(rng.randbytes(rng.randrange(1, 5000)))
        elif kind == 2:  # stall in the head
            s.sendall(b"GET /hel")
            time.sleep(rng.random() / 20)
        elif kind == 3:  # stall in the body
            s.sendall(b"POST /hash HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\nabc")
            time.sleep(rng.random() / 20)
        elif kind == 4:  # close the sending half; the reply must still come
            s.sendall(b"GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            s.shutdown(socket.SHUT_WR)
            while s.recv(4096):
                pass
        elif kind == 5:  # gone while its task works
            s.sendall(b"GET /sleep/%d HTTP/1.1\r\nHost: x\r\n\r\n" % rng.randrange(30))
        elif kind == 6:  # many requests at once, and no reading
            s.sendall(b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n" * 20)
        elif kind == 7:  # a length that is none
            s.sendall(b"POST /hash HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n")
        else:  # a head without an end
            s.sendall(b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * rng.randrange(2000))
        if rng.randrange(2):  # reset
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def storm():
    with Server("--patience", "2") as server:
        server.request("/sleep/1")
        server.metrics()
        fds, seed = server.fds(), random.randrange(1 << 30)
        print("seed", seed)
        def clients(number):
            rng = random.Random(seed + number)
            for _ in range(connections // 50):
                try:
                    misbehave(server.port, rng)
                except ConnectionError:
                    pass  # the server may have had enough first
            return True
        memory, plan = [], [CONNECTIONS // 2] + 5 * [CONNECTIONS]
        for connections in plan:
            with concurrent.futures.ThreadPoolExecutor(50) as pool:
                assert all(pool.map(clients, range(50)))
            assert server.request("/hello")[0] == 200
            until(lambda: server.fds() <= fds)
            memory.append(server.memory())
            # more of them at once than ever before take some more, once; what is lost is lost each time
            if len(memory) > 1 and memory[-1] - memory[-2] < 4096:
                break
        counts = server.metrics()
        print(f"{connections} connections, {counts['api_requests_total']} requests, "
              f"{counts['knit_tasks_run_total']} tasks, {counts['knit_stacks']} stacks, {memory} KiB")
        if not os.environ.get("SANITIZED"):
            assert memory[-1] - memory[-2] < 4096, memory
        until(lambda: server.metrics()["knit_stacks_in_use"] < 30)
        status, text = server.end()
        assert status == 0 and "0 cut off" in text, (status, text)


TESTS = requests, overload, metrics, graceful, deadline, second, failures, storm
for test in TESTS:
    if len(sys.argv) < 3 or test.__name__ in sys.argv[2:]:
        test()
        print("ok", test.__name__, flush=True)

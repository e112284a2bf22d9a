"""An HTTP server on the loopback interface that behaves in every way a client may meet.

    /body/N            N bytes
    /status/CODE       an answer with this status
    /flaky/N[/NAME]    the status 500 for the first N requests, then a body
    /redirect/N        N redirects, then a body; /loop: redirects without end
    /truncated         less body than was announced
    /never             no answer
    /held/N            N bytes, when the answers are not held back any more
    /meet/N            answers when N such requests are there, and knows how many there were at most
    /after/N           the status 500, when N requests have come that are not answered
"""

import http.server
import socket
import threading


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format, *args):
        pass

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.server.seen(self.path)
        kind, _, rest = self.path[1:].partition("/")
        number = rest.partition("/")[0]
        getattr(self, "on_" + kind)(int(number) if number.isdigit() else 0)

    def on_body(self, n):
        self.answer(200, b"x" * n)

    def on_status(self, code):
        self.answer(code)

    def on_flaky(self, n):
        if self.server.count(self.path) <= n:
            self.answer(500)
        else:
            self.answer(200, b"good at last")

    def on_redirect(self, n):
        if n == 0:
            self.answer(200, b"here")
        else:
            self.answer(302, Location="/redirect/%d" % (n - 1))

    def on_loop(self, n):
        self.answer(302, Location="/loop")

    def on_truncated(self, n):
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        self.wfile.write(b"x" * 100)
        self.close_connection = True

    def on_never(self, n):
        self.server.wait_for(lambda: False)
        self.close_connection = True

    def on_held(self, n):
        self.server.wait_for(lambda: not self.server.held)
        self.answer(200, b"x" * n)

    def on_meet(self, n):
        self.server.meet(n)
        self.answer(200, b"met")

    def on_after(self, n):
        self.server.wait_for(lambda: self.server.never >= n)
        self.answer(500)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.changed = threading.Condition()
        self.ended = self.held = False
        self.paths = {}  # how often each was asked for
        self.never = 0
        self.here = self.most = self.waiting = self.round = 0  # of /meet
        self.url = "http://127.0.0.1:%d" % self.server_address[1]

    def __enter__(self):
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *unused):
        with self.changed:
            self.ended = True
            self.changed.notify_all()
        self.shutdown()
        self.server_close()

    def handle_error(self, request, client_address):
        pass  # a client that was cancelled

    def seen(self, path):
        with self.changed:
            self.paths[path] = self.paths.get(path, 0) + 1
            self.never += path.startswith("/never")
            self.changed.notify_all()

    def hold(self, held):
        with self.changed:
            self.held = held
            self.changed.notify_all()

    def count(self, path):
        with self.changed:
            return self.paths.get(path, 0)

    def wait_for(self, condition):
        """Whether the condition holds, at last: after a minute, or the test, it will not."""
        with self.changed:
            self.changed.wait_for(lambda: self.ended or condition(), timeout=60)
            return condition()

    def meet(self, n):
        """Let them go in rounds of n. Who goes is not counted any more before the client knows."""
        with self.changed:
            self.here += 1
            self.most = max(self.most, self.here)
            self.waiting += 1
            mine = self.round
            if self.waiting == n:
                self.waiting = 0
                self.round += 1
                self.changed.notify_all()
            self.changed.wait_for(lambda: self.ended or self.round != mine, timeout=60)
            self.here -= 1


def refused():
    """A socket whose port nobody listens to, and the URL of that."""
    s = socket.socket()
    s.bind(("127.0.0.1", 0))
    return s, "http://127.0.0.1:%d/" % s.getsockname()[1]

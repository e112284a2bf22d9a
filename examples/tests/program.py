"""Run the program under test; what the Python tests of the examples share."""

import ctypes
import os
import signal
import subprocess
import sys
import time
import unittest

FOR_EVER = 60  # seconds: who waits longer waits in vain
LIBC = ctypes.CDLL(None)


def die_with_parent(number=signal.SIGKILL):
    """For preexec_fn: no process of a test outlives it, whatever ends it."""
    PR_SET_PDEATHSIG = 1
    LIBC.prctl(PR_SET_PDEATHSIG, int(number))


def wait_until(condition):
    end = time.monotonic() + FOR_EVER
    while not condition():
        if time.monotonic() > end:
            raise AssertionError("waited in vain")
        time.sleep(0.03)


class Program:
    """A run of the program: status, out and err when it has ended."""

    def __init__(self, *arguments, cwd=None, stdin="", stderr=subprocess.PIPE, env=None):
        # A proxy would not find the servers of the tests.
        clean = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
        self.stdin = stdin
        self.process = subprocess.Popen(
            [PATH, *arguments], cwd=cwd, env={**clean, "LC_ALL": "C", **(env or {})},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, encoding="utf-8",
            errors="surrogateescape", preexec_fn=die_with_parent)

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self):
        try:
            self.out, self.err = self.process.communicate(self.stdin, timeout=FOR_EVER)
        except subprocess.TimeoutExpired:
            self.process.kill()
            out, err = self.process.communicate()
            raise AssertionError("it does not end\n%s\n%s" % (out, err)) from None
        self.status = self.process.returncode
        return self


def run(*arguments, **options):
    return Program(*arguments, **options).wait()


def main():
    """unittest.main, the first argument being the program."""
    global PATH
    if len(sys.argv) < 2:
        sys.exit("usage: %s PROGRAM [TEST...]" % sys.argv[0])
    PATH = os.path.abspath(sys.argv.pop(1))
    unittest.main(module="__main__", verbosity=2)

#!/usr/bin/env python3
"""fetch, against a real server on the loopback interface. Usage: test_fetch.py FETCH [TEST...]"""

import json
import os
import pty
import signal
import tempfile
import unittest

import http_server
import program


class Fetch(unittest.TestCase):
    def setUp(self):
        self.server = self.enterContext(http_server.Server())
        self.directory = self.enterContext(tempfile.TemporaryDirectory(prefix="knit-fetch-"))

    def url(self, path):
        return self.server.url + path

    def fetch(self, status, *arguments, **options):
        """Run it with --json: the report."""
        return self.report(status, program.run("--json", *arguments, **options))

    def report(self, status, run):
        self.assertEqual(run.status, status, run.err)
        self.err = run.err
        report = json.loads(run.out.encode("utf-8"))
        states = [u["state"] for u in report["urls"]]
        for state in ("fetched", "failed", "cancelled"):
            self.assertEqual(report[state], states.count(state))
        self.assertEqual(report["ok"], status == 0)
        return report

    # ---- what succeeds

    def test_all_are_fetched(self):
        urls = [self.url("/body/%d" % n) for n in range(300)]
        report = self.fetch(0, "--limit=32", *urls)
        self.assertEqual([u["url"] for u in report["urls"]], urls)
        self.assertEqual([u["bytes"] for u in report["urls"]], list(range(300)))
        self.assertEqual({(u["status"], u["attempts"], u["error"]) for u in report["urls"]},
                         {(200, 1, None)})
        self.assertEqual(report["bytes"], sum(range(300)))

    def test_bodies_are_written(self):
        out = os.path.join(self.directory, "out")
        report = self.fetch(1, "-k", "-o", out, self.url("/body/100000"), self.url("/truncated"),
                            self.url("/redirect/2"), self.url("/status/404"))
        files = [u["file"] for u in report["urls"]]
        self.assertEqual(files, [out + "/1-100000", None, out + "/3-2", None])
        self.assertEqual(sorted(os.listdir(out)), ["1-100000", "3-2"])
        with open(files[0], "rb") as f:
            self.assertEqual(f.read(), b"x" * 100000)
        with open(files[2], "rb") as f:
            self.assertEqual(f.read(), b"here")

    def test_urls_from_a_file(self):
        path = os.path.join(self.directory, "urls")
        with open(path, "w", encoding="utf-8") as f:
            f.write("# a comment\n\n%s\n  %s  \n" % (self.url("/body/1"), self.url("/body/2")))
        report = self.fetch(0, "-i", path, self.url("/body/3"))
        self.assertEqual([u["bytes"] for u in report["urls"]], [1, 2, 3])
        report = self.fetch(0, "--input=-", stdin=self.url("/body/4"))
        self.assertEqual([u["bytes"] for u in report["urls"]], [4])

    def test_report_to_a_file(self):
        path = os.path.join(self.directory, "report.json")
        run = program.run("--json=" + path, self.url("/body/1"))
        self.assertEqual((run.status, run.out), (0, ""))
        with open(path, encoding="utf-8") as f:
            self.assertTrue(json.load(f)["ok"])

    def test_redirects_are_followed_up_to_the_bound(self):
        report = self.fetch(0, "--redirects=3", self.url("/redirect/3"))
        self.assertEqual((report["urls"][0]["status"], report["bytes"]), (200, 4))
        report = self.fetch(1, "--redirects=3", self.url("/redirect/4"))
        self.assertIn("redirects", report["urls"][0]["error"])
        report = self.fetch(0, "--redirects=0", self.url("/redirect/1"))
        self.assertEqual(report["urls"][0]["status"], 302)

    def test_the_limit_is_used_and_kept(self):
        self.fetch(0, "--limit=3", *[self.url("/meet/3")] * 12)
        self.assertEqual((self.server.most, self.server.round), (3, 4))

    # ---- what fails

    def test_the_first_failure_cancels_the_rest(self):
        urls = ["/never/1", "/never/2", "/never/3", "/after/3", "/body/1", "/body/2"]
        report = self.fetch(1, "--limit=4", *map(self.url, urls))
        self.assertEqual([u["state"] for u in report["urls"]],
                         ["cancelled"] * 3 + ["failed"] + ["cancelled"] * 2)
        self.assertEqual([u["attempts"] for u in report["urls"]], [1, 1, 1, 1, 0, 0])
        self.assertEqual(report["urls"][3]["error"], "HTTP 500")
        self.assertIn("fetch: stopped at the first error:\n#3 request_run (", self.err)
        self.assertEqual(self.err.count("\n#"), 1)
        self.assertEqual(self.server.count("/body/1"), 0)

    def test_keep_going_goes_on(self):
        unheard, refused = http_server.refused()
        self.addCleanup(unheard.close)
        urls = [self.url(p) for p in ("/status/404", "/body/5", "/truncated", "/loop", "/body/6")]
        urls += [refused, "ftp://127.0.0.1/x", "no url"]
        report = self.fetch(1, "--keep-going", *urls)
        self.assertEqual([u["state"] for u in report["urls"]],
                         ["failed", "fetched", "failed", "failed", "fetched", "failed", "failed",
                          "failed"])
        for u, text in zip(report["urls"], ("HTTP 404", None, "900 bytes", "redirects", None,
                                            "connect")):
            if text:
                self.assertIn(text, u["error"])
            else:
                self.assertIsNone(u["error"])
        self.assertEqual(self.err.count("\n#"), 6)

    def test_no_answer_is_a_timeout_of_each_attempt(self):
        for timeout in 0.2, 2, 20:  # a slow machine may not even have asked before it is over
            path = "/never/%d" % (10 * timeout)
            report = self.fetch(1, "--timeout=%s" % timeout, "-r2", "--retry-pause=0.01",
                                self.url(path))
            self.assertIn("timed out", report["urls"][0]["error"])
            self.assertEqual(report["urls"][0]["attempts"], 3)
            if self.server.count(path) == 3:
                break
        self.assertEqual(self.server.count(path), 3)

    def test_temporary_failures_are_tried_again(self):
        report = self.fetch(1, "-k", "-r3", "--retry-pause=0.01",
                            *map(self.url, ["/flaky/0", "/flaky/2", "/flaky/3", "/flaky/4",
                                            "/status/404", "/status/503", "/loop"]))
        self.assertEqual([(u["state"], u["attempts"]) for u in report["urls"]],
                         [("fetched", 1), ("fetched", 3), ("fetched", 4), ("failed", 4),
                          ("failed", 1), ("failed", 4), ("failed", 1)])
        self.assertEqual(self.server.count("/flaky/4"), 4)

    def test_a_body_of_a_failed_attempt_is_written_anew(self):
        report = self.fetch(0, "-r1", "--retry-pause=0", "-o", self.directory,
                            self.url("/flaky/1"))
        with open(report["urls"][0]["file"], "rb") as f:
            self.assertEqual(f.read(), b"good at last")

    def test_wrong_usage(self):
        for arguments in ([], ["--limit=0", "x"], ["--limit=1x", "x"], ["--timeout=-1", "x"],
                          ["--timeout=nan", "x"], ["--nothing"], ["--input=/no/such/file"]):
            run = program.run(*arguments)
            self.assertEqual(run.status, 2, arguments)
            self.assertIn("Try 'fetch --help'.", run.err)
        self.assertEqual(program.run("--help").status, 0)
        run = program.run("--json=/no/such/directory/report", self.url("/body/1"))
        self.assertEqual((run.status, self.server.count("/body/1")), (1, 0))
        run = program.run("--json=/dev/full", self.url("/body/1"))
        self.assertEqual((run.status, self.server.count("/body/1")), (1, 1))
        self.assertIn("No space left", run.err)
        run = program.run("-o", "/dev/null/x", self.url("/body/1"))
        self.assertEqual(run.status, 1)

    # ---- signals, and what is shown

    def test_a_signal_cancels(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            before = self.server.never
            run = program.Program("--json", "--limit=2", *[self.url("/never")] * 2,
                                  self.url("/body/1"))
            self.assertTrue(self.server.wait_for(lambda: self.server.never == before + 2))
            run.signal(number)
            report = self.report(128 + number, run.wait())
            self.assertEqual([(u["state"], u["attempts"]) for u in report["urls"]],
                             [("cancelled", 1), ("cancelled", 1), ("cancelled", 0)])
            self.assertIn("fetch: interrupted: ", self.err)

    def test_a_signal_ends_the_pause_between_attempts(self):
        run = program.Program("--json", "-r1", "--retry-pause=1000000", self.url("/status/500"))
        self.assertTrue(self.server.wait_for(lambda: self.server.paths))
        run.signal(signal.SIGINT)
        report = self.report(130, run.wait())
        self.assertEqual([(u["state"], u["attempts"]) for u in report["urls"]], [("cancelled", 1)])

    def on_terminal(self, first, **environment):
        """What a terminal on standard error is sent; it comes first, and then the answers."""
        master, slave = pty.openpty()
        self.server.hold(True)
        try:
            run = program.Program("-l1", *[self.url("/held/1000")] * 3, stderr=slave,
                                  env={"TERM": "xterm", **environment})
            os.close(slave)
            shown = b""
            while first not in shown:
                shown += os.read(master, 65536)
            self.server.hold(False)
            self.assertEqual(run.wait().status, 0)
            try:
                while piece := os.read(master, 65536):
                    shown += piece
            except OSError:
                pass  # how a terminal ends whose other side is closed
            return shown.decode()
        finally:
            os.close(master)

    def test_the_bar(self):
        none = b" 0/3  0 B  "
        shown = self.on_terminal(none, NO_COLOR="")
        self.assertIn("\r[\033[36m", shown)
        self.assertIn("\r\033[Kfetch: 3 of 3 fetched", shown)
        shown = self.on_terminal(none, NO_COLOR="1")
        self.assertIn("\r[ ", shown)
        self.assertNotIn("\033[36m", shown)
        self.assertNotIn("\033", self.on_terminal(b"", TERM="dumb"))

    def test_lines_where_there_is_no_terminal(self):
        run = program.run("-k", "-r1", "--retry-pause=0", self.url("/body/7"), self.url("/flaky/1"))
        self.assertNotIn("\033", run.err)
        self.assertRegex(run.err, r"(?m)^200 +7 B +[0-9]+ ms  http://.*/body/7$")
        self.assertRegex(run.err, r"(?m)^attempt 1 of 2 failed: http://.*/flaky/1: HTTP 500$")
        self.assertRegex(run.err, r"(?m)^fetch: 2 of 2 fetched, 0 failed, 0 cancelled, 19 B, ")
        self.assertEqual(program.run("-q", self.url("/body/7")).err, "")

    def test_any_argument_makes_a_valid_report(self):
        strange = ['http://[::1"\\]/\t', os.fsdecode(b"http://\xff\xc3/\xe2\x82\xac\xed\xa0\x80")]
        report = self.fetch(1, "-k", *strange)
        self.assertEqual(report["urls"][0]["url"], strange[0])
        self.assertEqual(report["urls"][1]["url"], "http://\ufffd\ufffd/\u20ac" + 3 * "\ufffd")


if __name__ == "__main__":
    program.main()

#!/usr/bin/env python3
"""migrate with SQLite files. Usage: test_migrate_sqlite.py MIGRATE [TEST...]"""

import contextlib
import json
import os
import socket
import sqlite3
import signal

import migrations
import program


class Sqlite(migrations.Migrations):
    slow = """WITH RECURSIVE count(n) AS (SELECT n FROM endless UNION ALL SELECT n + 1 FROM count)
              SELECT sum(n) FROM count;"""

    def make_shards(self):
        return [os.path.join(self.root, "shard-%d.db" % i) for i in range(6)]

    def connect(self, i, wait=program.FOR_EVER):
        return contextlib.closing(sqlite3.connect(self.shards[i], wait, isolation_level=None))

    def sql(self, i, text):
        with self.connect(i) as db:
            return [tuple(str(v) for v in row) for row in db.execute(text)]

    def lock(self, i):
        db = self.enterContext(self.connect(i))
        db.execute("BEGIN IMMEDIATE")
        return lambda: db.execute("COMMIT")

    def is_slow(self, i):
        """The migrations before are applied, and it is locked: migrate is in the third."""
        try:
            if self.versions(i) != [1, 2]:
                return False
        except sqlite3.OperationalError:
            return False  # there is no such table yet
        try:
            with self.connect(i, 0) as db:
                db.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return True
        return False

    # ---- what is the same for all databases

    def test_the_report_for_people(self):
        self.migrate(0, self.shards[0])
        self.write_slow_and_failing()
        run = program.run("-l1", self.directory, self.shards[0], self.shards[1])
        self.assertEqual(run.status, 0)
        line = "done       %s: version 3, %d applied, %d before, 0 missing"
        self.assertEqual(run.out.split("\n")[:2],
                         [line % (self.shards[0], 1, 2), line % (self.shards[1], 3, 0)])
        self.assertRegex(run.out, r"\n2 shards: 2 done, [0-9.]+ s\n$")
        self.assertRegex(run.err, r"(?m)^%s: 003_more.sql, [0-9]+ ms$" % self.shards[0])
        run = program.run("-q", "-l1", self.directory, self.shards[2])
        self.assertEqual((run.status, run.out, run.err), (0, "", ""))

    def test_shards_from_a_file_and_a_report_to_one(self):
        listed, report = os.path.join(self.root, "shards"), os.path.join(self.root, "report")
        with open(listed, "w", encoding="utf-8") as f:
            f.write("# all\n%s\n" % "\n".join(self.shards[1:]))
        run = program.run("-s", listed, "--json=" + report, self.directory, self.shards[0])
        self.assertEqual((run.status, run.out.count("done       ")), (0, 6))
        with open(report, encoding="utf-8") as f:
            self.assertEqual(len(json.load(f)["shards"]), 6)

    def test_wrong_usage(self):
        for arguments in ([], [self.directory], ["--limit=0", self.directory, "x"],
                          ["--wait=x", self.directory, "x"], ["--nothing"]):
            run = program.run(*arguments)
            self.assertEqual(run.status, 2, arguments)
            self.assertIn("Try 'migrate --help'.", run.err)
        self.assertEqual(program.run("--help").status, 0)
        self.assertIn("No such file", self.refused("/no/such/directory"))
        self.assertIn("No such file", self.refused("--json=/no/such/x", self.directory))
        run = program.run("--json=/dev/full", self.directory, self.shards[0])
        self.assertEqual((run.status, self.versions(0)), (1, [1, 2]))
        self.assertIn("migrate: write /dev/full: No space left", run.err)

    def refused(self, *arguments):
        """What it says when it fails before it looks at a shard."""
        run = program.run(*arguments, self.shards[5])
        self.assertEqual((run.status, run.out), (1, ""))
        self.assertFalse(os.path.exists(self.shards[5]))
        return run.err

    def test_directories_that_make_no_sense(self):
        for name in ("x.sql", "004more.sql", "004_it's.sql", "1234567890123456789_x.sql"):
            self.write(name, "SELECT 1;")
            self.assertIn("the name is not NUMBER_NAME.sql", self.refused(self.directory))
            os.unlink(os.path.join(self.directory, name))
        self.write("0002_again.sql", "SELECT 1;")
        self.assertIn("0002_again.sql", self.refused(self.directory))
        self.write("0002_again.sql", "SELECT 1;\0")
        self.assertIn("0002_again.sql", self.refused(self.directory))

    def test_what_is_no_database_is_an_error(self):
        with open(self.shards[0], "w", encoding="utf-8") as f:
            f.write("no database, but long enough to be looked at as one\n" * 100)
        self.shards[1] = os.path.join(self.root, "none", "x.db")
        report = self.migrate(1, "-k", *self.shards[:3])
        self.assertEqual(self.states(report), ["failed", "failed", "done"])
        self.assertIn("not a database", report["shards"][0]["error"])
        self.assertIn("unable to open", report["shards"][1]["error"])

    def test_who_may_not_even_read_waits_no_longer_than_told(self):
        self.migrate(0, self.shards[0])
        with self.connect(0) as db:
            db.execute("BEGIN EXCLUSIVE")
            report = self.migrate(1, "--wait=0.1", self.shards[0])
        self.assertIn(": somebody else has locked it", self.error(report))

    def test_a_dry_run_makes_no_file(self):
        self.migrate(0, "--dry-run", *self.shards)
        self.assertEqual(os.listdir(self.root), ["migrations"])

    # ---- PostgreSQL without a server

    def test_passwords_are_not_shown(self):
        names = {
            "postgresql://u:secret@127.0.0.1:1/x": "postgresql://u:*@127.0.0.1:1/x",
            "postgres://127.0.0.1:1/x?user=u&password=secret&port=2":
                "postgres://127.0.0.1:1/x?user=u&password=*&port=2",
            "postgresql://u:se/secret?cr@et@127.0.0.1/x": "postgresql://u:*@127.0.0.1/x",
            "postgresql://u:secret%zz@127.0.0.1/x": "postgresql://u:*@127.0.0.1/x",
            "postgresql://u:secret@127.0.0.1:1/x?no=1": "postgresql://u:*@127.0.0.1:1/x?no=1",
        }
        run = program.run("--json", "-k", self.directory, *names)
        self.assertEqual(run.status, 1)
        self.assertNotIn("secret", run.out + run.err)
        report = json.loads(run.out)
        self.assertEqual([s["shard"] for s in report["shards"]], list(names.values()))
        self.assertEqual(self.states(report), ["failed"] * 5)

    def silent_server(self):
        server = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(server.close)
        return server, "postgresql://u@127.0.0.1:%d/x?gssencmode=disable" % server.getsockname()[1]

    def test_a_server_that_does_not_answer(self):
        _, url = self.silent_server()
        report = self.migrate(1, "--wait=0.1", url)
        self.assertEqual(self.error(report), "connect: no answer")

    def test_a_signal_while_connecting(self):
        server, url = self.silent_server()
        run = self.start(url)
        client, _ = server.accept()
        with client:
            run.signal(signal.SIGINT)
            report = self.report(130, run.wait())
        self.assertEqual(self.states(report), ["stopped"])


if __name__ == "__main__":
    program.main()

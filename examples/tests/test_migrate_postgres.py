#!/usr/bin/env python3
"""migrate with a PostgreSQL server of its own, in a temporary directory, without a port.

Usage: test_migrate_postgres.py MIGRATE [TEST...]
Exit status 77: PostgreSQL is not installed.
"""

import glob
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile

import migrations
import program

LOCK = 1802398068  # the first number of migrate's advisory lock; the second is that of the schema


def programs():
    """The directory of the server's programs, which Debian keeps out of PATH."""
    found = shutil.which("initdb")
    if found:
        return os.path.dirname(os.path.realpath(found))
    return max((os.path.dirname(p) for p in glob.glob("/usr/lib/postgresql/*/bin/initdb")),
               default=None)


class Server:
    """It refuses to be run by root: then by a user without rights, who has to own its files."""

    def __init__(self, bin):
        self.bin = bin
        self.directory = tempfile.mkdtemp(prefix="knit-pg-", dir="/tmp")  # sockets want short names
        self.user = {}
        if os.getuid() == 0:
            nobody = pwd.getpwnam("nobody")
            os.chown(self.directory, nobody.pw_uid, nobody.pw_gid)
            self.user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}

    def spawn(self, name, *arguments):
        with open(os.path.join(self.directory, name + ".log"), "wb") as log:
            return subprocess.Popen(
                [os.path.join(self.bin, name), *arguments], cwd=self.directory, **self.user,
                env={"PATH": os.environ["PATH"], "LC_ALL": "C"}, stdin=subprocess.DEVNULL,
                stdout=log, stderr=subprocess.STDOUT,
                preexec_fn=lambda: program.die_with_parent(signal.SIGQUIT))

    def start(self):
        data = os.path.join(self.directory, "data")
        made = self.spawn("initdb", "--no-sync", "--auth=trust", "--username=test", "--no-locale",
                          "--encoding=UTF8", "--no-instructions", data).wait()
        assert made == 0, self.log()
        self.process = self.spawn(
            "postgres", "-D", data, "-k", self.directory, "-c", "listen_addresses=", "-c",
            "fsync=off", "-c", "autovacuum=off")
        program.wait_until(self.answers)

    def answers(self):
        assert self.process.poll() is None, self.log()
        return subprocess.run([os.path.join(self.bin, "pg_isready"), "-q", "-h", self.directory],
                              check=False).returncode == 0

    def log(self):
        text = ""
        for path in glob.glob(os.path.join(self.directory, "*.log")):
            with open(path, encoding="utf-8", errors="replace") as f:
                text += f.read()
        return text

    def stop(self):
        if hasattr(self, "process"):
            self.process.send_signal(signal.SIGINT)  # ends its sessions too
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        shutil.rmtree(self.directory)

    def url(self, database):
        return "postgresql://test@/%s?host=%s" % (database, self.directory)

    def psql(self, url, *arguments, **options):
        return subprocess.Popen(
            [os.path.join(self.bin, "psql"), "-XqAt", "-F", "\x1f", "-v", "ON_ERROR_STOP=1", "-d",
             url, *arguments], encoding="utf-8", preexec_fn=program.die_with_parent, **options)

    def sql(self, url, *texts):
        """The rows of all; each text is a transaction."""
        psql = self.psql(url, *["--command=" + t for t in texts], stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE)
        out, err = psql.communicate()
        if psql.returncode != 0:
            raise AssertionError("%s\n%s" % (texts, err))
        return [tuple(line.split("\x1f")) for line in out.splitlines()]


class Postgres(migrations.Migrations):
    slow = "SELECT pg_sleep(1000000) FROM endless;"

    @classmethod
    def setUpClass(cls):
        cls.server = Server(BIN)
        cls.addClassCleanup(cls.server.stop)  # also when the start has failed
        cls.server.start()
        cls.count = 0

    def make_shards(self):
        """In two new databases; some are schemas of them."""
        Postgres.count += 1
        names = ["test%d_%d" % (self.count, i) for i in range(2)]
        self.server.sql(self.server.url("postgres"), *["CREATE DATABASE " + name for name in names])
        shards = []
        for url in map(self.server.url, names):
            self.server.sql(url, "CREATE SCHEMA s1; CREATE SCHEMA s2")
            shards += [url] + [url + "&options=-csearch_path%3D" + s for s in ("s1", "s2")]
        return shards

    def sql(self, i, text):
        return self.server.sql(self.shards[i], text)

    def lock(self, i):
        """From a session of psql, which ends with its input."""
        psql = self.server.psql(self.shards[i], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.enterContext(psql)
        psql.stdin.write("SELECT 1 FROM pg_advisory_lock(%d, hashtext(current_schema()));\n" % LOCK)
        psql.stdin.flush()
        self.assertEqual(psql.stdout.readline(), "1\n")
        return psql.stdin.close

    def is_slow(self, i):
        return self.sql(i, """
            SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid)
            WHERE datname = current_database() AND wait_event = 'PgSleep' AND locktype = 'advisory'
                AND classid = %d
                AND objid = (hashtext(current_schema())::bigint & 4294967295)""" % LOCK) == [("1",)]

    def tearDown(self):
        """The server would not notice that a client is gone while it sleeps."""
        program.wait_until(lambda: self.server.sql(
            self.server.url("postgres"),
            "SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep'") == [])

    # ---- what only PostgreSQL has

    def test_copy_is_refused(self):
        self.write("003_copy.sql", "CREATE TABLE more (n INTEGER); COPY more FROM STDIN;")
        report = self.migrate(1, self.shards[0])
        self.assertEqual(self.error(report), "003_copy.sql: COPY from or to the client")
        self.assertEqual(self.versions(0), [1, 2])

    def test_what_the_server_says_is_told(self):
        self.write("003_wrong.sql", "SELECT * FROM nothing;")
        report = self.migrate(1, self.shards[0])
        self.assertIn('003_wrong.sql: ERROR:  relation "nothing" does not', self.error(report))
        report = self.migrate(1, self.server.url("nowhere"))
        self.assertIn('database "nowhere" does not exist', self.error(report))

    def test_a_connection_that_is_lost_is_a_failure(self):
        self.write("003_kill.sql", "SELECT pg_terminate_backend(pg_backend_pid());")
        report = self.migrate(1, self.shards[0])
        self.assertIn("003_kill.sql: ", self.error(report))
        self.assertEqual(self.versions(0), [1, 2])

    def test_large_statements_and_large_answers(self):
        self.write("003_large.sql", "INSERT INTO people VALUES (3, '%s');\n" % ("x" * 3000000) +
                   "SELECT repeat(name, 4) FROM people;")
        self.migrate(0, self.shards[0])
        self.assertEqual(self.sql(0, "SELECT max(length(name)) FROM people"), [("3000000",)])


if __name__ == "__main__":
    BIN = programs()
    if not BIN:
        print("PostgreSQL is not installed: skipped")
        sys.exit(77)
    program.main()

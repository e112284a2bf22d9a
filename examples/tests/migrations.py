"""The tests of migrate, whatever the databases are."""

import json
import os
import signal
import tempfile
import unittest

import program
from program import wait_until


class Migrations(unittest.TestCase):
    """A subclass makes empty shards. It defines

    slow                a statement that does not end where the table endless has a row
    make_shards()       the names of six
    sql(i, text)        the rows of a query on shard i, of strings
    lock(i)             keep migrate out of shard i; returns how to let it in again
    is_slow(i)          migrate carries out the slow statement there
    """

    def setUp(self):
        self.root = self.enterContext(tempfile.TemporaryDirectory(prefix="knit-migrate-"))
        self.directory = os.path.join(self.root, "migrations")
        os.mkdir(self.directory)
        self.write("001_people.sql", "CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT);")
        self.write("002_first.sql", "INSERT INTO people VALUES (1, 'it''s me');\n"
                                    "INSERT INTO people VALUES (2, 'you');\n")
        self.shards = self.make_shards()

    def write(self, name, sql):
        with open(os.path.join(self.directory, name), "w", encoding="utf-8") as f:
            f.write(sql)

    def migrate(self, status, *arguments, **options):
        """Run it with --json: the report."""
        return self.report(status, program.run("--json", self.directory, *arguments, **options))

    def start(self, *arguments):
        return program.Program("--json", "--wait=%d" % program.FOR_EVER, self.directory, *arguments)

    def report(self, status, run):
        self.assertEqual(run.status, status, run.err)
        self.err = run.err
        report = json.loads(run.out.encode("utf-8"))
        states = self.states(report)
        for state in ("done", "pending", "failed", "stopped", "untouched"):
            self.assertEqual(report[state], states.count(state))
        self.assertEqual(report["ok"], status == 0)
        return report

    def states(self, report):
        return [s["state"] for s in report["shards"]]

    def counts(self, report):
        return [(s["applied"], s["before"], s["missing"]) for s in report["shards"]]

    def versions(self, i):
        return [int(v) for v, in self.sql(i, "SELECT version FROM schema_migrations"
                                             " ORDER BY version")]

    def error(self, report):
        return [s["error"] for s in report["shards"] if s["state"] == "failed"][0]

    def write_slow_and_failing(self):
        """Fails where the table once has the row 1, does not end where endless has one."""
        self.write("003_more.sql", "CREATE TABLE more (n INTEGER);\nINSERT INTO once VALUES (1);\n"
                   + self.slow)
        for i in range(len(self.shards)):
            self.sql(i, "CREATE TABLE once (n INTEGER PRIMARY KEY)")
            self.sql(i, "CREATE TABLE endless (n INTEGER)")

    # ---- what succeeds

    def test_all_shards_are_migrated_once(self):
        report = self.migrate(0, *self.shards)
        self.assertEqual([(s["state"], s["version"], s["error"]) for s in report["shards"]],
                         [("done", 2, None)] * 6)
        self.assertEqual(self.counts(report), [(2, 0, 0)] * 6)
        for i in range(6):
            self.assertEqual(self.sql(i, "SELECT name FROM people ORDER BY id"),
                             [("it's me",), ("you",)])
            self.assertEqual(self.sql(i, "SELECT version, name, length(checksum) FROM"
                                         " schema_migrations ORDER BY version"),
                             [("1", "001_people.sql", "16"), ("2", "002_first.sql", "16")])
        report = self.migrate(0, *self.shards)
        self.assertEqual(self.counts(report), [(0, 2, 0)] * 6)

    def test_new_migrations_are_applied_in_the_order_of_their_numbers(self):
        self.migrate(0, self.shards[0])
        self.write("0010_third.sql", "INSERT INTO people SELECT max(id) + 1, 'ten' FROM people;")
        self.write("9_second.sql", "INSERT INTO people SELECT max(id) + 1, 'nine' FROM people;")
        self.write("3_nothing.sql", "")
        report = self.migrate(0, self.shards[0])
        self.assertEqual((self.counts(report), report["shards"][0]["version"]), ([(3, 2, 0)], 10))
        self.assertEqual(self.sql(0, "SELECT name FROM people WHERE id > 2 ORDER BY id"),
                         [("nine",), ("ten",)])

    def test_a_dry_run_says_what_is_missing_and_changes_nothing(self):
        self.migrate(0, self.shards[0])
        self.write("003_more.sql", "INSERT INTO people VALUES (3, 'more');")
        report = self.migrate(0, "--dry-run", *self.shards[:2])
        self.assertEqual(self.states(report), ["pending", "pending"])
        self.assertEqual(self.counts(report), [(0, 2, 1), (0, 0, 3)])
        self.assertEqual(self.versions(0), [1, 2])
        run = program.run("-n", self.directory, self.shards[0])
        self.assertEqual(run.out.split("\n")[1].split(), ["would", "apply", "003_more.sql"])

    def test_runs_at_the_same_time_do_not_collide(self):
        runs = [self.start(*self.shards) for _ in range(4)]
        reports = [self.report(0, run.wait()) for run in runs]
        for i in range(6):
            counts = [self.counts(r)[i] for r in reports]
            self.assertEqual(sum(applied for applied, _, _ in counts), 2)
            self.assertEqual({(applied + before, missing) for applied, before, missing in counts},
                             {(2, 0)})
            self.assertEqual(self.versions(i), [1, 2])
        # nor the same shard several times in one run
        self.write("003_more.sql", "INSERT INTO people VALUES (3, 'more');")
        report = self.migrate(0, *[self.shards[0]] * 4)
        self.assertEqual(sum(s["applied"] for s in report["shards"]), 1)

    # ---- what fails

    def test_the_first_failure_stops_the_rest_and_what_is_repaired_goes_on(self):
        self.write_slow_and_failing()
        self.sql(1, "INSERT INTO endless VALUES (1)")
        self.sql(2, "INSERT INTO endless VALUES (1)")
        self.sql(3, "INSERT INTO once VALUES (1)")
        unlock = self.lock(3)
        run = self.start("--limit=3", *self.shards)
        wait_until(lambda: self.is_slow(1) and self.is_slow(2))
        unlock()
        report = self.report(1, run.wait())
        self.assertEqual(self.states(report), ["done", "stopped", "stopped", "failed", "untouched",
                                               "untouched"])
        self.assertEqual(self.counts(report), [(3, 0, 0)] + [(2, 0, 1)] * 3 + [(0, 0, 3)] * 2)
        self.assertIn("003_more.sql: ", self.error(report))
        self.assertIn("migrate: stopped at the first error:\n#3 shard_migrate (", self.err)
        for i in (1, 2):
            self.assertEqual((self.versions(i), self.sql(i, "SELECT n FROM once")), ([1, 2], []))

        self.sql(1, "DELETE FROM endless")
        self.sql(2, "DELETE FROM endless")
        self.sql(3, "DELETE FROM once")
        report = self.migrate(0, *self.shards)
        self.assertEqual(self.counts(report), [(0, 3, 0)] + [(1, 2, 0)] * 3 + [(3, 0, 0)] * 2)
        for i in range(6):
            self.assertEqual((self.versions(i), self.sql(i, "SELECT n FROM more")), ([1, 2, 3], []))

    def test_what_fails_is_taken_back_and_others_keep_going(self):
        self.write_slow_and_failing()
        self.sql(1, "INSERT INTO once VALUES (1)")
        report = self.migrate(1, "--keep-going", "--limit=2", *self.shards)
        self.assertEqual(self.states(report), ["done", "failed"] + ["done"] * 4)
        self.assertEqual((self.counts(report)[1], self.versions(1)), ((2, 0, 1), [1, 2]))
        self.sql(1, "CREATE TABLE more (n INTEGER)")  # it is not there
        self.assertIn("migrate: errors:\n#1 shard_migrate (", self.err)

    def test_a_migration_that_has_changed_is_an_error(self):
        self.migrate(0, self.shards[0])
        self.write("001_people.sql", "CREATE TABLE people (id INTEGER);")
        self.write("003_more.sql", "CREATE TABLE more (n INTEGER);")
        for more in ([], ["--dry-run"]):
            report = self.migrate(1, *more, self.shards[0])
            self.assertEqual(self.error(report), "001_people.sql has changed since it was applied")
        self.assertEqual(self.versions(0), [1, 2])

    def test_a_migration_that_is_gone_is_an_error(self):
        self.migrate(0, self.shards[0])
        os.unlink(os.path.join(self.directory, "001_people.sql"))
        report = self.migrate(1, self.shards[0])
        self.assertEqual(self.error(report),
                         "version 1 is applied, but not in " + self.directory)

    def test_a_migration_must_not_end_its_transaction(self):
        self.write("003_commit.sql", "CREATE TABLE more (n INTEGER); COMMIT;")
        report = self.migrate(1, self.shards[0])
        self.assertEqual(self.error(report), "003_commit.sql ends its transaction itself")
        self.assertEqual(self.versions(0), [1, 2])

    def test_who_is_locked_out_waits_no_longer_than_told(self):
        self.migrate(0, self.shards[0])
        self.write("003_more.sql", "CREATE TABLE more (n INTEGER);")
        unlock = self.lock(0)
        report = self.migrate(1, "--wait=0.1", self.shards[0])
        self.assertEqual(self.error(report), "begin: somebody else has locked it")
        unlock()
        self.migrate(0, self.shards[0])

    # ---- signals

    def test_a_signal_interrupts_the_statements(self):
        self.write_slow_and_failing()
        for number in (signal.SIGINT, signal.SIGTERM):
            self.sql(0, "INSERT INTO endless VALUES (1)")
            self.sql(1, "INSERT INTO endless VALUES (1)")
            run = self.start("--limit=2", *self.shards[:3])
            wait_until(lambda: self.is_slow(0) and self.is_slow(1))
            run.signal(number)
            report = self.report(128 + number, run.wait())
            self.assertEqual(self.states(report), ["stopped", "stopped", "untouched"])
            self.assertIn("migrate: interrupted: ", self.err)
            # taken back, and nobody is left who holds a lock there
            self.assertEqual((self.versions(0), self.sql(0, "SELECT n FROM once")), ([1, 2], []))
            self.sql(0, "DELETE FROM endless")
            self.sql(1, "DELETE FROM endless")
        self.migrate(0, *self.shards)

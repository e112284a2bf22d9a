#!/usr/bin/env python3
"""Prove that check_conformance.py finds what it promises to find, with the real table made worse."""
import os
import re
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, "..", "..")
DOCUMENT = os.path.join("docs", "conformance.md")


def check(change):
    """The exit status and the output with change(text) as the document."""
    with tempfile.TemporaryDirectory(prefix="knit-conformance-") as tree:
        os.mkdir(os.path.join(tree, "docs"))
        os.symlink(os.path.realpath(os.path.join(ROOT, "tests")), os.path.join(tree, "tests"))
        with open(os.path.join(ROOT, DOCUMENT), encoding="utf-8") as f:
            text = f.read()
        with open(os.path.join(tree, DOCUMENT), "w", encoding="utf-8") as f:
            f.write(change(text))
        run = subprocess.run([sys.executable, os.path.join(HERE, "check_conformance.py"), tree],
                             stdout=subprocess.PIPE, text=True, check=False)
        return run.returncode, run.stdout


class Conformance(unittest.TestCase):
    def refused(self, pattern, instead, why):
        status, output = check(lambda text: re.sub(pattern, instead, text, count=1, flags=re.M))
        self.assertEqual(status, 1, output)
        self.assertIn(why, output)

    def test_the_table_as_it_is_passes(self):
        status, output = check(lambda text: text)
        self.assertEqual(status, 0, output)

    def test_a_hole(self):
        self.refused(r"^\| KR-4 \|.*\n", "", "KR-4: missing")

    def test_a_case_too_many(self):
        self.refused(r"^(\| KR-)6( \|.*\n)", r"\g<0>\g<1>7\2", "KR-7: no case")
        self.refused(r"^\| KR-6 \|.*\n", r"\g<0>\g<0>", "KR-6: twice")

    def test_a_test_of_another_case(self):
        self.refused(r"^(\| GB-)1( .*\n\| GB-)2 ", r"\g<1>2\g<2>1 ", "does not say that it is this case")

    def test_a_test_that_is_not_there(self):
        self.refused(r"`kr_1_\w+`", "`kr_1_nothing`", "KR-1: no test kr_1_nothing")

    def test_a_row_without_a_test_and_a_reason(self):
        self.refused(r"^(\| CTX-11 \| \S+) \|.*", r"\1 | |", "CTX-11: no test, and no word why")


if __name__ == "__main__":
    unittest.main()

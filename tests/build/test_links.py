#!/usr/bin/env python3
"""Prove that tools/check_links.py finds what it promises to find, in a small made-up project."""
import os
import subprocess
import sys
import tempfile
import unittest

CHECK = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools",
                     "check_links.py")

PROJECT = {
    "README.md": "[docs](docs/page.md), [all](docs), [far](https://example.org/gone)\n",
    "docs/page.md": "# A page, of `code`\n\n[up](../README.md), [here](#a-page-of-code)\n",
    "include/x.h": "int x_open(void);\n",
    "tests/api/test_x.c": "static void it_holds(void) {}\nstatic const knittest tests[] = {\n"
                          "    BOTH(it_holds), COLD(it_holds_cold),\n"
                          "    /* BOTH(it_is_gone), */\n};\n",
    "build/x/broken.md": "[not ours](nowhere.md)\n",
}


def check(link):
    """The exit status and the output for the project with this in docs/more.md, line 3."""
    with tempfile.TemporaryDirectory(prefix="knit-links-") as tree:
        for path, text in list(PROJECT.items()) + [("docs/more.md", "# More\n\n" + link + "\n")]:
            full = os.path.join(tree, path)
            os.makedirs(os.path.dirname(full), exist_ok=True)
            with open(full, "w", encoding="utf-8") as f:
                f.write(text)
        run = subprocess.run([sys.executable, CHECK, tree], stdout=subprocess.PIPE, text=True,
                             check=False)
        return run.returncode, run.stdout


class Links(unittest.TestCase):
    def accepted(self, link):
        status, output = check(link)
        self.assertEqual(status, 0, output)

    def refused(self, link, why):
        status, output = check(link)
        self.assertEqual(status, 1, output)
        self.assertIn("docs/more.md:3: ", output)
        self.assertIn(why, output)

    def test_a_sound_project_passes(self):
        self.accepted("")

    def test_an_empty_place_fails(self):
        with tempfile.TemporaryDirectory(prefix="knit-links-") as tree:
            run = subprocess.run([sys.executable, CHECK, tree], stdout=subprocess.PIPE, check=False)
            self.assertEqual(run.returncode, 1)

    def test_a_file_that_is_not_there(self):
        self.refused("[x](gone.md)", "no such file")
        self.refused("| a | [b](page.md), [c](../tests/api/test_y.c) |", "no such file")

    def test_a_way_out_of_the_project(self):
        self.refused("[x](../../other)", "out of the project")
        self.refused("[x](/etc/passwd)", "out of the project")

    def test_a_heading(self):
        self.accepted("[x](page.md#a-page-of-code)")
        self.refused("[x](page.md#a-page)", "no such heading")
        self.refused("[x](../include/x.h#L1)", "no such heading")

    def test_the_name_of_a_test(self):
        self.accepted("[`it_holds`](../tests/api/test_x.c)")
        self.accepted("[`it_holds_cold`](../tests/api/test_x.c)")
        self.refused("[`it_fails`](../tests/api/test_x.c)", "no test")
        self.refused("[`it_hold`](../tests/api/test_x.c)", "no test")

    def test_a_test_that_is_not_in_the_table(self):
        self.refused("[`it_is_gone`](../tests/api/test_x.c)", "no test")
        self.refused("[`knittest`](../tests/api/test_x.c)", "no test")

    def test_the_name_of_a_function(self):
        self.accepted("[`x_open`](../include/x.h)")
        self.refused("[`x_close`](../include/x.h)", "no test or word")

    def test_what_is_no_link(self):
        self.accepted("`[x](gone.md)` and a[i] (gone.md)")
        self.accepted("```c\nf[i](gone.md);\n```")
        self.refused("`a` [x](gone.md) `b`", "no such file")


if __name__ == "__main__":
    unittest.main()

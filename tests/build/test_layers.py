#!/usr/bin/env python3
"""Prove that tools/check_layers.py finds what it promises to find, in small made-up houses."""
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
CHECK = os.path.join(ROOT, "tools", "check_layers.py")

CLEAN = {
    "include/knit.h": '#include "knit/base.h"\n#include "knit/chan.h"\n',
    "include/knit/base.h": "#include <stdint.h>\n",
    "include/knit/chan.h": '#include "base.h"\n',
    "src/runtime.c": '#include "group/group.h"\n#include "io/poll.h"\n#include <knit.h>\n',
    "src/base/list.h": '/* https://example.org is no line comment */\n',
    "src/plat/plat.c": '#include "../base/list.h"\n#include <sys/mman.h>\n'
                       "#if defined(__linux__) && defined(__x86_64__)\n#endif\n"
                       "static _Thread_local int x;\n",
    "src/core/lock.c": '#include "lock.h"\nconst char *a = "http://x"; char b = \'"\';\n',
    "src/core/lock.h": "",
    "src/sched/sched.h": '#include "../core/lock.h"\n',
    "src/sync/chan.c": '#include "../sched/sched.h"\n#include <knit/chan.h>\n',
    "src/group/group.h": '#include "sync/ctx.h"\n',
    "src/sync/ctx.h": "/* includes nothing: #include \"../group/group.h\" */\n",
    "src/io/poll.h": "#include <sys/epoll.h>\n",
    "examples/hello.c": "#include <knit.h>\n#include <pthread.h>\n",
    "tests/api/test_chan.c": '#include "../lib/knittest.h"\n',
    "tests/lib/knittest.h": "#include <knit/chan.h>\n",
    "tests/unit/test_lock.c": '#include "core/lock.h"\n',
}


class Walls(unittest.TestCase):
    def setUp(self):
        self.tree = tempfile.mkdtemp(prefix="knit-layers-")
        self.addCleanup(shutil.rmtree, self.tree)
        for path, text in CLEAN.items():
            self.write(path, text)
        os.makedirs(os.path.join(self.tree, "src"), exist_ok=True)
        shutil.copy(os.path.join(ROOT, "src", "LAYERS"), os.path.join(self.tree, "src"))

    def write(self, path, text):
        full = os.path.join(self.tree, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "w", encoding="utf-8") as f:
            f.write(text)

    def check(self):
        run = subprocess.run([sys.executable, CHECK, self.tree], stdout=subprocess.PIPE, text=True,
                             check=False)
        return run.returncode, run.stdout

    def refused(self, path, text, *wanted):
        self.write(path, text)
        status, output = self.check()
        self.assertEqual(status, 1, output)
        self.assertIn(path + ":", output)
        for words in wanted:
            self.assertIn(words, output)

    def test_a_clean_house_passes(self):
        status, output = self.check()
        self.assertEqual(status, 0, output)

    def test_an_empty_house_fails(self):
        for folder in ("include", "examples", "tests", "src"):
            shutil.rmtree(os.path.join(self.tree, folder))
        self.write("src/LAYERS", "floor base\n")
        self.assertEqual(self.check()[0], 1)

    def test_include_of_a_higher_floor(self):
        self.refused("src/core/lock.h", '\n\n#include "../sched/sched.h"\n',
                     "src/core/lock.h:3:", "higher floor")

    def test_include_of_a_higher_floor_by_angle_brackets(self):
        self.refused("src/core/lock.h", "#  include <sched/sched.h>\n", "higher floor")

    def test_base_knows_nothing(self):
        self.refused("src/base/list.h", '#include "../plat/plat.c"\n', "higher floor")

    def test_group_and_io_do_not_know_each_other(self):
        self.refused("src/group/group.h", '#include "../io/poll.h"\n', "do not know each other")
        self.write("src/group/group.h", "")
        self.refused("src/io/poll.h", '#include "../group/group.h"\n', "do not know each other")

    def test_nobody_includes_the_roof(self):
        self.refused("src/group/group.h", '#include "../runtime.c"\n', "the roof")

    def test_a_folder_without_floor(self):
        self.refused("src/attic/x.c", "", "on no floor")

    def test_a_file_that_does_not_exist(self):
        self.refused("src/core/lock.h", '#include "nothing.h"\n', "no such file")

    def test_the_library_includes_no_test(self):
        self.refused("src/core/lock.h", '#include "../../tests/lib/knittest.h"\n',
                     "may not include")

    def test_the_system_behind_plat(self):
        self.refused("src/sched/sched.h", "#include <sys/mman.h>\n", "operating system")

    def test_public_header_sees_the_inside(self):
        self.refused("include/knit/chan.h", '#include "../../src/core/lock.h"\n', "public header")

    def test_public_header_sees_the_system(self):
        self.refused("include/knit/chan.h", "#include <pthread.h>\n", "public header")

    def test_public_headers_in_a_cycle(self):
        self.write("include/knit/base.h", '#include "chan.h"\n')
        status, output = self.check()
        self.assertEqual(status, 1, output)
        self.assertIn("include/knit/base.h -> include/knit/chan.h -> include/knit/base.h", output)

    def test_the_street_sees_the_inside(self):
        for path in ("examples/hello.c", "bench/spawn/peer.cpp", "tests/api/test_chan.c"):
            with self.subTest(path=path):
                self.refused(path, '#include "../../src/core/lock.h"\n#include <core/lock.h>\n',
                             "sees only <knit.h>")

    def test_platform_conditional_outside_plat(self):
        self.refused("src/core/lock.h", "#if defined(X) && \\\n    defined(__linux__)\n#endif\n",
                     "src/core/lock.h:2:", "__linux__")
        self.write("src/core/lock.h", "")
        self.refused("include/knit/base.h", "#ifdef __aarch64__\n#endif\n", "__aarch64__")

    def test_thread_local_outside_plat(self):
        for word in ("_Thread_local", "thread_local", "__thread"):
            with self.subTest(word=word):
                self.refused("src/core/lock.c", "/* %s */\nstatic %s int x;\n" % (word, word),
                             "src/core/lock.c:2:", word)

    def test_line_comment(self):
        for path in ("src/core/lock.c", "tests/unit/test_lock.c", "examples/hello.c"):
            with self.subTest(path=path):
                self.refused(path, "int a; // b\n", path + ":1:", "// comment")

    def test_long_file(self):
        self.refused("src/core/lock.c", "\n" * 701, "701 lines")


if __name__ == "__main__":
    unittest.main()

#!/usr/bin/env python3
"""Compile and run the C blocks of Markdown documents, as they stand there.

Usage: doc_examples.py ROOT LIB_DIR WORK_DIR DOCUMENT...      (CC may be set)

A ```c block with a main is a whole program. Every other ```c block is the body of a function, which
must return 0 or come to its end. What such a body needs at file scope stands before it:

  ```c top               functions and types the reader should see, good until the next heading
  <!-- top               the same, not shown, good for the rest of the document
  ...
  -->
  <!-- check EXPRESSION -->     after a block: what must hold at its end

Each program must compile without warnings, end in time, and exit with 0. A document without a block
is an error: it would be one that nobody checks.
"""

import os
import re
import shutil
import subprocess
import sys

PROLOGUE = "#include <knit.h>\n#include <stdio.h>\n#include <string.h>\n"
BODY = """
static int snippet(void)
{
#line %(line)d "%(document)s"
%(body)s
%(check)s
return 0; /* no deeper than the snippet: clang looks at the indent of what follows an if */
}

int main(void)
{
    return snippet() != 0;
}
"""
FLAGS = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-Wno-unused-function", "-pthread"]


class Block:
    def __init__(self, line, code, top):
        self.line = line  # of its first line of code
        self.code = code
        self.top = top  # file-scope code before it: (line, code)
        self.check = "true"


def blocks_of(text):
    """The blocks that are to be run."""
    found, hidden, shown = [], [], []
    lines = text.split("\n")
    i = 0
    while i < len(lines):
        line, start = lines[i], i + 2
        i += 1
        if line.startswith("#"):
            shown = []
        check = re.fullmatch(r"<!-- check (.*) -->", line)
        if check:
            found[-1].check = check.group(1)
        end = {"```c": "```", "```c top": "```", "<!-- top": "-->"}.get(line.strip())
        if end:
            stop = lines.index(end, i)
            code = "\n".join(lines[i:stop])
            i = stop + 1
            if line == "```c":
                found.append(Block(start, code, hidden + shown))
            else:
                (hidden if end == "-->" else shown).append((start, code))
        elif line.startswith("```"):
            i = lines.index("```", i) + 1  # another language
    return found


def program_of(block, document):
    if re.search(r"^int main\(", block.code, re.MULTILINE):
        return block.code + "\n"
    top = "".join('\n#line %d "%s"\n%s\n' % (line, document, code) for line, code in block.top)
    check = "" if block.check == "true" else "if (!(%s)) return 1;" % block.check
    return PROLOGUE + top + BODY % {"line": block.line, "document": document, "body": block.code,
                                    "check": check}


def run(program, name, root, lib, work):
    """True: it compiles, and exits with 0."""
    source, binary = os.path.join(work, name + ".c"), os.path.join(work, name)
    with open(source, "w", encoding="utf-8") as f:
        f.write(program)
    compiled = subprocess.run([os.environ.get("CC", "cc"), *FLAGS, "-I" + root + "/include", "-o",
                               binary, source, "-L" + lib, "-lknit", "-Wl,-rpath," + lib])
    if compiled.returncode != 0:
        return False
    try:
        ended = subprocess.run([binary], cwd=work, timeout=30, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True)
    except subprocess.TimeoutExpired:
        print("%s: does not end" % name)
        return False
    if ended.returncode != 0:
        print("%s: exit status %d\n%s" % (name, ended.returncode, ended.stdout))
    return ended.returncode == 0


def main(root, lib, work, *documents):
    shutil.rmtree(work, ignore_errors=True)
    os.makedirs(work)
    wrong = count = 0
    for document in documents:
        with open(os.path.join(root, document), encoding="utf-8") as f:
            blocks = blocks_of(f.read())
        if not blocks:
            print("%s: no ```c block" % document)
            wrong += 1
        for block in blocks:
            name = "%s_%d" % (re.sub(r"\W", "_", os.path.splitext(document)[0]), block.line)
            if not run(program_of(block, document), name, root, lib, work):
                print("%s:%d: failed" % (document, block.line))
                wrong += 1
            count += 1
    print("%d blocks, %d failed" % (count, wrong))
    return wrong != 0


if __name__ == "__main__":
    if len(sys.argv) < 5:
        sys.exit(__doc__)
    sys.exit(main(*(os.path.abspath(a) for a in sys.argv[1:4]), *sys.argv[4:]))

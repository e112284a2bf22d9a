#!/usr/bin/env python3
"""Check the links of the documentation: every *.md of the project.

A link to a file of the project must lead to one, and #anchor to a heading of it. A link whose text
is a name in code style says more, and that is checked, too:

    [`try_go_without_a_limit_always_starts`](../tests/api/test_errgroup_limit.c)

The file must have the name: a C file below tests/ as a test in its table, any other file as a word.
Links to the rest of the world are not followed.

Usage: check_links.py [ROOT]      exit status 1 if anything was found
"""
import os
import re
import sys

from check_layers import Source

TOKEN = re.compile(r"\[(?P<text>(?:`[^`]*`|[^\[\]`])*)\]\((?P<target>[^()\s]*)\)|`[^`]*`")
FENCE = re.compile(r"^ *(```|~~~).*?^ *\1 *$", re.M | re.S)
HEADING = re.compile(r"^#{1,6} +(.*?) *#*$", re.M)
NAME = re.compile(r"`([A-Za-z_]\w*)`\Z")
TEST = r"\b(?:BOTH|THREAD|TASK|COLD|ALONE)\(\s*%s\s*\)"


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def without_fences(text):
    return FENCE.sub(lambda m: re.sub(r"[^\n]", "", m.group()), text)


def documents(root):
    """All *.md below root, but for what is no part of the project."""
    found = []
    for folder, folders, names in os.walk(root):
        folders[:] = [f for f in folders if f != "build" and not f.startswith(".")]
        found += [os.path.join(folder, n) for n in names if n.endswith(".md")]
    return sorted(found)


def anchors(path):
    """As the usual renderers make them: lower case, no punctuation, dashes for spaces."""
    return {re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-")
            for h in HEADING.findall(without_fences(read(path)))}


class Links:
    def __init__(self, root):
        self.root = os.path.realpath(root)
        self.sources = {}
        self.complaints = []
        self.links = self.names = 0

    def has_name(self, path, name):
        in_tests = os.path.relpath(path, self.root).startswith("tests" + os.sep)
        if in_tests and path.endswith(".c"):
            if path not in self.sources:
                self.sources[path] = Source(path).code
            return re.search(TEST % name, self.sources[path])
        return re.search(r"\b%s\b" % name, read(path))

    def wrong_with(self, document, text, target):
        """What is wrong with one link; None: nothing."""
        if re.match(r"[a-z][a-z0-9+.-]*:", target):
            return None
        self.links += 1
        file, _, anchor = target.partition("#")
        path = os.path.realpath(os.path.join(os.path.dirname(document), file)) if file else document
        if file.startswith("/") or not path.startswith(self.root + os.sep):
            return "leads out of the project"
        if not os.path.exists(path):
            return "no such file"
        if anchor and not (path.endswith(".md") and anchor in anchors(path)):
            return "no such heading"
        name = NAME.match(text)
        if name and os.path.isfile(path) and not path.endswith(".md"):
            self.names += 1
            if not self.has_name(path, name.group(1)):
                return "the file has no test or word of this name"
        return None

    def check(self, document):
        text = without_fences(read(document))
        for m in TOKEN.finditer(text):
            if m["target"] is None:
                continue
            wrong = self.wrong_with(document, m["text"], m["target"])
            if wrong:
                line = text.count("\n", 0, m.start()) + 1
                self.complaints.append("%s:%d: %s: %s" % (
                    os.path.relpath(document, self.root), line, m.group(), wrong))


def main():
    links = Links(sys.argv[1] if len(sys.argv) > 1 else ".")
    found = documents(links.root)
    for document in found:
        links.check(document)
    for complaint in links.complaints:
        print(complaint)
    print("%d documents, %d links, %d of them with a name" % (len(found), links.links, links.names))
    if not links.links:
        print("no link found: is this the project?")
    sys.exit(1 if links.complaints or not links.links else 0)


if __name__ == "__main__":
    main()

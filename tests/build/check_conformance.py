#!/usr/bin/env python3
"""Check docs/conformance.md: every case of every system is there once, and what it links to is a test
of that case.

A row is | ID | links to tests | what differs |. A test carries its ID in its name (kr_4_..., sem1_...)
or, written out (KR-4), in the comment above it or in the heading of its section. A row without a test
says "not made anew" and why, or "as" which row. That the tests exist: tools/check_links.py.

Usage: check_conformance.py [ROOT]      exit status 1 if anything was found
"""
import os
import re
import sys

DOCUMENT = os.path.join("docs", "conformance.md")

# The number of the last case of each system, and those that have no number alone.
LAST = {
    "XEG": 5, "KR": 6, "NEIL": 5, "FB": 8, "SG": 5, "ESG": 14, "GB": 7, "HU": 17, "SCH": 11, "PWG": 3,
    "CWG": 9, "CP": 9, "CPL": 8, "CEP": 7, "CCX": 13, "CRP": 5, "CRE": 9, "CRC": 13, "CS": 6, "CI": 22,
    "SEM": 8, "SF": 10, "SM": 3, "CTX": 29, "WG": 6, "ONC": 12, "MUX": 4, "SEMA": 1, "RWM": 3, "CND": 6,
    "POL": 7, "MAP": 10, "HTM": 4, "CH": 15,
}
OTHERS = ["XEG-H1", "XEG-H2", "XEG-H3", "SEMA-P1", "SEMA-P2", "SF-E"]

ROW = re.compile(r"^\| ([A-Z]+-\w+) \| (.*?) \| (.*?)\|$", re.M)
LINK = re.compile(r"\[`(\w+)`\]\(([^)]+)\)")
COMMENT_OR_TEST = re.compile(r"(/\*.*?\*/)|^static void (\w+)\(void\)$", re.S | re.M)


def wanted():
    return ["%s-%d" % (system, i) for system, last in LAST.items()
            for i in range(1, last + 1)] + OTHERS


def what_is_said_of(path):
    """Of each function of a file: the heading of its section and the comment that ends above it."""
    with open(path, encoding="utf-8") as f:
        text = f.read()
    said, heading, above, end = {}, "", "", 0
    for m in COMMENT_OR_TEST.finditer(text):
        if m[2]:
            near = above if not text[end:m.start()].strip() else ""
            said[m[2]] = heading + near
        else:
            above, end = m[1], m.end()
            if m[1].startswith("/* ----"):
                heading = m[1]
    return said


def carries(case, name, said):
    in_name = r"(?:^|_)%s(?:_|$)" % case.lower().replace("-", "_?")
    return re.search(in_name, name) or re.search(r"\b%s\b" % case, said)


def complaints(root):
    with open(os.path.join(root, DOCUMENT), encoding="utf-8") as f:
        rows = ROW.findall(f.read())
    seen, files = set(), {}
    for case, tests, differs in rows:
        if case in seen:
            yield "%s: twice" % case
        seen.add(case)
        links = LINK.findall(tests)
        if not links and not re.match(r"not made anew: \w|as [A-Z]", differs):
            yield "%s: no test, and no word why" % case
        for name, target in links:
            path = os.path.normpath(os.path.join(root, "docs", target))
            if path not in files:
                files[path] = what_is_said_of(path) if os.path.isfile(path) else {}
            if name not in files[path]:
                yield "%s: no test %s in %s" % (case, name, target)
            elif not carries(case, name, files[path][name]):
                yield "%s: %s does not say that it is this case" % (case, name)
    for case in wanted():
        if case not in seen:
            yield "%s: missing" % case
    for case in sorted(seen - set(wanted())):
        yield "%s: no case of this system" % case


def main():
    found = list(complaints(sys.argv[1] if len(sys.argv) > 1 else "."))
    for complaint in found:
        print("%s: %s" % (DOCUMENT, complaint))
    print("%d cases of %d systems" % (len(wanted()), len(LAST)))
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()

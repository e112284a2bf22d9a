#!/usr/bin/env python3
"""Check the walls of the house.

Reads src/LAYERS and reports, as file:line: message, every
  - include that goes up a floor, across one, or out of the house where that is not allowed;
  - public header that includes anything but public headers and a few system ones, or in a cycle;
  - #if on an operating system or a processor outside src/plat;
  - thread-local outside src/plat;
  - // comment in our C code;
  - file of the library with more than 700 lines.

Usage: check_layers.py [ROOT]      exit status 1 if anything was found
"""
import os
import re
import sys

MAX_LINES = 700

PLATFORM_MACRO = re.compile(
    r"\b(__linux__|__linux|linux|__gnu_linux__|__ANDROID__|__unix__|__unix|__APPLE__|__MACH__"
    r"|__FreeBSD__|__NetBSD__|__OpenBSD__|__DragonFly__|__sun|__CYGWIN__|__MINGW32__|_WIN32|_WIN64"
    r"|__x86_64__|__x86_64|__amd64__|__amd64|__i386__|__i386|__aarch64__|__arm__|__arm64__"
    r"|__riscv|__riscv_xlen|__powerpc__|__powerpc64__|__s390x__|__mips__|__loongarch__|__LP64__"
    r"|__BYTE_ORDER__|_M_X64|_M_ARM64)\b")
CONDITIONAL = re.compile(r"^[ \t]*#[ \t]*(?:if|ifdef|ifndef|elif)\b((?:.*\\\n)*.*)", re.M)
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(["<])([^">\n]+)[">]', re.M)
THREAD_LOCAL = re.compile(r"\b(_Thread_local|thread_local|__thread)\b")
SCAN = re.compile(
    r'(?P<block>/\*.*?(?:\*/|\Z))|(?P<line>//(?:\\\n|[^\n])*)'
    r'|(?P<string>"(?:\\.|[^"\\\n])*"?)|(?P<char>\'(?:\\.|[^\'\\\n])*\'?)', re.S)


def blank(text):
    return re.sub(r"[^\n]", " ", text)


class Source:
    """One file: its text without comments, the same without strings, and its // comments."""

    def __init__(self, path):
        with open(path, encoding="utf-8", errors="replace") as f:
            self.text = f.read()
        self.line_comments = []
        if path.endswith(".S"):  # // and ' mean other things there
            self.bare = re.sub(r"/\*.*?\*/", lambda m: blank(m.group()), self.text, flags=re.S)
            self.code = self.bare
            return
        self.bare = SCAN.sub(self._drop_comment, self.text)
        self.code = SCAN.sub(lambda m: blank(m.group()), self.text)

    def _drop_comment(self, m):
        if m.lastgroup == "line":
            self.line_comments.append(m.start())
        return blank(m.group()) if m.lastgroup in ("block", "line") else m.group()

    def line(self, offset):
        return self.text.count("\n", 0, offset) + 1

    def includes(self):
        for m in INCLUDE.finditer(self.bare):
            yield self.line(m.start(1)), m.group(1) == '"', m.group(2)


class Layers:
    """The content of src/LAYERS."""

    def __init__(self, path):
        self.rank = {}
        self.roof = []
        self.street = []
        self.public = set()
        self.os = []  # (headers, folders that may include them)
        with open(path, encoding="utf-8") as f:
            for number, line in enumerate(f, 1):
                words = line.split("#")[0].split()
                if words:
                    self._take(words[0], words[1:], "%s:%d" % (path, number))

    def _take(self, word, rest, where):
        if word == "floor":
            above = max(self.rank.values(), default=-1) + 1
            self.rank.update((folder, above) for folder in rest)
        elif word == "roof":
            self.roof += rest
        elif word == "street":
            self.street += rest
        elif word == "public":
            self.public.update(rest)
        elif word == "os" and ":" in rest:
            colon = rest.index(":")
            self.os.append((rest[colon + 1:], rest[:colon]))
        else:
            sys.exit("%s: not understood: %s" % (where, word))

    def os_folders(self, name):
        """The folders that may include this system header; None: everybody."""
        found = None
        for headers, folders in self.os:
            if any(name == h or (h.endswith("/") and name.startswith(h)) for h in headers):
                found = (found or []) + folders
        return found


class Checker:
    def __init__(self, root):
        self.root = os.path.abspath(root)
        self.layers = Layers(os.path.join(self.root, "src", "LAYERS"))
        self.sources = {}
        self.findings = []
        self.checked = 0

    def report(self, path, line, message):
        self.findings.append((path, line, message))

    def source(self, path):
        if path not in self.sources:
            self.sources[path] = Source(os.path.join(self.root, path))
        return self.sources[path]

    def files(self, folder, endings=(".c", ".h", ".S")):
        for where, folders, names in os.walk(os.path.join(self.root, folder)):
            folders[:] = sorted(d for d in folders if not d.startswith("."))
            for name in sorted(names):
                if name.endswith(endings):
                    yield os.path.relpath(os.path.join(where, name), self.root)

    def resolve(self, includer, quoted, name):
        """The file of this project that is meant, relative to the root; None: a system header."""
        places = [os.path.dirname(includer)] if quoted else []
        for place in places + ["src", "include"]:
            path = os.path.normpath(os.path.join(place, name))
            if os.path.isfile(os.path.join(self.root, path)):
                return path
        return None

    # ---- who may include whom

    def folder_of(self, path):
        """The folder of a floor a file of src/ is in; the file's own name for one in no folder."""
        return path.split("/")[1]

    def check_library_file(self, path):
        folder = self.folder_of(path)
        on_roof = folder in self.layers.roof
        if not on_roof and folder not in self.layers.rank:
            self.report(path, 1, "is on no floor: src/LAYERS does not name '%s'" % folder)
            return
        for line, quoted, name in self.source(path).includes():
            target = self.resolve(path, quoted, name)
            if target is None:
                if quoted:
                    self.report(path, line, 'no such file in the project: "%s"' % name)
                else:
                    self.check_system_header(path, line, folder, name)
            elif target.startswith("src/"):
                if not on_roof:
                    self.check_step(path, line, folder, self.folder_of(target))
            elif not target.startswith("include/"):
                self.report(path, line, "the library may not include %s" % target)

    def check_system_header(self, path, line, folder, name):
        allowed = self.layers.os_folders(name)
        if allowed is not None and folder not in allowed:
            self.report(path, line, "<%s> is the operating system's; it may be included by: %s"
                        % (name, " ".join(allowed)))

    def check_step(self, path, line, folder, other):
        rank = self.layers.rank
        if other == folder:
            return
        if other in self.layers.roof:
            self.report(path, line, "%s may not include the roof (%s)" % (folder, other))
        elif other not in rank:
            self.report(path, line, "%s is on no floor" % other)
        elif rank[other] > rank[folder]:
            self.report(path, line, "%s may not include %s: it is a higher floor" % (folder, other))
        elif rank[other] == rank[folder]:
            self.report(path, line, "%s and %s do not know each other" % (folder, other))

    def check_public_header(self, path):
        for line, quoted, name in self.source(path).includes():
            target = self.resolve(path, quoted, name)
            if target is None:
                if quoted or name not in self.layers.public:
                    self.report(path, line, "a public header may not include %s" % name)
            elif not target.startswith("include/"):
                self.report(path, line, "a public header may not include %s" % target)

    def check_cycles(self, headers):
        done, stack = set(), []

        def visit(path):
            if path in done:
                return
            stack.append(path)
            for line, quoted, name in self.source(path).includes():
                target = self.resolve(path, quoted, name)
                if target in stack:
                    loop = stack[stack.index(target):] + [target]
                    self.report(path, line, "headers include each other: " + " -> ".join(loop))
                elif target is not None and target.startswith("include/"):
                    visit(target)
            stack.pop()
            done.add(path)

        for path in headers:
            visit(path)

    def check_street_file(self, path):
        for line, quoted, name in self.source(path).includes():
            target = self.resolve(path, quoted, name)
            if target is not None and target.startswith("src/"):
                self.report(path, line, "sees only <knit.h> and <knit/...>, not %s" % target)

    # ---- what may stand in a file

    def check_platform(self, path):
        source = self.source(path)
        for m in CONDITIONAL.finditer(source.bare):
            for found in PLATFORM_MACRO.finditer(m.group(1)):
                line = source.line(m.start(1) + found.start())
                self.report(path, line, "#if on %s outside src/plat" % found.group())
        for m in THREAD_LOCAL.finditer(source.code):
            self.report(path, source.line(m.start()), "%s outside src/plat" % m.group())

    def check_comments(self, path):
        source = self.source(path)
        for offset in source.line_comments:
            self.report(path, source.line(offset), "// comment; write /* ... */")

    def check_length(self, path):
        lines = self.source(path).text.count("\n")
        if lines > MAX_LINES:
            self.report(path, lines, "%d lines; %d are the limit" % (lines, MAX_LINES))

    def run(self):
        library = list(self.files("src"))
        public = list(self.files("include"))
        for path in library:
            self.check_library_file(path)
        for path in public:
            self.check_public_header(path)
        self.check_cycles(public)
        for folder in self.layers.street:
            for path in self.files(folder, (".c", ".h", ".cc", ".cpp", ".hpp")):
                self.check_street_file(path)
        for path in library + public:
            self.check_length(path)
            if not path.startswith("src/plat/"):
                self.check_platform(path)
        ours = library + public
        for folder in ("tests", "examples", "bench", "cli"):
            ours += self.files(folder, (".c", ".h"))
        for path in ours:
            self.check_comments(path)
        self.checked = len(ours)
        return sorted(set(self.findings))


def main():
    default = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
    checker = Checker(sys.argv[1] if len(sys.argv) > 1 else default)
    findings = checker.run()
    for path, line, message in findings:
        print("%s:%d: %s" % (path, line, message))
    print("%d files checked, %d findings" % (checker.checked, len(findings)))
    return 1 if findings or checker.checked == 0 else 0


if __name__ == "__main__":
    sys.exit(main())

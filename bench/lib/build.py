"""Builds the programs: knit's by CMake, each peer's by what its language has.

A contender is called like its file: spawn/go_pool.go is the contender go_pool of spawn. What cannot
be built raises Missing with the reason, which ends up in the tables.
"""
import glob
import os
import re
import shutil
import subprocess

BENCH = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ROOT = os.path.dirname(BENCH)
OUT = os.path.join(ROOT, "build", "bench")
RELEASE = os.path.join(ROOT, "build", "release")

WARNINGS = ["-Wall", "-Wextra"]
FLAGS = {  # the library of a contender, and the Debian package that has it
    "tbb": (["-ltbb"], "libtbb-dev"),
    "fiber": (["-lboost_fiber", "-lboost_context"], "libboost-fiber-dev"),
    "openmp": (["-fopenmp"], "gcc"),
    "uv": (["-luv"], "libuv1-dev"),
    "urcu": (["-lurcu-memb", "-lurcu-cds", "-lurcu-common"], "liburcu-dev"),
    "pthread": ([], "gcc"),
    "serial": ([], "gcc"),
    "posix_spawn": ([], "gcc"),
    "xargs": ([], "gcc"),
    "epoll": ([], "gcc"),
    "splice": ([], "gcc"),
    "load": ([], "gcc"),
}
RUST_REGISTRY = "/usr/share/cargo/registry"
GO_SOURCES = "/usr/share/gocode"


# What compilers, linkers, make, CMake, Go and Cargo write when it matters.
TELLING = re.compile(r"error(\[E\d+\])?:|CMake Error|cannot find|undefined reference|"
                     r"No rule to make")


class Missing(Exception):
    pass


def call(argv, env=None, cwd=None):
    """Run a build step; Missing with its most telling line if it fails."""
    try:
        done = subprocess.run(argv, env=env, cwd=cwd, text=True, errors="replace",
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    except FileNotFoundError:
        raise Missing(f"{argv[0]} is not installed")
    if done.returncode != 0:
        lines = [line.strip() for line in done.stdout.splitlines() if line.strip()]
        telling = [line for line in lines if TELLING.search(line)]
        with open(os.path.join(OUT, "failed.log"), "a") as log:
            log.write("$ " + " ".join(argv) + "\n" + done.stdout + "\n")
        reason = (telling or lines or ["no output"])[0]
        if reason.endswith(":"):
            reason += " " + "".join(lines[lines.index(reason) + 1:][:1])
        raise Missing(f"does not build: {reason.replace(ROOT + os.sep, '')}")


def is_fresh(target, sources):
    if not os.path.exists(target):
        return False
    made = os.path.getmtime(target)
    return all(os.path.getmtime(source) <= made for source in sources)


class Builder:
    def __init__(self, say):
        self.say = say
        self.once = {}
        os.makedirs(OUT, exist_ok=True)
        open(os.path.join(OUT, "failed.log"), "w").close()

    def program(self, folder, contender):
        """The path of the program, built if it has to be."""
        if contender == "knit":
            return self.knit(folder)
        found = glob.glob(os.path.join(BENCH, folder, contender + ".*"))
        if len(found) != 1:
            raise Missing(f"no source {folder}/{contender}.*")
        source = found[0]
        kind = os.path.splitext(source)[1]
        if kind == ".rs":
            return self.rust(folder, contender)
        target = os.path.join(OUT, f"{folder}_{contender}")
        near = glob.glob(os.path.join(BENCH, folder, "*.h")) + [source]
        shared = glob.glob(os.path.join(BENCH, "lib", "**", "*.[hg]*"), recursive=True)
        if not is_fresh(target, near + shared):
            self.say(f"building {folder}/{contender}")
            if kind == ".go":
                self.go(source, target)
            else:
                self.compile(contender, kind, source, target)
        return target

    def do_once(self, name, step):
        """Run step the first time; every time its result, or the Missing it raised."""
        if name not in self.once:
            try:
                self.once[name] = step()
            except Missing as why:
                self.once[name] = why
        if isinstance(self.once[name], Missing):
            raise self.once[name]
        return self.once[name]

    # -- knit --

    def configure(self):
        self.say("configuring build/release")
        call(["cmake", "--preset", "release", "-DKNIT_BUILD_BENCH=ON"], cwd=ROOT)

    def cmake_target(self, target):
        self.do_once("configure", self.configure)
        self.say(f"building {target}")
        call(["cmake", "--build", RELEASE, "--parallel", "--target", target])

    def knit(self, folder):
        target = "digest" if folder == "digest" else f"bench_{folder}"
        self.do_once(target, lambda: self.cmake_target(target))
        place = "examples" if folder == "digest" else "bench"
        return os.path.join(RELEASE, place, target)

    # -- peers --

    def compile(self, contender, kind, source, target):
        libraries, package = FLAGS[contender]
        compiler = ["g++", "-std=c++17"] if kind == ".cpp" else ["gcc", "-std=c11"]
        try:
            call(compiler + ["-O3", "-pthread"] + WARNINGS + [source, "-o", target] + libraries)
        except Missing as why:
            raise Missing(f"{why} (Debian: {package})")

    def go(self, source, target):
        env = {key: value for key, value in os.environ.items() if not key.startswith("GO")}
        env.update(GO111MODULE="off", GOCACHE=os.path.join(OUT, "go-cache"), GOFLAGS="",
                   GOPATH=os.path.join(BENCH, "lib", "go") + ":" + GO_SOURCES)
        try:
            call(["go", "build", "-o", target, source], env=env)
        except Missing as why:
            raise Missing(f"{why} (Debian: golang-go golang-golang-x-sync-dev)")

    def rust(self, folder, contender):
        crate = {"crossbeam": "crossbeam-channel"}.get(contender, contender)
        if not glob.glob(f"{RUST_REGISTRY}/{crate}-[0-9]*"):
            raise Missing(f"librust-{crate}-dev is not installed")
        target = self.do_once("rust", self.rust_all)
        return os.path.join(target, f"{folder}_{contender}")

    def rust_all(self):
        """All Rust programs are one Cargo package, which Debian's crates serve as registry."""
        place = os.path.join(OUT, "rust")
        os.makedirs(os.path.join(place, ".cargo"), exist_ok=True)
        write(os.path.join(place, "Cargo.toml"), cargo_toml())
        write(os.path.join(place, ".cargo", "config.toml"),
              '[source.crates-io]\nreplace-with = "debian"\n\n'
              f'[source.debian]\ndirectory = "{RUST_REGISTRY}"\n')
        env = dict(os.environ, CARGO_HOME=os.path.join(place, "home"),
                   CARGO_TARGET_DIR=os.path.join(place, "target"))
        env.pop("RUSTFLAGS", None)
        # Debian's own compiler is the one its crates are known to build with.
        cargos = [c for c in ("/usr/bin/cargo", shutil.which("cargo")) if c and os.path.exists(c)]
        if not cargos:
            raise Missing("cargo is not installed")
        for cargo in dict.fromkeys(cargos):
            self.say(f"building the Rust programs with {cargo}")
            if cargo == "/usr/bin/cargo" and os.path.exists("/usr/bin/rustc"):
                env["RUSTC"] = "/usr/bin/rustc"
            else:
                env.pop("RUSTC", None)
            try:
                call([cargo, "build", "--release", "--offline"], env=env, cwd=place)
                return os.path.join(place, "target", "release")
            except Missing as why:
                failure = why
        raise failure


def write(path, text):
    """Write a file unless it has that text already: what builds looks at the time."""
    if os.path.exists(path):
        with open(path) as old:
            if old.read() == text:
                return
    with open(path, "w") as new:
        new.write(text)


def cargo_toml():
    dependencies = ['libc = "0.2"',
                    'tokio = { version = "1", '
                    'features = ["rt-multi-thread", "sync", "time", "macros", "net", '
                    '"io-util"] }']
    crossbeam = bool(glob.glob(f"{RUST_REGISTRY}/crossbeam-channel-[0-9]*"))
    if crossbeam:
        dependencies.append('crossbeam-channel = "0.5"')
    text = ('[package]\nname = "knitbench"\nversion = "0.0.0"\nedition = "2021"\n\n'
            f'[lib]\npath = "{BENCH}/lib/rust/lib.rs"\n\n'
            "[dependencies]\n" + "\n".join(dependencies) + "\n\n"
            '[profile.release]\nopt-level = 3\nlto = "fat"\ncodegen-units = 1\npanic = "abort"\n')
    for source in sorted(glob.glob(os.path.join(BENCH, "*", "*.rs"))):
        folder = os.path.basename(os.path.dirname(source))
        contender = os.path.basename(source)[:-len(".rs")]
        if folder != "lib" and (crossbeam or contender != "crossbeam"):
            text += f'\n[[bin]]\nname = "{folder}_{contender}"\npath = "{source}"\n'
    return text

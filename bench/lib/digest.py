"""The digest problem: commands instead of programs, and the tree of files they read."""
import os
import random
import re
import shutil
import subprocess

import build

MB = 1_000_000


def tree(megabytes, say):
    """The path of the tree, made if need be; the same bytes on every machine."""
    root = os.path.join(build.OUT, "tree" if megabytes == 500 else f"tree{megabytes}")
    if not os.path.isdir(root):
        say(f"making a tree of {megabytes} MB in {os.path.relpath(root, build.ROOT)}")
        shutil.rmtree(root + ".new", ignore_errors=True)
        make_tree(root + ".new", megabytes * MB)
        os.rename(root + ".new", root)
    return root


def make_tree(root, size):
    """Mostly small files, most bytes in large ones, about 2,500 files for 500 MB."""
    dice = random.Random(20240229)
    number = 0
    while size > 0:
        low, high = dice.choices([(0, 16_000), (16_000, 256_000), (256_000, 2 * MB),
                                  (2 * MB, 32 * MB)], weights=[60, 30, 9.5, 0.5])[0]
        length = min(size, dice.randint(low, high))
        folder = os.path.join(root, f"{number % 7}", f"{number % 61:02d}")
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, f"{number:05d}.bin"), "wb") as out:
            out.write(dice.randbytes(length))
        size -= length
        number += 1


def command(contender, builder, threads, root):
    """What to run; a shell does the pipes of the xargs forms."""
    if contender == "knit":
        return [builder.program("digest", "knit"), "-j", str(threads), root]
    if contender == "go":
        return [builder.program("digest", "go"), str(threads), root]
    hasher = {"xargs": "sha256sum", "xargs_openssl": "openssl dgst -sha256 -r"}[contender]
    for tool in ("find", "xargs", hasher.split()[0]):
        if not shutil.which(tool):
            raise build.Missing(f"{tool} is not installed")
    pipeline = f'find "$1" -type f -print0 | xargs -0 -P{threads} -n16 {hasher}'
    return ["sh", "-c", pipeline, "sh", root]


def sums(argv, env):
    """The sorted checksums a command prints: to compare, and to fill the page cache."""
    done = subprocess.run(argv, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise build.Missing(f"failed ({done.returncode}): {done.stderr.strip()[-200:]}")
    return sorted(re.findall(r"^\\?([0-9a-f]{64}) ", done.stdout, re.MULTILINE))

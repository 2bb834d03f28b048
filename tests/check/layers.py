#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The folders of src/ have an order; a folder includes only from itself and from those before it."""

import re
import sys

sys.dont_write_bytecode = True
from checklib import finish, must, project_files, read  # noqa: E402

ORDER = ("base kernel bytecode trust audit grant filter policy wire client token intercept broker enforce guard inspect "
         "daemon cli").split()
TOP = {"daemon", "cli"}  # programs: neither uses the other
SHARED = "shared"  # bpf/shared, for every folder: compiled as BPF C and as C++
INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]+)"', re.MULTILINE)


def problems_in(name: str, text: str) -> list[str]:
    """NAME is a path from the project's top."""
    parts = name.split("/")
    problems = []
    if parts[0] == "include":
        return [f"{name}: a public header includes {target!r} of src/" for target in INCLUDE.findall(text)
                if target.split("/")[0] in ORDER]
    if parts[0] != "src" or len(parts) < 3:
        return []
    folder = parts[1]
    if folder not in ORDER:
        return [f"{name}: the folder src/{folder} is not in the order of layers"]
    for target in INCLUDE.findall(text):
        head, slash, _ = target.partition("/")
        if target.endswith(".skel.h"):
            if folder != "enforce":
                problems.append(f"{name}: only enforce/ includes skeletons, and this includes {target!r}")
        elif ".." in target.split("/") or not slash:
            problems.append(f"{name}: write {target!r} from src/ on, so that its layer is seen")
        elif head in ORDER:
            upward = ORDER.index(head) > ORDER.index(folder)
            if upward or (head != folder and {head, folder} <= TOP):
                problems.append(f"{name}: {folder}/ must not use {head}/, and includes {target!r}")
        elif head not in (SHARED, "bpfwarden"):
            problems.append(f"{name}: {target!r} is in no known folder")
    return problems


def self_test() -> list[str]:
    bad = {
        "src/base/a.cpp": '#include "kernel/bpf.hpp"',
        "src/grant/b.cpp": '  #  include "token/x.hpp"',
        "src/daemon/c.cpp": '#include "cli/table.hpp"',
        "src/cli/d.cpp": '#include "daemon/main.hpp"',
        "src/base/e.cpp": '#include "../base/fd.hpp"',
        "src/base/f.cpp": '#include "fd.hpp"',
        "src/token/g.cpp": '#include "seal.skel.h"',
        "src/newcomer/h.cpp": "",
        "include/bpfwarden/i.hpp": '#include "base/fd.hpp"',
    }
    good = {
        "src/token/a.cpp": '#include <bpf/bpf.h>\n#include "base/fd.hpp"\n#include "shared/grant.h"\n#include "token/x.hpp"',
        "src/cli/b.cpp": '#include "inspect/x.hpp"\n// #include "daemon/x.hpp"',
        "src/enforce/c.cpp": '#include "seal.skel.h"',
        "tests/unit/base/d.cpp": '#include "token/x.hpp"',
    }
    problems = []
    for name, text in bad.items():
        problems += must(bool(problems_in(name, text)), f"{text!r} in {name} is not found")
    for name, text in good.items():
        problems += must(not problems_in(name, text), f"{text!r} in {name} is wrongly reported")
    return problems


def main() -> None:
    found = []
    for name in project_files():
        if name.endswith((".cpp", ".hpp", ".h", ".c")):
            found += problems_in(name, read(name))
    finish({"self-test": self_test(), "includes": found})


main()

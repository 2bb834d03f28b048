#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Each source file names its licence in its first line (its second after #!)."""

import sys

sys.dont_write_bytecode = True
from checklib import finish, must, project_files, read  # noqa: E402

USER, BPF = "Apache-2.0", "GPL-2.0-only OR BSD-2-Clause"
CODE = (".cpp", ".hpp", ".h", ".c", ".py", ".sh", ".cmake", ".mk")
NAMES = ("CMakeLists.txt", "Makefile", ".clang-format", ".clang-tidy", ".editorconfig")


def is_source(name: str, text: str) -> bool:
    base = name.rsplit("/", 1)[-1]
    if base.startswith(".") and base not in NAMES or "corpus/" in name or "/golden/" in name:
        return False
    return base.endswith(CODE) or base in NAMES or text.startswith("#!") or name.startswith("man/") and base[-2:-1] == "."


def licence_of(name: str) -> str:
    return BPF if name.endswith(".bpf.c") or name.startswith("bpf/") and name.endswith((".c", ".h")) else USER


def problems_in(name: str, text: str) -> list[str]:
    if not is_source(name, text):
        return []
    lines = text.splitlines()[:2]
    wanted = f"SPDX-License-Identifier: {licence_of(name)}"
    place = lines[1:] if lines and lines[0].startswith("#!") else lines[:1]
    if any(line.rstrip(" */").endswith(wanted) for line in place):
        return []
    return [f"{name}: its first line is not `{wanted}`"]


def self_test() -> list[str]:
    bad = {
        "src/base/a.cpp": "#include <x>\n",
        "src/base/b.cpp": "",
        "src/base/c.hpp": f"// SPDX-License-Identifier: {BPF}\n",
        "bpf/d.bpf.c": f"// SPDX-License-Identifier: {USER}\n",
        "bpf/shared/e.h": f"/* SPDX-License-Identifier: {USER} */\n",
        "examples/x/f.bpf.c": f"// SPDX-License-Identifier: {USER}\n",
        "tools/g": "#!/bin/bash\nset -e\n",
        "src/base/h.cpp": f"\n\n// SPDX-License-Identifier: {USER}\n",
        "man/i.1": ".TH I 1\n",
    }
    good = {
        "src/base/a.cpp": f"// SPDX-License-Identifier: {USER}\n",
        "bpf/shared/b.h": f"/* SPDX-License-Identifier: {BPF} */\n",
        "tools/c": f"#!/bin/bash\n# SPDX-License-Identifier: {USER}\n",
        "examples/x/d.c": f"// SPDX-License-Identifier: {USER}\n",
        "man/e.1": f'.\\" SPDX-License-Identifier: {USER}\n',
        "README.md": "# x\n",
    }
    problems = []
    for name, text in bad.items():
        problems += must(bool(problems_in(name, text)), f"{text!r} in {name} is not found")
    for name, text in good.items():
        problems += must(not problems_in(name, text), f"{text!r} in {name} is wrongly reported")
    return problems


def main() -> None:
    files = project_files()
    found = [problem for name in files for problem in problems_in(name, read(name))]
    missing = [f"LICENSES/{each}.txt is missing" for each in (USER, "GPL-2.0-only", "BSD-2-Clause")
               if f"LICENSES/{each}.txt" not in files]
    finish({"self-test": self_test(), "first lines": found, "licence texts": missing})


main()

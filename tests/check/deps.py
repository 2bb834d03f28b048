#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tools/deps finds the machine's own mirror in apt's sources, in both of their formats, and says no where it must."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

sys.dont_write_bytecode = True
from checklib import ROOT, finish, must  # noqa: E402

BOOKWORM = 'ID=debian\nVERSION_ID="12"\nVERSION_CODENAME=bookworm\nPRETTY_NAME="Debian 12"\n'
WANTED = "Types: deb\nURIs: {uris}\nSuites: bookworm-backports\nComponents: main\n"
MIRROR = "https://mirror.example/debian"

# What a machine has in its sources → what of it must be in ours.
SOURCES = {
    "one line": ("sources.list", f"deb {MIRROR} bookworm main\n", WANTED.format(uris=MIRROR)),
    "one line with options": (
        "sources.list",
        f"# deb http://commented.example/debian bookworm main\n"
        f"deb-src {MIRROR}-source bookworm main\n"
        f"deb [arch=amd64,i386 signed-by=/k/a.gpg check-valid-until=no] {MIRROR} bookworm main contrib # note\n",
        WANTED.format(uris=MIRROR) + "Architectures: amd64 i386\nSigned-by: /k/a.gpg\nCheck-valid-until: no\n"),
    "a .list file": ("sources.list.d/x.list", f"deb [trusted=yes] {MIRROR} stable main", WANTED.format(uris=MIRROR) + "Trusted: yes\n"),
    "deb822": (
        "sources.list.d/debian.sources",
        f"# a comment\nTypes: deb deb-src\n# in between\nURIs: {MIRROR} http://second.example/debian\nSuites: bookworm bookworm-updates\n"
        "Components: main\nSigned-By: /k/b.gpg\n\nTypes: deb\nURIs: http://security.example/x\nSuites: bookworm-security\nComponents: main\n",
        WANTED.format(uris=MIRROR + " http://second.example/debian") + "Signed-By: /k/b.gpg\n"),
    "deb822 with the key inside": (
        "sources.list.d/debian.sources",
        f"types: deb\nuris:\n {MIRROR}\nsuites: bookworm\ncomponents: main\nsigned-by:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n mDMEY\n",
        WANTED.format(uris=MIRROR) + "signed-by: \n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n mDMEY\n"),
    "a disabled stanza first": (
        "sources.list.d/debian.sources",
        "Enabled: no\nTypes: deb\nURIs: http://off.example/debian\nSuites: bookworm\nComponents: main\n\n"
        f"Types: deb\nURIs: {MIRROR}\nSuites: bookworm\nComponents: main\n", WANTED.format(uris=MIRROR)),
    "somebody else's archive first": (
        "sources.list", f"deb http://vendor.example/apt stable vendor\ndeb {MIRROR} bookworm main\n", WANTED.format(uris=MIRROR)),
}
# Nothing here is Debian's release with main: an error that says so.
NO_MIRROR = {
    "no sources": "",
    "only security": "deb http://security.example/x bookworm-security main\n",
    "only a CD": "deb cdrom:[Debian]/ bookworm main\n",
    "another release": f"deb {MIRROR} bullseye main\n",
}


def deps(folder: Path, *words: str, release: str = BOOKWORM) -> subprocess.CompletedProcess:
    (folder / "os-release").write_text(release)
    (folder / "apt/sources.list.d").mkdir(parents=True, exist_ok=True)
    environment = {"PATH": os.environ["PATH"], "BPFWARDEN_APT_ETC": str(folder / "apt"), "BPFWARDEN_OS_RELEASE": str(folder / "os-release")}
    return subprocess.run([ROOT / "tools/deps", *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          env=environment)


def sample(run, files: dict):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for path, text in files.items():
            (folder / "apt" / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / "apt" / path).write_text(text)
        return run(folder)


def mirrors() -> list[str]:
    problems = []
    for what, (path, text, wanted) in SOURCES.items():
        done = sample(lambda folder: deps(folder, "source"), {path: text})
        body = "".join(line + "\n" for line in done.stdout.splitlines() if not line.startswith("#"))
        problems += must(done.returncode == 0 and body == wanted, f"{what}: got {body!r} {done.stderr!r}")
    for what, text in NO_MIRROR.items():
        done = sample(lambda folder: deps(folder, "source"), {"sources.list": text} if text else {})
        problems += must(done.returncode == 1 and "no Debian mirror" in done.stderr, f"{what}: got {done.stdout!r} {done.stderr!r}")
    return problems


def other_systems() -> list[str]:
    problems = []
    for release in ('ID=fedora\nPRETTY_NAME="Fedora Linux 40"\n', BOOKWORM.replace('"12"', '"11"'), "ID=ubuntu\nVERSION_ID=24.04\n"):
        done = sample(lambda folder: deps(folder, "--plan", release=release), {})
        problems += must(done.returncode == 1 and "cmake" in done.stderr and "Debian 12" in done.stderr, f"{release!r}: {done.stderr!r}")
    return problems


def removal() -> list[str]:
    def run(folder: Path):
        file = folder / "apt/sources.list.d/bpfwarden-backports.sources"
        file.parent.mkdir(parents=True)
        file.write_text(WANTED.format(uris=MIRROR))
        first, gone = deps(folder, "remove-source"), not file.exists()
        return must(first.returncode == 0 and gone, "the source is still there") + must(
            deps(folder, "remove-source").returncode == 0, "removing nothing fails")

    return sample(run, {}) if os.geteuid() == 0 else []


def main() -> None:
    wrong = sample(lambda folder: deps(folder, "--frobnicate"), {})
    finish({"the mirror": mirrors(), "other systems": other_systems(), "remove-source": removal(),
            "usage": must(wrong.returncode == 2 and "usage:" in wrong.stderr, "an unknown option is taken")})


main()

# SPDX-License-Identifier: Apache-2.0
"""Reads the machine's apt sources, to learn which mirror and keyring it already trusts. Nothing is changed."""

import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path

_CODENAMES = "buster|bullseye|bookworm|trixie|forky|duke|sid|stable|oldstable|testing|unstable|experimental"
_MAIN = re.compile(rf"({_CODENAMES})(-updates|-backports|-proposed-updates)?")
_SECURITY = re.compile(rf"({_CODENAMES})-security")


@dataclass
class Source:
    uris: list
    suites: list
    components: list
    options: dict = field(default_factory=dict)  # Signed-By and Trusted, as written


def parse_deb822(text: str) -> list:
    sources = []
    for stanza in re.split(r"\n[ \t]*\n", text):
        fields, last = {}, None
        for line in stanza.splitlines():
            if line.startswith("#"):
                continue
            if line[:1] in (" ", "\t") and last:
                fields[last] += "\n" + line
            elif ":" in line:
                last, value = line.split(":", 1)
                last = last.strip().lower()
                fields[last] = value.strip()
        if "deb" not in fields.get("types", "").split() or fields.get("enabled", "yes").lower() in ("no", "false", "0"):
            continue
        options = {key: fields[low] for key, low in (("Signed-By", "signed-by"), ("Trusted", "trusted")) if low in fields}
        sources.append(Source(fields.get("uris", "").split(), fields.get("suites", "").split(),
                              fields.get("components", "").split(), options))
    return sources


def parse_list(text: str) -> list:
    sources = []
    for line in text.splitlines():
        match = re.match(r"\s*deb\s+(?:\[([^]]*)\]\s*)?(\S+)\s+(\S+)\s*([^#]*)", line)
        if not match:
            continue
        options = {}
        for word in shlex.split(match[1] or ""):
            key, _, value = word.partition("=")
            if key.lower() == "signed-by":
                options["Signed-By"] = value.replace(",", " ")
            elif key.lower() == "trusted":
                options["Trusted"] = value
        sources.append(Source([match[2]], [match[3]], match[4].split(), options))
    return sources


def read_sources(etc: Path = Path("/etc/apt")) -> list:
    sources = []
    files = [etc / "sources.list", *sorted((etc / "sources.list.d").glob("*"))]
    for path in files:
        if not path.is_file():
            continue
        if path.suffix == ".sources":
            sources += parse_deb822(path.read_text(errors="replace"))
        elif path.suffix == ".list":
            sources += parse_list(path.read_text(errors="replace"))
    return sources


def _pick(sources, pattern) -> Source | None:
    for source in sources:
        if source.uris and "main" in source.components and any(pattern.fullmatch(suite) for suite in source.suites):
            return source
    return None


def debian_mirror(sources) -> Source | None:
    return _pick(sources, _MAIN)


def security_mirror(sources) -> Source | None:
    return _pick(sources, _SECURITY)


def stanza(source: Source, suites) -> str:
    """One deb822 stanza for a throw-away configuration: that mirror and keyring, other suites."""
    lines = ["Types: deb", f"URIs: {source.uris[0]}", f"Suites: {' '.join(suites)}", "Components: main",
             "Architectures: amd64"]
    lines += [f"{key}: {value}" for key, value in source.options.items()]
    return "\n".join(lines) + "\n"

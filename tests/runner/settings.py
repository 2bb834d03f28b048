# SPDX-License-Identifier: Apache-2.0
"""The two files a person edits: tests/budgets.toml and tests/expected-skips.toml."""

import tomllib
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from .result import Case


class BadFile(Exception):
    pass


def _load(path: Path) -> dict:
    try:
        data = tomllib.loads(path.read_text())
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise BadFile(f"{path}: {error}") from None
    if data.get("format") != 1:
        raise BadFile(f"{path}: it does not start with `format = 1`")
    return data


@dataclass(frozen=True)
class Budgets:
    minutes: dict  # suite → how long all of it may take
    timeouts: dict  # suite or suite/program → seconds one program may take
    soak: dict = field(default_factory=dict)  # suite/program → seconds in a soak, where ten times as long is too little

    def soak_timeout(self, suite: str, program: str) -> float:
        return self.soak.get(f"{suite}/{program}", 10 * self.timeout(suite, program))

    def timeout(self, suite: str, program: str) -> float:
        family = "vm" if suite.startswith("vm-") else suite
        for key in (f"{suite}/{program}", f"{family}/{program}", suite, family):
            if key in self.timeouts:
                return self.timeouts[key]
        return self.timeouts["default"]


def budgets(path: Path) -> Budgets:
    data = _load(path)
    unknown = data.keys() - {"format", "minutes", "timeouts", "soak"}
    if unknown or "default" not in data.get("timeouts", {}):
        raise BadFile(f"{path}: needs [minutes], and [timeouts] with a default; unknown: {', '.join(unknown) or 'none'}")
    return Budgets(data.get("minutes", {}), data["timeouts"], data.get("soak", {}))


class ExpectedSkips:
    def __init__(self, path: Path):
        self.path, self.entries = path, _load(path).get("skip", [])
        self.used = [False] * len(self.entries)
        for entry in self.entries:
            if entry.keys() - {"suite", "name", "reason", "because", "occasional"} or not {"reason", "because"} <= entry.keys():
                raise BadFile(f"{path}: an entry needs reason and because, and may have suite, name, occasional: {entry}")

    def covers(self, case: Case) -> bool:
        found = False
        for number, entry in enumerate(self.entries):
            if all(_fits(getattr(case, key), entry.get(key, "*")) for key in ("suite", "name", "reason")):
                self.used[number] = found = True
        return found

    def unused(self) -> list[dict]:
        return [entry for entry, used in zip(self.entries, self.used) if not used and not entry.get("occasional")]


def _fits(text: str, patterns) -> bool:
    return any(fnmatchcase(text, pattern) for pattern in ([patterns] if isinstance(patterns, str) else patterns))

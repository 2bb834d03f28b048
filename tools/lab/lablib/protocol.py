# SPDX-License-Identifier: Apache-2.0
"""What the host and the guest's init say to each other. Pure."""

import os
import secrets
import shlex


def script_for(argv) -> bytes:
    """A shell script that becomes ARGV, whatever bytes its words hold."""
    words = [os.fsencode(word) if isinstance(word, str) else word for word in argv]
    if not words:
        raise ValueError("no command")
    for word in words:
        if b"\0" in word:
            raise ValueError("a word of a command cannot hold a NUL byte")
    return b"exec " + b" ".join(quote(word) for word in words) + b"\n"


def quote(word: bytes) -> bytes:
    return shlex.quote(word.decode("latin-1")).encode("latin-1")


def new_mark() -> bytes:
    """Ends a stream. Random, so that no command prints it by accident."""
    return b"<lab-" + secrets.token_hex(16).encode() + b">"


def run_order(mark: bytes, script: bytes, now: float, seed: str) -> bytes:
    return b"run %s %d %d %s\n" % (mark, len(script), round(now), seed.encode()) + script


def save_order(mark: bytes) -> bytes:
    return b"save %s 0 0 -\n" % mark


def idle_order(seconds: int) -> bytes:
    return b"idle - %d 0 -\n" % seconds


class MarkedStream:
    """Passes bytes on until the mark, and holds back only what may be the beginning of it."""

    def __init__(self, mark: bytes, sink):
        self._mark, self._sink, self._held = mark, sink, b""
        self.ended = False

    def feed(self, data: bytes) -> None:
        if self.ended:
            return
        data = self._held + data
        at = data.find(self._mark)
        if at >= 0:
            self._held, self.ended = b"", True
            data = data[:at]
        else:
            keep = _overlap(data, self._mark)
            self._held = data[len(data) - keep:]
            data = data[: len(data) - keep]
        if data:
            self._sink(data)

    def flush(self) -> None:
        if self._held:
            self._sink(self._held)
            self._held = b""


def _overlap(data: bytes, mark: bytes) -> int:
    """Length of the longest end of DATA that begins MARK."""
    for length in range(min(len(data), len(mark) - 1), 0, -1):
        if mark.startswith(data[-length:]):
            return length
    return 0


class Lines:
    """Whole lines out of pieces."""

    def __init__(self):
        self._rest = b""

    def feed(self, data: bytes) -> list:
        *lines, self._rest = (self._rest + data).split(b"\n")
        return [line.decode("ascii", "replace").strip("\r") for line in lines]


def parse_status(line: str) -> tuple | None:
    """("ready", 0), ("end", STATUS) or ("saved", STATUS); None for anything else."""
    words = line.split()
    if words == ["ready"]:
        return "ready", 0
    if len(words) == 2 and words[0] in ("end", "saved") and words[1].isdigit():
        return words[0], int(words[1])
    return None

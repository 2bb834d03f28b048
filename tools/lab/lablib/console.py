# SPDX-License-Identifier: Apache-2.0
"""Reads the kernel's console: did init start, did the kernel panic or oops?"""

import re

STARTED = b"lab: init started"
_PANIC = re.compile(rb"Kernel panic - not syncing[^\r\n]*")
# Not soft lockups and RCU stalls: a busy host makes them in an emulated guest that is well.
_OOPS = re.compile(
    rb"(?:BUG: (?:unable to handle|kernel NULL pointer|KASAN|scheduling while atomic|sleeping function)"
    rb"|Oops: |kernel BUG at |general protection fault|double fault:|invalid opcode: )[^\r\n]*"
)


class Console:
    def __init__(self, log):
        self._log, self._text = log, b""
        self.started = False

    def feed(self, data: bytes) -> None:
        self._log.write(data)
        self._log.flush()
        self._text = (self._text + data)[-(1 << 20):]
        self.started = self.started or STARTED in self._text

    @property
    def panic(self) -> str | None:
        return _first(_PANIC, self._text)

    @property
    def oops(self) -> str | None:
        return _first(_OOPS, self._text)

    def tail(self, lines: int = 60) -> str:
        return "\n".join(self._text.decode("utf-8", "replace").replace("\r", "").splitlines()[-lines:])

    def forget(self) -> None:
        """What was said before a snapshot is not said again after it."""
        self._text = b""


def _first(pattern, text: bytes) -> str | None:
    match = pattern.search(text)
    return match[0].decode("utf-8", "replace").strip() if match else None

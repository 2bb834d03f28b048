# SPDX-License-Identifier: Apache-2.0
"""A guest: boots or restores a machine until init takes orders, then runs commands in it."""

import secrets
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from . import outbox, protocol
from .errors import EXIT_TIMEOUT, LabError
from .machine import Machine

BOOT_TRIES = 5  # some 6.12 kernels oops early in a boot under TCG, one time in three
BOOT_SECONDS = 180
SAVE_SECONDS = 120
GRACE = 2.0  # to read what a panic still prints


class DiedEarly(Exception):
    """The boot ended before init's first line."""


@dataclass
class Outcome:
    status: int
    timed_out: bool = False
    oops: str | None = None


class Guest:
    def __init__(self, machine: Machine):
        self.machine = machine
        self._statuses, self._lines = [], protocol.Lines()
        machine.on("ctl", self._ctl)

    def _ctl(self, data: bytes) -> None:
        for line in self._lines.feed(data):
            status = protocol.parse_status(line)
            if status:
                self._statuses.append(status)

    def wait_ready(self, seconds: float = BOOT_SECONDS) -> None:
        end = time.monotonic() + seconds
        while not self._take("ready"):
            self.machine.poll(0.5)
            console = self.machine.console
            failed = self.machine.gone or console.panic or console.oops
            if failed and not console.started:
                self._drain()
                if not console.started:
                    raise DiedEarly(console.panic or console.oops or self.machine.last_words() or "QEMU ended")
            if self.machine.gone or console.panic:
                self._fail("the guest died while it was being prepared")
            if time.monotonic() > end:
                self._fail(f"the guest was not ready after {seconds:.0f} s" + (f" ({console.oops})" if console.oops else ""))

    def run(self, script: bytes, out, err, timeout: float | None) -> Outcome:
        """Runs SCRIPT, passes on its output, and says how it ended. Raises LabError if the guest itself fails."""
        mark = protocol.new_mark()
        streams = [protocol.MarkedStream(mark, out), protocol.MarkedStream(mark, err)]
        for name, stream in zip(("out", "err"), streams):
            self.machine.on(name, stream.feed)
        self.machine.send("ctl", protocol.run_order(mark, script, time.time(), secrets.token_hex(32)))
        status, end = None, None if timeout is None else time.monotonic() + timeout
        while True:
            status = status if status is not None else self._take("end")
            if status is not None and all(stream.ended for stream in streams):
                return Outcome(status, oops=self.machine.console.oops)
            if self.machine.gone or self.machine.console.panic:
                self._drain()
                for stream in streams:
                    stream.flush()
                self._fail("the guest died before the command ended")
            if end is not None and time.monotonic() > end:
                for stream in streams:
                    stream.flush()
                return Outcome(EXIT_TIMEOUT, timed_out=True, oops=self.machine.console.oops)
            self.machine.poll(0.5 if end is None else min(0.5, max(0.0, end - time.monotonic())))

    def idle(self, seconds: int) -> None:
        """Lets guest time pass."""
        self.machine.send("ctl", protocol.idle_order(seconds))
        self._await("end", "the guest did not come back from its pause")

    def save(self, folder: Path) -> None:
        """Copies what lies in the guest's /out to FOLDER."""
        mark = protocol.new_mark()
        with outbox.Receiver() as receiver:
            stream = protocol.MarkedStream(mark, receiver.write)
            self.machine.on("files", stream.feed)
            self.machine.send("ctl", protocol.save_order(mark))
            status = self._await("saved", "the guest did not hand over /out", lambda: stream.ended)
            if status:
                raise LabError("the guest could not pack /out", f"tar ended with status {status}",
                               "did the command leave a guest that can run no program?")
            receiver.unpack(folder)

    def _await(self, word: str, what: str, also=lambda: True) -> int:
        status, end = None, time.monotonic() + SAVE_SECONDS
        while True:
            status = status if status is not None else self._take(word)
            if status is not None and also():
                return status
            if self.machine.gone or self.machine.console.panic or time.monotonic() > end:
                self._drain()
                self._fail(what)
            self.machine.poll(0.5)

    def _take(self, word: str) -> int | None:
        for index, (found, status) in enumerate(self._statuses):
            if found == word:
                del self._statuses[index]
                return status if word != "ready" else 1
        return None

    def _drain(self) -> None:
        end = time.monotonic() + GRACE
        while not self.machine.gone and time.monotonic() < end:
            self.machine.poll(0.1)

    def _fail(self, what: str):
        console = self.machine.console
        # While QEMU lives its words would be a warning about the processor, not a cause.
        words = self.machine.last_words() if self.machine.gone and not self.machine.shutdown else ""
        why = console.panic or console.oops or words or (
            f"it stopped by itself ({self.machine.shutdown})" if self.machine.shutdown else "it hangs")
        raise LabError(what, why, f"read its console:\n{console.tail()}")


def boot(make_machine, seconds: float = BOOT_SECONDS) -> Guest:
    """A prepared guest. A boot that dies before init's first line is tried again; nothing later is."""
    died = []
    for _ in range(BOOT_TRIES):
        machine = make_machine()
        try:
            guest = Guest(machine)
            guest.wait_ready(seconds)
            return guest
        except DiedEarly as error:
            died.append(str(error))
            tail = machine.console.tail()
            machine.close()
            print(f"lab: boot {len(died)} died early: {error}", file=sys.stderr)
        except BaseException:
            machine.close()
            raise
    raise LabError(f"the kernel died {BOOT_TRIES} times before init started", died[-1], f"read its console:\n{tail}")

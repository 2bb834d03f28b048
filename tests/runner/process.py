# SPDX-License-Identifier: Apache-2.0
"""Runs one program with a limit of time, its output in a file."""

import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Ended:
    status: int  # negative: the signal
    timed_out: bool
    seconds: float
    text: str

    def badly(self, good=(0,)) -> str:
        """How it ended, unless with one of the good statuses."""
        if self.timed_out:
            return f"still running after {self.seconds:.0f} s, and killed"
        if self.status < 0:
            return f"killed by {signal.Signals(-self.status).name}"
        return "" if self.status in good else f"ended with status {self.status}"


def run(argv, log: Path, timeout: float, cwd: Path, environment: dict | None = None) -> Ended:
    """A session of its own, so that a limit ends the program's children too. The output goes to a file and not a pipe: a
    child that outlives the program would keep a pipe open for ever."""
    log.parent.mkdir(parents=True, exist_ok=True)
    log.unlink(missing_ok=True)
    start = time.monotonic()
    with log.open("wb") as out:
        try:
            process = subprocess.Popen([str(word) for word in argv], stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                                       cwd=cwd, env={**os.environ, **(environment or {})}, start_new_session=True)
        except OSError as error:
            return Ended(127, False, 0, f"cannot run {argv[0]}: {error.strerror}")
        timed_out = False
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            timed_out = True
        finally:
            _end(process)
    return Ended(process.returncode, timed_out, time.monotonic() - start, log.read_text(errors="replace"))


def _end(process) -> None:
    """First a chance to clean up, then none; also for what a finished program left in its session."""
    for sign, wait in ((signal.SIGTERM, 3), (signal.SIGKILL, 10)):
        try:
            os.killpg(process.pid, sign)
        except ProcessLookupError:
            break
        except PermissionError:  # started through sudo, which passes our SIGTERM on to its command
            process.terminate()
        end = time.monotonic() + wait
        while time.monotonic() < end:
            process.poll()
            try:
                os.killpg(process.pid, 0)
            except (ProcessLookupError, PermissionError):
                break
            time.sleep(0.02)
    process.wait()

# SPDX-License-Identifier: Apache-2.0
"""One QEMU process: its command line, its channels, its end. Knows nothing of what the guest runs."""

import contextlib
import ctypes
import functools
import json
import os
import selectors
import signal
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from .console import Console
from .errors import LabError

QEMU = "qemu-system-x86_64"
LSM = {
    "bpf": "landlock,lockdown,yama,bpf",
    # Debian's own list, with bpf where Debian has it; kernels skip the names that they lack.
    "debian-default": "landlock,lockdown,yama,loadpin,safesetid,integrity,apparmor,selinux,smack,tomoyo,bpf,ipe",
}


@dataclass(frozen=True)
class Setup:
    """All that decides what state a prepared guest is in."""

    image: str
    initramfs: str
    lsm: str = "bpf"
    accel: str = "tcg"
    cpu: str = "max"
    memory: int = 2048
    cpus: int = 2
    count: bool = False
    append: str = ""
    shell: bool = False

    @property
    def cmdline(self) -> str:
        words = ["console=ttyS0", "quiet", "panic=-1", f"lsm={LSM[self.lsm]}"]
        if self.count:
            words.append("mitigations=off")
        if self.shell:
            words.append("lab.shell")
        return " ".join([*words, *self.append.split()])

    @property
    def options(self) -> list:
        if self.count:
            # shift=0: one guest instruction is one guest nanosecond. sleep=off: idle guest time passes at once.
            accel = ["-accel", "tcg,thread=single", "-icount", "shift=0,sleep=off", "-smp", "1", "-cpu", self.cpu]
        elif self.accel == "kvm":
            accel = ["-accel", "kvm", "-smp", str(self.cpus), "-cpu", "host"]
        else:
            accel = ["-accel", "tcg", "-smp", str(self.cpus), "-cpu", self.cpu]
        return ["-M", "pc", *accel, "-m", f"{self.memory}M", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
                "-kernel", self.image, "-initrd", self.initramfs, "-append", self.cmdline]


@functools.cache
def qemu_version() -> str:
    try:
        done = subprocess.run([QEMU, "--version"], stdout=subprocess.PIPE, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise LabError(f"cannot run {QEMU}", str(error), "install the package qemu-system-x86, or run `make deps`") from None
    return done.stdout.splitlines()[0]


def _die_with_parent(parent: int):
    libc = ctypes.CDLL(None, use_errno=True)

    def run():
        libc.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
        if os.getppid() != parent:  # it died between fork and prctl
            os._exit(1)
        os.setpgid(0, 0)  # Ctrl-C is for the lab, which then ends QEMU itself

    return run


class Machine:
    """Channels by name: console, ctl, out, err, files. on(name, function) says who gets a channel's bytes."""

    CHANNELS = ("ctl", "out", "err", "files")

    def __init__(self, setup: Setup, disk: Path, log, incoming: bool = False, ram_file: Path | None = None):
        self.console = Console(log)
        self._handlers, self._selector = {"console": self.console.feed}, selectors.DefaultSelector()
        self._sockets, self._pending, self._qmp_lines, self._replies = {}, {}, b"", []
        self.shutdown = ""
        self.errors = tempfile.TemporaryFile()
        argv = [QEMU, *setup.options]
        ends = []
        for name in ("console", "qmp", *self.CHANNELS):
            # A pair of connected sockets: no path or port that two labs could both want, and QEMU's death is an EOF.
            ours, theirs = socket.socketpair()
            self._sockets[name] = ours
            ends.append(theirs)
            argv += ["-chardev", f"socket,id={name},fd={theirs.fileno()}"]
        argv += ["-serial", "chardev:console", "-mon", "chardev=qmp,mode=control", "-device", "virtio-serial-pci,max_ports=8"]
        for number, name in enumerate(self.CHANNELS, 1):
            argv += ["-device", f"virtserialport,chardev={name},nr={number},name=lab.{name}"]
        # snapshot=on: writes go to an unnamed temporary file, so all guests share one disk image.
        argv += ["-drive", f"file={disk},format=raw,if=none,id=trees,snapshot=on,cache=unsafe", "-device", "virtio-blk-pci,drive=trees"]
        if ram_file:
            # The guest that is saved shares its memory with the file; those restored get private copies of touched pages.
            share = "off" if incoming else "on"
            argv += ["-object", f"memory-backend-file,id=ram,size={setup.memory}M,mem-path={ram_file},share={share}",
                     "-machine", "memory-backend=ram"]
        if incoming:
            argv += ["-incoming", "defer"]
        try:
            self.process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=self.errors, stderr=self.errors,
                pass_fds=[end.fileno() for end in ends], preexec_fn=_die_with_parent(os.getpid()))
        except OSError as error:
            raise LabError(f"cannot run {QEMU}", str(error), "install the package qemu-system-x86, or run `make deps`") from None
        finally:
            for end in ends:
                end.close()
        for name, sock in self._sockets.items():
            sock.setblocking(False)
            self._selector.register(sock, selectors.EVENT_READ, name)

    def on(self, name: str, handler) -> None:
        self._handlers[name] = handler

    def send(self, name: str, data: bytes) -> None:
        self._pending[name] = self._pending.get(name, b"") + data
        self._push(name)

    def _push(self, name: str) -> None:
        sock, data = self._sockets[name], self._pending.get(name, b"")
        with contextlib.suppress(BlockingIOError, BrokenPipeError, ConnectionResetError):
            while data:
                data = data[sock.send(data):]
        self._pending[name] = data
        if name in self._live():
            self._selector.modify(sock, selectors.EVENT_READ | (selectors.EVENT_WRITE if data else 0), name)

    def _live(self) -> set:
        return {key.data for key in self._selector.get_map().values()}

    @property
    def gone(self) -> bool:
        """QEMU has ended and all that it said has been read."""
        return not self._live()

    def poll(self, seconds: float) -> None:
        """Waits at most that long for bytes and hands them out."""
        if self.gone:
            return
        for key, events in self._selector.select(max(0.0, seconds)):
            name = key.data
            if events & selectors.EVENT_WRITE:
                self._push(name)
            if not events & selectors.EVENT_READ:
                continue
            try:
                data = key.fileobj.recv(1 << 16)
            except BlockingIOError:
                continue
            except ConnectionResetError:
                data = b""
            if not data:
                self._selector.unregister(key.fileobj)
            elif name == "qmp":
                self._qmp_data(data)
            else:
                self._handlers.get(name, lambda _: None)(data)

    def _qmp_data(self, data: bytes) -> None:
        *lines, self._qmp_lines = (self._qmp_lines + data).split(b"\n")
        for line in filter(None, map(bytes.strip, lines)):
            message = json.loads(line)
            if "QMP" in message:
                self.send("qmp", b'{"execute":"qmp_capabilities"}\n')
                self._replies.append(None)
            elif message.get("event") == "SHUTDOWN":
                self.shutdown = message["data"].get("reason", "unknown")
            elif "return" in message or "error" in message:
                self._replies.append(message)

    def qmp(self, command: str, limit: float = 60, **arguments):
        """One command to QEMU's monitor, and its answer."""
        if not getattr(self, "_greeted", False):
            self._answer(limit, 2, "qmp_capabilities")  # the greeting, and the answer to our first command
            self._greeted = True
        order = {"execute": command}
        if arguments:
            order["arguments"] = {key.replace("_", "-"): value for key, value in arguments.items()}
        self.send("qmp", json.dumps(order).encode() + b"\n")
        message = self._answer(limit, 1, command)
        if "error" in message:
            raise LabError(f"QEMU refused {command}", message["error"].get("desc", ""))
        return message["return"]

    def _answer(self, limit: float, count: int, command: str):
        end = time.monotonic() + limit
        while len(self._replies) < count:
            if self.gone:
                raise LabError(f"QEMU ended during {command}", self.last_words())
            if time.monotonic() > end:
                raise LabError(f"QEMU did not answer {command} in {limit:.0f} s")
            self.poll(0.5)
        taken, self._replies = self._replies[:count], self._replies[count:]
        return taken[-1]

    def last_words(self) -> str:
        self.errors.seek(0)
        return self.errors.read().decode("utf-8", "replace").strip()[-800:]

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for sock in self._sockets.values():
            sock.close()
        self._selector.close()
        self.errors.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

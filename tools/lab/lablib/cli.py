# SPDX-License-Identifier: Apache-2.0
"""The command line: `lab fetch|pack|run|count|shell|clean`."""

import argparse
import contextlib
import os
import shutil
import signal
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from . import accel, image, initramfs, kernels, manifest, packages, protocol, snapshots, store
from .errors import EXIT_LAB, EXIT_USAGE, LabError
from .guest import boot
from .machine import LSM, Machine, Setup
from .roles import ROLES

COUNT_IDLE = 20  # guest seconds, about one outside: boot's late work must not be counted


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="lab", description="Runs commands in guests with Debian kernels.",
                                  epilog="Exit status: the command's own (128+signal if killed); 124 timeout, 125 the lab or the "
                                         "guest failed, 77 the mirror has no such kernel, 2 usage.")
    sub = top.add_subparsers(dest="verb", required=True, metavar="VERB")

    def verb(name: str, text: str, guest: bool = False):
        one = sub.add_parser(name, help=text, description=text)
        one.add_argument("--manifest", type=Path, default=manifest.DEFAULT, help="what the guest contains (default: tools/lab/guest.toml)")
        if guest:
            one.add_argument("--kernel", required=True, metavar="ROLE", help="one of " + ", ".join(ROLES))
            one.add_argument("--lsm", choices=sorted(LSM), default="bpf", help="which LSMs the kernel line names (default: bpf)")
            one.add_argument("--memory", type=int, metavar="MIB", help="default: the manifest's")
            one.add_argument("--append", default="", metavar="WORDS", help="more words for the kernel line")
        return one

    fetch = verb("fetch", "Downloads the kernels of these roles and the guests' packages, unless they are in the cache.")
    fetch.add_argument("roles", nargs="+", metavar="ROLE", help="floor, lts, edge or all")
    fetch.add_argument("--update", action="store_true", help="look for a newer one even if there is one in the cache")

    pack = verb("pack", "Packs what guests contain: an initramfs for each role and the build's disk.")
    pack.add_argument("roles", nargs="*", metavar="ROLE", help="default: the roles whose kernels are in the cache")

    for name, text in (("run", "Runs a command in a guest."),
                       ("count", "Runs a command where CLOCK_MONOTONIC counts the guest's instructions, one a nanosecond.")):
        one = verb(name, text, guest=True)
        one.add_argument("--timeout", type=float, metavar="S", help="end the command after S seconds; status 124")
        one.add_argument("--save", type=Path, metavar="DIR", help="copy what the command leaves in /out to DIR")
        one.add_argument("--script", type=Path, metavar="FILE", help="run the shell script FILE (of the host); CMD… are its arguments")
        one.add_argument("--console", type=Path, metavar="FILE", help="keep the kernel's console there")
        one.add_argument("--allow-oops", action="store_true", help="a kernel oops is not a failure")
        one.add_argument("--fresh", action="store_true", help="boot and prepare anew, and replace the snapshot")
        one.add_argument("--no-snapshot", action="store_true", help="boot anew and keep nothing")
        one.add_argument("--accel", choices=("auto", "kvm", "tcg"), default="auto", help="auto: kvm where a trial boot works")
        one.add_argument("--quiet", action="store_true", help="no notes on stderr but errors")
        one.add_argument("command", nargs=argparse.REMAINDER, metavar="-- CMD ARG…")

    verb("shell", "An interactive shell in a freshly booted guest.", guest=True)
    clean = verb("clean", "Drops snapshots and packed files; the kernels too with --all.")
    clean.add_argument("--all", action="store_true")
    return top


def main(argv) -> int:
    # A killed lab unwinds, so that its temporary files go too. QEMU goes in any case (PR_SET_PDEATHSIG).
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda which, _: sys.exit(128 + which))
    args = parser().parse_args(argv)
    try:
        return globals()[f"_{args.verb}"](args)
    except LabError as error:
        print(error, file=sys.stderr)
        return error.code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader of our output has left.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 141
    except OSError as error:
        what = f"{error.strerror}: {error.filename or ''}".rstrip(": ")
        print(LabError(what, "the host's system refused", "is the disk full, or did a build change its files meanwhile? run it again"),
              file=sys.stderr)
        return EXIT_LAB


def _fetch(args) -> int:
    worst = 0
    for role in ROLES if args.roles == ["all"] else args.roles:
        try:
            kernel = kernels.fetch(role, args.update)
            print(f"{kernel.role} {kernel.release} {kernel.version}")
        except LabError as error:
            print(error, file=sys.stderr)
            # A real failure tells more than a role that this mirror lacks.
            worst = error.code if worst in (0, 77) else worst
    guests = manifest.load(args.manifest)
    for names in (guests.debian, guests.disk):
        packages.unpacked(names, args.update)
    return worst


def _pack(args) -> int:
    what = manifest.load(args.manifest)
    for role in args.roles or [r for r in ROLES if kernels.cached(ROLES[r])]:
        print(f"{role} {initramfs.pack(what, kernels.get(role))}")
    print(f"trees {image.pack(what)}")
    return 0


def _setup(args, count: bool = False, shell: bool = False):
    what = manifest.load(args.manifest)
    kernel = kernels.get(args.kernel)
    disk = image.pack(what)
    packed = initramfs.pack(what, kernel)
    setup = Setup(str(kernel.image), str(packed), lsm=args.lsm, memory=args.memory or what.memory, cpus=1 if count else what.cpus,
                  count=count, append=args.append, shell=shell, cpu=kernels.role_named(args.kernel).cpu)
    return kernel, setup, disk


def _run(args) -> int:
    return _in_guest(args, count=False)


def _count(args) -> int:
    return _in_guest(args, count=True)


def _in_guest(args, count: bool) -> int:
    words = args.command[1:] if args.command[:1] == ["--"] else args.command
    if not words and not args.script:
        raise LabError("no command to run", "nothing follows --", "lab run --kernel ROLE -- CMD ARG…", EXIT_USAGE)
    script = _script(args.script, words)
    kernel, setup, disk = _setup(args, count=count)
    with contextlib.ExitStack() as stack:
        log = stack.enter_context(open(args.console, "wb") if args.console else tempfile.TemporaryFile())
        if not count:
            setup = replace(setup, accel=accel.best(setup, disk, log) if args.accel == "auto" else args.accel)
        guest = _guest(args, kernel, setup, disk, log)
        stack.callback(guest.machine.close)
        outcome = guest.run(script, _writer(sys.stdout), _writer(sys.stderr), args.timeout)
        console = guest.machine.console
        if outcome.timed_out:
            print(LabError(f"the command did not end in {args.timeout:g} s", console.oops or "timeout",
                           f"read the guest's console:\n{console.tail()}"), file=sys.stderr)
            return outcome.status
        if args.save:
            guest.save(args.save)
        if outcome.oops and not args.allow_oops:
            raise LabError("the guest's kernel failed while the command ran", outcome.oops, f"read its console:\n{console.tail()}")
        return outcome.status


def _script(path: Path | None, words) -> bytes:
    if path is None:
        try:
            return protocol.script_for(words)
        except ValueError as error:
            raise LabError("the command cannot be run", str(error), "", EXIT_USAGE) from None
    try:
        body = path.read_bytes()
    except OSError as error:
        raise LabError(f"cannot read the script {path}", error.strerror or "", "", EXIT_USAGE) from None
    arguments = b"set -- " + b" ".join(protocol.quote(os.fsencode(word)) for word in words) + b"\n" if words else b""
    return arguments + body


def _guest(args, kernel, setup: Setup, disk: Path, log):
    """A guest restored from a snapshot, which is made first if there is none."""
    begun = time.monotonic()

    def note(what: str) -> None:
        nonlocal begun
        if not args.quiet:
            print(f"lab: {kernel.role} {kernel.release} {what} in {time.monotonic() - begun:.2f} s", file=sys.stderr)
        begun = time.monotonic()

    settle = (lambda guest: guest.idle(COUNT_IDLE)) if setup.count else (lambda guest: None)
    if args.no_snapshot:
        guest = boot(lambda: Machine(setup, disk, log))
        settle(guest)
        note("booted")
        return guest
    path, fresh = snapshots.path_of(kernel, setup), args.fresh
    for attempt in range(3):
        if fresh or not snapshots.usable(path):
            with store.locked(f"snapshot-{kernel.role}"):
                if fresh or not snapshots.usable(path):
                    snapshots.make(path, setup, disk, log, settle)
                    note("booted and kept")
        fresh = False
        try:
            guest = snapshots.restore(path, setup, disk, log)
            note("restored")
            return guest
        except (LabError, OSError):
            # Another lab may have replaced or dropped it just now.
            if attempt == 2 or snapshots.usable(path):
                raise


def _writer(stream):
    descriptor = stream.fileno()

    def write(data: bytes) -> None:
        while data:
            data = data[os.write(descriptor, data):]

    return write


def _shell(args) -> int:
    _, setup, disk = _setup(args, shell=True)
    argv = ["qemu-system-x86_64", *setup.options, "-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console",
            "-drive", f"file={disk},format=raw,if=none,id=trees,snapshot=on,cache=unsafe", "-device", "virtio-blk-pci,drive=trees",
            "-netdev", "user,id=net,restrict=on", "-device", "virtio-net-pci,netdev=net"]
    print("lab: booting; leave the shell with exit", file=sys.stderr)
    os.execvp(argv[0], argv)


def _clean(args) -> int:
    for name in ("snapshots", "packed", "accel", *(["kernels", "packages"] if args.all else [])):
        shutil.rmtree(store.cache_root() / name, ignore_errors=True)
    return 0

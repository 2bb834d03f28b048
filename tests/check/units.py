#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""systemd takes the units as they are, finds them closed enough, and they leave the spawner what it needs."""

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.dont_write_bytecode = True
from checklib import ROOT, finish, must, read  # noqa: E402

UNITS = ROOT / "packaging/systemd"
# systemd-analyze's exposure level, times ten: 4.1 with systemd 252. What the spawner must hold is what is left.
MOST_EXPOSED = 45
# Each takes away what a session stands on; the comment in the unit says what.
NOT_SET = ("PrivateNetwork", "PrivateUsers", "RestrictNamespaces", "ProtectProc", "ProcSubset", "NetworkNamespacePath", "User", "DynamicUser")
SPAWNER_NEEDS = {"bpf", "perfmon", "net_admin", "sys_admin", "sys_ptrace", "setpcap", "dac_override", "setuid", "setgid"}
CALLS = {"@system-service", "bpf", "perf_event_open", "seccomp", "fsopen", "fsconfig", "fsmount"}


# The guard's mount namespace is the policies', so it must be the machine's: systemd gives another one for each of these.
OWN_MOUNTS = ("ProtectSystem", "ProtectHome", "PrivateTmp", "PrivateDevices", "PrivateMounts", "PrivateUsers", "ProtectKernelTunables",
              "ProtectKernelModules", "ProtectKernelLogs", "ProtectControlGroups", "ProtectHostname", "ProtectProc", "ProcSubset", "ReadOnlyPaths",
              "ReadWritePaths", "InaccessiblePaths", "ExecPaths", "NoExecPaths", "BindPaths", "BindReadOnlyPaths", "TemporaryFileSystem",
              "RootDirectory", "RootImage", "MountAPIVFS", "MountFlags", "DynamicUser", "User")
GUARD_NEEDS = {"bpf", "perfmon", "sys_admin", "dac_read_search"}


def settings(text: str) -> dict[str, str]:
    return dict(re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE))


def needs(service: str, capabilities: set[str]) -> list[str]:
    has = settings(service)
    bounded = {word.lower().removeprefix("cap_") for word in has.get("CapabilityBoundingSet", "").split()}
    problems = [f"{name}= must not be set" for name in NOT_SET if name in has]
    problems += [f"CapabilityBoundingSet= lacks {name}" for name in sorted((SPAWNER_NEEDS | capabilities) - bounded)]
    problems += [f"CapabilityBoundingSet= has {name}, which nothing needs" for name in sorted(bounded - SPAWNER_NEEDS - capabilities)]
    problems += [f"SystemCallFilter= lacks {name}" for name in sorted(CALLS - set(has.get("SystemCallFilter", "").split()))]
    problems += must(has.get("RuntimeDirectoryPreserve") == "yes", "the control socket would go with the service")
    problems += must(has.get("Type") == "notify", "the daemon says when it is ready")
    problems += must(has.get("ExecStart", "").endswith(" --keep-sessions"), "sessions would end at a restart")
    problems += must(has.get("KillMode") == "process", "a restart would kill workers that are not in their openers' cgroups")
    problems += must(has.get("FileDescriptorStoreMax") == str(stored()), "FileDescriptorStoreMax= is not what src/broker/fd_store.hpp counts on")
    return problems


def guard_needs(service: str) -> list[str]:
    has = settings(service)
    bounded = {word.lower().removeprefix("cap_") for word in has.get("CapabilityBoundingSet", "").split()}
    problems = [f"{name}= must not be set: paths would be those of another mount namespace" for name in OWN_MOUNTS if name in has]
    problems += must(bounded == GUARD_NEEDS, f"CapabilityBoundingSet= is {sorted(bounded)}, and {sorted(GUARD_NEEDS)} is needed")
    problems += must(has.get("Type") == "notify", "the guard says when it is ready")
    problems += must({"bpf", "open_by_handle_at"} <= set(has.get("SystemCallFilter", "").split()), "SystemCallFilter= lacks what it does")
    return problems


def seal_needs(service: str) -> list[str]:
    has = settings(service)
    problems = [f"{name}= must not be set: the seal would be mounted in another mount namespace" for name in OWN_MOUNTS if name in has]
    problems += [f"{name}= must not be set: who stops the service would end the seal" for name in ("ExecStop", "ExecStopPost") if name in has]
    problems += must(has.get("Type") == "oneshot" and has.get("RemainAfterExit") == "yes", "it has to be done before what follows starts")
    problems += must(has.get("DefaultDependencies") == "no" and "basic.target" in has.get("Before", ""), "ordinary services would run before the seal")
    problems += must("bpfwarden-guard.service" in has.get("After", "").split(), "the policies would not be in force yet")
    problems += must(has.get("EnvironmentFile", "-").startswith("/"), "without its configuration it would seal for nobody to change")
    return problems


def stored() -> int:
    """How many fds the daemon gives to systemd at most."""
    number = re.search(r"most_fds = ([\d']+)", read("src/broker/fd_store.hpp"))
    return int(number[1].replace("'", "")) if number else -1


def grantable() -> set[str]:
    """The capabilities that a grant may hold."""
    table = re.search(r"CapabilityFacts capabilities\[\] = \{\n(.*?)^\};", read("src/grant/facts.cpp"), re.DOTALL | re.MULTILINE)
    return set(re.findall(r'^    \{"(\w+)"', table[1], re.MULTILINE)) if table else {"(none found in src/grant/facts.cpp)"}


def analyze(folder: Path, *words: str) -> tuple[int, list[str]]:
    done = subprocess.run(["systemd-analyze", *words], cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True)
    return done.returncode, done.stdout.splitlines()


def verify(texts: dict[str, str]) -> list[str]:
    """What systemd says of these units; other units of the machine are not our business."""
    with tempfile.TemporaryDirectory(prefix="bpfwarden-units-") as name:
        folder = Path(name)
        for program in ("bpfwardend", "bpfwarden", "bpfwarden-guard"):
            (folder / program).write_text("#!/bin/sh\n")
            (folder / program).chmod(0o755)
        for unit, text in texts.items():
            (folder / unit).write_text(text.replace("@BPFWARDEN_SBINDIR@", name))
        status, lines = analyze(folder, "verify", "--man=no", *(f"./{unit}" for unit in texts))
        problems = [line for line in lines if "bpfward" in line]
        return problems + must(status == 0 or bool(problems), f"systemd-analyze verify: status {status}: {' '.join(lines)[:200]}")


def security(service: str) -> list[str]:
    with tempfile.TemporaryDirectory(prefix="bpfwarden-units-") as name:
        (Path(name) / "bpfwardend.service").write_text(service.replace("@BPFWARDEN_SBINDIR@", name))
        status, lines = analyze(Path(name), "security", "--offline=true", f"--threshold={MOST_EXPOSED}", "--no-pager", "./bpfwardend.service")
        return must(status == 0, f"too exposed: {lines[-1] if lines else 'no answer'}")


def self_test(service: str, with_systemd: bool) -> list[str]:
    problems = must(bool(needs(service + "\nPrivateNetwork=yes\n", set())), "PrivateNetwork= passes")
    problems += must(bool(needs(service.replace("KillMode=process", "KillMode=mixed"), set())), "killing workers at a restart passes")
    problems += must(bool(needs(service.replace(" CAP_SYS_PTRACE", ""), set())), "a missing capability passes")
    problems += must(bool(needs(service.replace("CAP_BPF", "CAP_BPF CAP_SYS_BOOT"), set())), "one capability too many passes")
    guard = (UNITS / "bpfwarden-guard.service.in").read_text()
    problems += must(bool(guard_needs(guard + "\nPrivateTmp=yes\n")), "a mount namespace of the guard's own passes")
    problems += must(bool(guard_needs(guard.replace(" CAP_DAC_READ_SEARCH", ""))), "a guard that sees no mounts passes")
    seal = (UNITS / "bpfwarden-seal.service.in").read_text()
    problems += must(bool(seal_needs(seal + "\nExecStop=/bin/true\n")), "a seal that a stop could end passes")
    problems += must(bool(seal_needs(seal.replace("Before=basic.target ", "Before="))), "a seal after ordinary services passes")
    problems += must(bool(seal_needs(seal.replace("EnvironmentFile=/", "EnvironmentFile=-/"))), "a seal without a configuration passes")
    if with_systemd:
        unknown = service.replace("Restart=on-failure", "Restart=perhaps")
        problems += must(bool(verify({"bpfwardend.service": unknown})), "a word that systemd does not know passes")
        problems += must(bool(security("[Service]\nExecStart=/bin/true\n")), "a service without any of this is not too exposed")
    return problems


def main() -> None:
    service, socket = (UNITS / "bpfwardend.service.in").read_text(), (UNITS / "bpfwardend.socket").read_text()
    with_systemd = shutil.which("systemd-analyze") is not None
    guard = (UNITS / "bpfwarden-guard.service.in").read_text()
    seal = (UNITS / "bpfwarden-seal.service.in").read_text()
    results = {"self-test": self_test(service, with_systemd), "the service": needs(service, grantable()), "the guard": guard_needs(guard),
               "the seal": seal_needs(seal),
               "the socket": must("ListenSequentialPacket=/run/bpfwarden/control" in socket and "SocketMode=0600" in socket
                                  and "FileDescriptorName=control" in socket, "its path, mode or name is not the daemon's")}
    if with_systemd:
        results["systemd-analyze verify"] = verify({"bpfwardend.service": service, "bpfwardend.socket": socket,
                                                    "bpfwarden-guard.service": guard, "bpfwarden-seal.service": seal})
        results["systemd-analyze security"] = security(service)
    else:
        print("skip systemd-analyze: systemd-analyze is not installed")
    finish(results)


main()

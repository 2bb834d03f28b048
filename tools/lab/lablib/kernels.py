# SPDX-License-Identifier: Apache-2.0
"""Fetches kernels through a throw-away apt configuration and keeps them extracted in the cache."""

import contextlib
import json
import os
import pwd
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from . import aptsources, store
from .errors import EXIT_UNAVAILABLE, EXIT_USAGE, LabError
from .roles import ROLES, Candidate, Role, abi, choose, compare_versions


@dataclass(frozen=True)
class Kernel:
    role: str
    version: str  # of the package
    release: str  # what uname -r says
    root: Path

    @property
    def image(self) -> Path:
        return self.root / "vmlinuz"

    @property
    def modules(self) -> Path:
        return self.root / "lib/modules" / self.release

    @property
    def config(self) -> Path:
        return self.root / "config"

    @property
    def name(self) -> str:
        return f"{self.role}-{self.version}"


def role_named(name: str) -> Role:
    if name not in ROLES:
        raise LabError(f"no kernel role {name!r}", f"the roles are {', '.join(ROLES)}", "name one of them", EXIT_USAGE)
    return ROLES[name]


def cached(role: Role) -> Kernel | None:
    """The newest cached kernel of ROLE."""
    found = []
    for entry in store.cache_dir("kernels").glob(f"{role.name}-*"):
        with contextlib.suppress(OSError, ValueError, KeyError):
            meta = json.loads((entry / "meta.json").read_text())
            found.append(Kernel(role.name, meta["version"], meta["release"], entry))
    best = None
    for kernel in found:
        if best is None or compare_versions(best.version, kernel.version) < 0:
            best = kernel
    return best


def get(role_name: str) -> Kernel:
    """The kernel of that role, fetched now if this is the first use."""
    return fetch(role_name, update=False)


def fetch(role_name: str, update: bool) -> Kernel:
    role = role_named(role_name)
    kernel = cached(role)
    if kernel and not update:
        return kernel
    with store.locked(f"fetch-{role.name}"):
        kernel = cached(role)
        if kernel and not update:
            return kernel
        with _Apt(role) as apt:
            apt.update()
            candidates = apt.candidates()
            best = choose(role, candidates)
            if best is None:
                raise LabError(
                    f"no kernel for the role {role.name!r}",
                    f"the mirror has no package matching {role.pattern} in {', '.join(role.suites + role.security)}",
                    "skip this role here, or use a mirror that carries these suites",
                    EXIT_UNAVAILABLE,
                )
            final = store.cache_dir("kernels") / f"{role.name}-{best.version}"
            if kernel and kernel.root == final:
                return kernel
            debs = apt.download(best)
            _install(role, best, debs, final)
    return cached(role)


def _install(role: Role, chosen: Candidate, debs, final: Path) -> None:
    with store.new_entry(final) as temp:
        tree = temp / "tree"
        for deb in debs:
            _run(["dpkg-deb", "-x", str(deb), str(tree)], f"cannot extract {deb.name}")
        images = sorted([*tree.glob("boot/vmlinuz-*"), *tree.glob("usr/lib/modules/*/vmlinuz"),
                         *tree.glob("lib/modules/*/vmlinuz")])
        folders = [p for pat in ("lib/modules/*", "usr/lib/modules/*") for p in sorted(tree.glob(pat)) if (p / "kernel").is_dir()]
        if not images or not folders:
            raise LabError(f"{chosen.package} has no kernel inside",
                           f"found images {[str(i.relative_to(tree)) for i in images]} and module folders {[f.name for f in folders]}",
                           "the package's layout has changed: teach lablib/kernels.py the new one")
        release = folders[0].name
        (temp / "lib/modules").mkdir(parents=True)
        shutil.move(folders[0], temp / "lib/modules" / release)
        left = temp / "lib/modules" / release / "vmlinuz"
        shutil.copyfile(left if left.exists() else images[0], temp / "vmlinuz")
        left.unlink(missing_ok=True)
        configs = sorted([*tree.glob("boot/config-*"), *tree.glob("usr/lib/modules/*/config")])
        config = temp / "lib/modules" / release / "config"
        if config.exists():
            shutil.copyfile(config, temp / "config")
        elif configs:
            shutil.copyfile(configs[0], temp / "config")
        shutil.rmtree(tree)
        _run(["depmod", "-b", str(temp), release], "cannot index the kernel's modules")
        meta = {"role": role.name, "package": chosen.package, "version": chosen.version, "release": release}
        (temp / "meta.json").write_text(json.dumps(meta, indent=1) + "\n")


def _run(argv, what: str, **extra) -> subprocess.CompletedProcess:
    env = dict(os.environ, LC_ALL="C", PATH=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    try:
        done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env, **extra)
    except FileNotFoundError:
        raise LabError(what, f"{argv[0]} is not installed", "run `make deps`") from None
    if done.returncode:
        raise LabError(what, f"{argv[0]} said: {(done.stderr or done.stdout).strip()[-600:]}")
    return done


class _Apt:
    """apt with its own sources, lists, status and cache in a temporary folder.

    The machine's apt settings (proxies, certificates) still hold; its sources and state are neither used nor touched.
    """

    def __init__(self, role: Role):
        self.role = role

    def __enter__(self):
        sources = aptsources.read_sources()
        main, security = aptsources.debian_mirror(sources), aptsources.security_mirror(sources)
        if main is None:
            raise LabError(
                "cannot tell which Debian mirror to use",
                "no `deb` source with the component main and a Debian suite in the machine's apt sources",
                "add Debian's archive to the machine's apt sources",
            )
        text = [aptsources.stanza(main, self.role.suites)]
        if self.role.security and security is not None:
            text.append(aptsources.stanza(security, self.role.security))
        # Not under the cache: as root, apt downloads as the user _apt, who cannot enter /root.
        self.temp = Path(tempfile.mkdtemp(prefix="bpfwarden-apt-"))
        self.temp.chmod(0o755)
        for name in ("state/lists/partial", "cache/archives/partial", "etc", "debs"):
            (self.temp / name).mkdir(parents=True)
        if os.geteuid() == 0:
            with contextlib.suppress(KeyError):
                for name in ("state/lists/partial", "cache/archives/partial", "debs"):
                    os.chown(self.temp / name, pwd.getpwnam("_apt").pw_uid, -1)
        (self.temp / "state/status").touch()
        (self.temp / "etc/lab.sources").write_text("\n".join(text))
        (self.temp / "apt.conf").write_text(
            # Read last. The hooks cleared here would run commands on the machine's own apt.
            "#clear APT::Update::Post-Invoke;\n#clear APT::Update::Post-Invoke-Success;\n#clear APT::Update::Pre-Invoke;\n"
            f'Dir::State "{self.temp}/state";\nDir::State::status "{self.temp}/state/status";\n'
            f'Dir::Cache "{self.temp}/cache";\nDir::Etc::sourcelist "/dev/null";\n'
            f'Dir::Etc::sourceparts "{self.temp}/etc";\n'
            'Dir::Etc::preferences "/dev/null";\nDir::Etc::preferencesparts "/dev/null";\n'
            'APT::Architecture "amd64";\nAPT::Architectures { "amd64"; };\n'
            'Acquire::Languages "none";\nAcquire::Retries "3";\nAPT::Sandbox::Seccomp "false";\n'
            'APT::Install-Recommends "false";\n'
            'Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled "false";\n'
            'Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";\n'
        )
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.temp, ignore_errors=True)

    def _apt(self, *argv, **extra) -> list:
        return [argv[0], "-q", "-c", str(self.temp / "apt.conf"), *argv[1:]]

    def update(self) -> None:
        print(f"lab: looking for the newest kernel of the role {self.role.name}", file=sys.stderr)
        try:
            _run(self._apt("apt-get", "update"), "cannot read the mirror's package lists")
        except LabError as error:
            if re.search(r"does not have a Release file|404 +Not Found", error.why):
                raise LabError(f"no kernel for the role {self.role.name!r}",
                               f"the mirror lacks one of the suites {', '.join(self.role.suites + self.role.security)}",
                               "skip this role here, or use a mirror that carries these suites", EXIT_UNAVAILABLE) from None
            error.todo = "check the network and the machine's apt sources; `apt-get update` shows the same fault"
            raise

    def candidates(self) -> list:
        listing = _run(self._apt("apt-cache", "dumpavail"), "cannot list the mirror's packages").stdout
        self.listed = parse_packages(listing)
        return self.listed

    def download(self, chosen: Candidate) -> list:
        print(f"lab: downloading {chosen.package} {chosen.version}", file=sys.stderr)
        names = [chosen.package, *[c.package for c in self.listed if self._part(chosen, c)]]
        _run(self._apt("apt-get", "download", *[f"{n}={chosen.version}" for n in names]),
             f"cannot download {' '.join(names)}", cwd=self.temp / "debs")
        return sorted((self.temp / "debs").glob("*.deb"))

    @staticmethod
    def _part(chosen: Candidate, other: Candidate) -> bool:
        """sid splits a kernel in three: linux-binary (vmlinuz), linux-modules, linux-base (its config)."""
        tail = f"{abi(chosen.package)}-cloud-amd64"
        return (chosen.package.startswith("linux-binary-") and other.version == chosen.version
                and other.package in (f"linux-modules-{tail}", f"linux-base-{tail}"))


def parse_packages(listing: str) -> list:
    """Names and versions in the text of a Packages file."""
    found, package = [], None
    for line in listing.splitlines():
        if line.startswith("Package: "):
            package = line[9:].strip()
        elif line.startswith("Version: ") and package:
            if package.startswith(("linux-image-", "linux-binary-", "linux-modules-", "linux-base-")):
                found.append(Candidate(package, line[9:].strip()))
            package = None
    return found

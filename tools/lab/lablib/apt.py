# SPDX-License-Identifier: Apache-2.0
"""Downloads Debian packages from the machine's own mirror, through a throw-away apt configuration. Installs nothing."""

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

from . import aptsources
from .errors import LabError


def run(argv, what: str, **extra) -> subprocess.CompletedProcess:
    env = dict(os.environ, LC_ALL="C", PATH=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    try:
        done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env, **extra)
    except FileNotFoundError:
        raise LabError(what, f"{argv[0]} is not installed", "run `make deps`") from None
    if done.returncode:
        raise LabError(what, f"{argv[0]} said: {(done.stderr or done.stdout).strip()[-600:]}")
    return done


class Apt:
    """apt with its own sources, lists, status and cache in a temporary folder.

    The machine's apt settings (proxies, certificates) still hold; its sources and state are neither used nor touched.
    """

    def __init__(self, suites, security):
        self.suites, self.security = suites, security

    def __enter__(self):
        sources = aptsources.read_sources()
        main, security = aptsources.debian_mirror(sources), aptsources.security_mirror(sources)
        if main is None:
            raise LabError(
                "cannot tell which Debian mirror to use",
                "no `deb` source with the component main and a Debian suite in the machine's apt sources",
                "add Debian's archive to the machine's apt sources",
            )
        text = [aptsources.stanza(main, self.suites)]
        if self.security and security is not None:
            text.append(aptsources.stanza(security, self.security))
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

    def _apt(self, *argv) -> list:
        return [argv[0], "-q", "-c", str(self.temp / "apt.conf"), *argv[1:]]

    def update(self) -> None:
        try:
            run(self._apt("apt-get", "update"), "cannot read the mirror's package lists")
        except LabError as error:
            error.todo = "check the network and the machine's apt sources; `apt-get update` shows the same fault"
            raise

    def available(self) -> str:
        """The Packages files of the suites, as one text."""
        return run(self._apt("apt-cache", "dumpavail"), "cannot list the mirror's packages").stdout

    def download(self, names) -> list:
        """The .deb files of these packages, NAME or NAME=VERSION."""
        run(self._apt("apt-get", "download", *names), f"cannot download {' '.join(names)}", cwd=self.temp / "debs")
        return sorted((self.temp / "debs").glob("*.deb"))

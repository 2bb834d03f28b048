# SPDX-License-Identifier: Apache-2.0
"""Takes the tar that a guest sends of its /out. The guest may be hostile: only plain files and folders below the target."""

import os
import shutil
import sys
import tarfile
import tempfile
from pathlib import Path

from .errors import LabError


class Receiver:
    def __init__(self):
        self._file = tempfile.TemporaryFile()

    def write(self, data: bytes) -> None:
        self._file.write(data)

    def unpack(self, folder: Path) -> list:
        self._file.seek(0)
        folder.mkdir(parents=True, exist_ok=True)
        saved = []
        try:
            with tarfile.open(fileobj=self._file, mode="r:") as archive:
                for member in archive:
                    if _take(archive, member, folder):
                        saved.append(member.name)
        except tarfile.TarError as error:
            raise LabError("what the guest sent of /out is damaged", str(error)) from None
        return saved

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._file.close()


def _take(archive, member, folder: Path) -> bool:
    parts = [part for part in member.name.split("/") if part not in ("", ".")]
    if ".." in parts:
        return False
    target = folder.joinpath(*parts)
    parent = os.path.realpath(target.parent)
    # A link made earlier in FOLDER must not lead out of it.
    if parts and not (parent + "/").startswith(os.path.realpath(folder) + "/"):
        return False
    if member.isdir():
        target.mkdir(parents=True, exist_ok=True)
        return bool(parts)
    if not member.isreg():
        print(f"lab: /out/{member.name} is no plain file; not saved", file=sys.stderr)
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.is_symlink():
        target.unlink()
    with open(target, "wb") as out:
        shutil.copyfileobj(archive.extractfile(member), out)
    target.chmod(0o755 if member.mode & 0o111 else 0o644)
    return True

# SPDX-License-Identifier: Apache-2.0
"""Writes a newc cpio archive, the format of an initramfs. Owner is root and time is zero, so equal input gives equal bytes."""

import os
import stat

_DIR, _FILE, _LINK, _CHAR = stat.S_IFDIR, stat.S_IFREG, stat.S_IFLNK, stat.S_IFCHR


class Archive:
    def __init__(self):
        self._entries = {}

    def __contains__(self, path: str) -> bool:
        return path.strip("/") in self._entries

    def directory(self, path: str, mode: int = 0o755) -> None:
        path = path.strip("/")
        if path and path not in self._entries:
            self._parent(path)
            self._entries[path] = (_DIR | mode, b"", 0)

    def file(self, path: str, data: bytes, mode: int = 0o644) -> None:
        self._put(path, _FILE | mode, data)

    def link(self, path: str, target: str) -> None:
        self._put(path, _LINK | 0o777, os.fsencode(target))

    def node(self, path: str, major: int, minor: int, mode: int = 0o600) -> None:
        self._put(path, _CHAR | mode, b"", (major << 32) | minor)

    def _put(self, path: str, mode: int, data: bytes, device: int = 0) -> None:
        path = path.strip("/")
        self._parent(path)
        self._entries[path] = (mode, data, device)

    def _parent(self, path: str) -> None:
        if "/" in path:
            self.directory(path.rsplit("/", 1)[0])

    def write(self, out) -> None:
        for number, path in enumerate(sorted(self._entries), 1):
            mode, data, device = self._entries[path]
            self._record(out, number, os.fsencode(path), mode, data, device)
        self._record(out, 0, b"TRAILER!!!", 0, b"", 0)

    @staticmethod
    def _record(out, number: int, name: bytes, mode: int, data: bytes, device: int) -> None:
        fields = (number, mode, 0, 0, 2 if stat.S_ISDIR(mode) else 1, 0, len(data), 0, 0, device >> 32, device & 0xFFFFFFFF,
                  len(name) + 1, 0)
        head = b"070701" + b"".join(b"%08x" % field for field in fields) + name + b"\0"
        out.write(head + b"\0" * (-len(head) % 4) + data + b"\0" * (-len(data) % 4))

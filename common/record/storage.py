"""The files of one recording: what the next is called, and which have to go.

Which files are ours is kept in a list beside them (`.NAME.parts`, a JSON line for each), with their inode numbers: a
file that somebody else has put in the place of one of ours is not deleted.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

from common.record.output import OutputFile
from common.record.rules import MB, Rules

SPARE = 1 << 20
"""Bytes that must be free before writing is taken up again, so that it does not stop at once."""

DIGITS = 4
"""Of the number of a part; more when there are more parts."""


@dataclass(frozen=True, slots=True)
class Part:
    """A file that was made by this recording, now or before a restart."""

    path: Path
    inode: int

    def size(self) -> int | None:
        """Bytes on the disk; None when it is gone, or not the file that was made."""
        try:
            status = os.stat(self.path, follow_symlinks=False)
        except OSError:
            return None
        return status.st_blocks * 512 if status.st_ino == self.inode else None


class Storage:
    """Makes the files of one recording and deletes the oldest. Owned by one thread."""

    def __init__(self, pattern: Path, rules: Rules, mode: int = 0o644) -> None:
        """`pattern`: where the recording goes; strftime directives stand for the time in UTC. `mode`: of its files."""
        self.pattern = pattern
        self.rules = rules
        self.deleted = 0
        """Files deleted to make room."""
        self._mode = mode
        fixed = [parent for parent in pattern.parents if "%" not in str(parent)]
        self.folder = fixed[0]
        self._list = self.folder / f".{pattern.name}.parts"
        self._parts: list[Part] | None = None

    def check(self) -> str | None:
        """Why nothing can be recorded here, with the fix; None when it can. For the start, to tell of mistakes."""
        if not self.folder.is_dir():
            return f"the folder {self.folder} does not exist; create it first"
        if self.pattern.exists() and not self.pattern.is_file():
            return "cannot be written: it is no file; choose another name"
        if not os.access(self.folder, os.W_OK | os.X_OK):
            return f"cannot be written: no permission to make files in {self.folder}"
        return None

    def create(self, wall: float) -> OutputFile:
        """The next file, once there is room for it; `wall`: seconds since the epoch. Raises OSError."""
        self.make_room()
        for path in self._names(wall):
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                file = OutputFile(path, self._mode, self.rules.sync_seconds)
            except FileExistsError:
                continue
            try:
                self._enter(Part(path, file.inode))
            except OSError:
                file.close()
                path.unlink(missing_ok=True)
                raise
            return file
        raise AssertionError("names never end")

    def make_room(self) -> None:
        """Delete what the rules let go. Raises OSError (ENOSPC) when less than `free_bytes` is free after all."""
        if self.rules.keep_bytes is not None:
            self._delete_oldest(self.rules.keep_bytes)
        free = self.free()
        if free < self.rules.free_bytes:
            raise OSError(
                errno.ENOSPC,
                f"{free / MB:.1f} MB free, less than record.min_free_mb {self.rules.free_bytes / MB:g}",
            )

    def free(self) -> int:
        """Bytes that we may still write to the file system."""
        status = os.statvfs(self.folder)
        return status.f_bavail * status.f_frsize

    def _names(self, wall: float) -> Iterator[Path]:
        """Names that may be free, best first: what is there is never written over."""
        if "%" in str(self.pattern):
            named = Path(datetime.fromtimestamp(wall, UTC).strftime(str(self.pattern)))
            yield named
            yield from (named.with_stem(f"{named.stem}-{n}") for n in count(2))
        elif self.rules.parts:
            pattern = self.pattern
            yield from (
                pattern.with_stem(f"{pattern.stem}-{n:0{DIGITS}}") for n in count(1 + self._highest())
            )
        else:
            yield self.pattern
            yield from (self.pattern.with_stem(f"{self.pattern.stem}-{n}") for n in count(2))

    def _highest(self) -> int:
        """The highest number of a part that is there, or was when the list was read: order is that of the numbers."""
        form = re.compile(re.escape(self.pattern.stem) + r"-(\d+)" + re.escape(self.pattern.suffix))
        names = [entry.name for entry in self.folder.iterdir()] + [part.path.name for part in self._ours()]
        found = (form.fullmatch(name) for name in names)
        return max((int(match[1]) for match in found if match), default=0)

    def _delete_oldest(self, keep: int) -> None:
        """All but the newest, which is being written, may go."""
        sizes = {part: part.size() for part in self._ours()}
        present = [part for part, size in sizes.items() if size is not None]
        total = sum(sizes[part] or 0 for part in present)
        gone = len(present) < len(sizes)
        for part in present[:-1]:
            if total <= keep and self.free() >= self.rules.free_bytes + SPARE:
                break
            with contextlib.suppress(FileNotFoundError):
                part.path.unlink()
                self.deleted += 1
            total -= sizes[part] or 0
            present = present[1:]
            gone = True
        if gone:
            self._parts = present
            self._rewrite()

    def _enter(self, part: Part) -> None:
        if self.rules.keep_bytes is None:
            return
        self._ours().append(part)
        with self._list.open("a", encoding="utf-8") as file:
            file.write(self._line(part))

    def _ours(self) -> list[Part]:
        """Oldest first."""
        if self._parts is None:
            self._parts = []
            if self.rules.keep_bytes is not None and self._list.is_file():
                lines = self._list.read_text(encoding="utf-8", errors="replace").splitlines()
                self._parts = [part for line in lines if (part := self._part(line)) is not None]
        return self._parts

    def _rewrite(self) -> None:
        """In one go, so that a list is never half there; on a full disk the longer old one stays."""
        fresh = self._list.with_name(self._list.name + ".new")
        with contextlib.suppress(OSError):
            fresh.write_text("".join(map(self._line, self._ours())), encoding="utf-8")
            fresh.replace(self._list)

    def _line(self, part: Part) -> str:
        return json.dumps({"file": str(part.path.relative_to(self.folder)), "inode": part.inode}) + "\n"

    def _part(self, line: str) -> Part | None:
        """None for a line that is damaged or leads out of the folder."""
        try:
            entry = json.loads(line)
            path, inode = Path(str(entry["file"])), int(entry["inode"])
        except (ValueError, KeyError, TypeError, RecursionError):
            return None
        if path.is_absolute() or ".." in path.parts or path.suffix != self.pattern.suffix:
            return None
        return Part(self.folder / path, inode)

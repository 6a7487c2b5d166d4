"""A folder of built engines: named by what they were built from, written at once or not at all, bounded in size.

An engine is code that runs in this process. So the folder must belong to this user alone, and a file says what it was
built from and carries the SHA-256 of its contents: a broken one, or one that was put in the place of another, is
removed and built anew.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from common.runtime.unfinished import sweep, unfinished_file

MAGIC = b"semcast-engine-1\n"
HEADER_LIMIT = 1 << 16
SUFFIX = ".engine"
FIX = "name another folder (the receiver: decode.engines), or set XDG_CACHE_HOME"
DEFAULT_LIMIT = 16 << 30  # bytes; one size of an SD-1.5-like decoder takes about 4 GB


class CacheError(RuntimeError):
    """The folder cannot be used, or a file in it is broken or foreign; the message names it."""


@dataclass(frozen=True, slots=True)
class Key:
    """What an engine depends on: graph, weights, TensorRT, GPU, shapes, flags, as texts by name."""

    graph: str
    facts: Mapping[str, str]

    def text(self) -> str:
        """The same for equal keys."""
        return json.dumps({"graph": self.graph, **self.facts}, sort_keys=True)

    def file(self) -> str:
        """Name of its file."""
        digest = hashlib.sha256(self.text().encode()).hexdigest()
        return f"{re.sub(r'[^a-z0-9-]', '_', self.graph.lower())}-{digest[:32]}{SUFFIX}"


def default_folder() -> Path:
    """$XDG_CACHE_HOME/semcast/engines, in ~/.cache by default. Raises CacheError where there is no home."""
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    try:
        return Path(base).expanduser() / "semcast" / "engines"
    except RuntimeError as error:
        raise CacheError(f"{base}: {error}; {FIX}") from error


class EngineCache:
    """Engines in a folder, at most `limit` bytes; the longest unused go first. One process or several may use it."""

    def __init__(self, folder: Path, limit: int = DEFAULT_LIMIT) -> None:
        """Make the folder, and sweep what processes left that were killed while building. Raises CacheError where it
        cannot be made, or only others, or others too, may write there."""
        self.folder, self.limit = folder, limit
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            about = folder.stat()
        except OSError as error:
            raise CacheError(f"{folder}: cannot be made: {error.strerror}; {FIX}") from error
        if about.st_uid != os.geteuid() or about.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise CacheError(f"{folder}: others may write there; use a folder of your own with mode 700")
        if not os.access(folder, os.W_OK | os.X_OK):
            raise CacheError(f"{folder}: cannot be written; {FIX}")
        sweep(folder)

    def read(self, key: Key) -> bytes | None:
        """An engine, None where there is none. Raises CacheError for a file that is not what it should be; it goes."""
        path = self.folder / key.file()
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise CacheError(f"{path}: cannot be read: {error.strerror}") from error
        try:
            engine = unpack(data, key)
        except CacheError as error:
            path.unlink(missing_ok=True)
            raise CacheError(f"{path.name}: {error}") from None
        with contextlib.suppress(OSError):
            os.utime(path)  # used last
        return engine

    def write(self, key: Key, engine: bytes) -> Path:
        """Keep an engine; others make room. Raises CacheError for one over the limit or a full disk."""
        data = pack(key, engine)
        if len(data) > self.limit:
            raise CacheError(f"{key.graph}: {len(data)} bytes are over the cache's limit of {self.limit}")
        self._make_room(self.limit - len(data))
        path = self.folder / key.file()
        try:
            with unfinished_file(self.folder) as made:
                made.write_bytes(data)
                with made.open("rb") as file:
                    os.fsync(file.fileno())
                made.replace(path)
        except OSError as error:
            raise CacheError(f"{path}: cannot be written: {error.strerror}") from error
        return path

    def remove(self, key: Key) -> None:
        """Forget an engine that turned out to be wrong."""
        (self.folder / key.file()).unlink(missing_ok=True)

    def bytes(self) -> int:
        """Of all engines."""
        return sum(size for _, size, _ in self._files())

    def _files(self) -> list[tuple[float, int, Path]]:
        """Time of last use, size and path, oldest first."""
        found = []
        for path in self.folder.glob(f"*{SUFFIX}"):
            with contextlib.suppress(FileNotFoundError):
                about = path.stat()
                found.append((about.st_mtime, about.st_size, path))
        return sorted(found)

    def _make_room(self, allowed: int) -> None:
        files = self._files()
        used = sum(size for _, size, _ in files)
        for _, size, path in files:
            if used <= allowed:
                return
            path.unlink(missing_ok=True)
            used -= size


def pack(key: Key, engine: bytes) -> bytes:
    """The contents of a file: magic, a line of JSON, the engine."""
    about = {"key": key.text(), "sha256": hashlib.sha256(engine).hexdigest(), "bytes": len(engine)}
    return MAGIC + json.dumps(about).encode() + b"\n" + engine


def unpack(data: bytes, key: Key) -> bytes:
    """The engine of a file. Raises CacheError for anything but a whole file of this key."""
    if not data.startswith(MAGIC):
        raise CacheError("not an engine of ours")
    end = data.find(b"\n", len(MAGIC), len(MAGIC) + HEADER_LIMIT)
    try:
        about = json.loads(data[len(MAGIC) : end]) if end > 0 else None
    except (ValueError, RecursionError):
        about = None
    if not isinstance(about, dict):
        raise CacheError("its header is broken")
    if about.get("key") != key.text():
        raise CacheError("built for something else")
    engine = data[end + 1 :]
    if about.get("bytes") != len(engine) or about.get("sha256") != hashlib.sha256(engine).hexdigest():
        raise CacheError("broken: its contents are not what was written")
    return engine

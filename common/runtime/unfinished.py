"""Files and folders that are being made, held by a lock for as long as their maker lives.

The lock goes with the process, however that ends. So what is not held is a leftover, and whoever comes next sweeps it:
also from another container, where process numbers would tell nothing. On a file system without locks nothing is swept.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

PREFIX = ".building-"


@contextlib.contextmanager
def unfinished_file(folder: Path) -> Iterator[Path]:
    """An empty file with a name of its own in the folder, gone afterwards unless renamed. Raises OSError."""
    with _held(lambda: _file(folder)) as path:
        yield path


@contextlib.contextmanager
def unfinished_folder(folder: Path) -> Iterator[Path]:
    """A folder with a name of its own in the folder, gone afterwards with all that is in it. Raises OSError."""
    with _held(lambda: Path(tempfile.mkdtemp(prefix=PREFIX, dir=folder))) as path:
        yield path


def sweep(folder: Path) -> None:
    """Remove what nobody is making any more. Raises nothing: what cannot be removed stays."""
    for path in folder.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):
            handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _remove(path)
            finally:
                os.close(handle)


def _file(folder: Path) -> Path:
    handle, name = tempfile.mkstemp(prefix=PREFIX, dir=folder)
    os.close(handle)
    return Path(name)


@contextlib.contextmanager
def _held(make: Callable[[], Path]) -> Iterator[Path]:
    path, handle = _made(make)
    try:
        yield path
    finally:
        _remove(path)
        os.close(handle)


def _made(make: Callable[[], Path]) -> tuple[Path, int]:
    """A path and its lock. One that was swept before it was held is made again."""
    while True:
        path = make()
        with contextlib.suppress(FileNotFoundError):
            handle = os.open(path, os.O_RDONLY)
            with contextlib.suppress(OSError):
                fcntl.flock(handle, fcntl.LOCK_EX)
            if path.exists():
                return path, handle
            os.close(handle)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)

"""Lists of files: `list.m3u`, `list.m3u8`, `list.txt`, or a pattern such as `clips/*.mp4`."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

SUFFIXES = (".m3u", ".m3u8", ".txt")
MAX_BYTES = 1 << 20
MAX_ENTRIES = 10_000
HLS = re.compile(r"^#EXT-X-", re.MULTILINE)
"""A media playlist of HTTP Live Streaming (RFC 8216), which FFmpeg plays as one recording."""

_DIGITS = re.compile(r"(\d+)")
_GLOB = re.compile(r"[*?\[]")


class ListError(ValueError):
    """There is no such list, or nothing in it."""


def is_list(source: str) -> bool:
    """Whether a source text names several files: a pattern, or a list that is not HLS."""
    path = Path(source)
    if is_pattern(source):
        return True
    if path.suffix.lower() not in SUFFIXES:
        return False
    try:
        with path.open("rb") as file:
            return not HLS.search(file.read(MAX_BYTES).decode("utf-8", "replace"))
    except OSError:
        return True


def is_pattern(source: str) -> bool:
    """Whether it holds wildcards, and no file has just that name."""
    return _GLOB.search(source) is not None and not Path(source).exists()


def read_entries(source: str) -> list[str]:
    """The files that the text names now, in order; they need not exist. Raises ListError."""
    if is_pattern(source):
        path = Path(source)
        try:
            found = path.anchor and Path(path.anchor).glob(str(path.relative_to(path.anchor)))
            names = [str(name) for name in (found or Path().glob(source)) if name.is_file()]
        except (ValueError, NotImplementedError, OSError) as error:
            raise ListError(str(error)) from None
        if not names:
            raise ListError("no file matches")
        return sorted(names, key=natural)[:MAX_ENTRIES]
    try:
        with open(source, "rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ListError(error.strerror or str(error)) from None
    if len(data) > MAX_BYTES:
        raise ListError(f"more than {MAX_BYTES} bytes, so not a list of files")
    found_entries = entries(data, Path(source).parent)
    if not found_entries:
        raise ListError("it names no file; write a path a line")
    return found_entries


def entries(data: bytes, folder: Path) -> list[str]:
    """The paths in a list's bytes: one a line, from the list's folder; `#` begins a comment. Never raises."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("latin-1")  # what .m3u was before .m3u8
    result = []
    for line in text.split("\n"):
        entry = line.strip()
        if entry and not entry.startswith("#"):
            result.append(entry if "://" in entry else str(folder / entry))
    return result[:MAX_ENTRIES]


def local_path(entry: str) -> str:
    """The path of an entry. Raises ValueError for what is not a file of this host."""
    if "\0" in entry:
        raise ValueError("not a path")
    if "://" not in entry:
        return entry
    parts = urlsplit(entry)
    if parts.scheme.lower() != "file":
        raise ValueError("only files can stand in a list")
    return unquote(parts.path)


def natural(name: str) -> list[tuple[int, str]]:
    """A key that sorts clip2 before clip10."""
    parts = _DIGITS.split(name)
    return [(int(part), "") if index % 2 else (0, part) for index, part in enumerate(parts)]

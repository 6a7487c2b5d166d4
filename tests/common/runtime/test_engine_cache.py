"""Engines on disk: only whole files of the right key come back, and there are never too many."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.runtime.engine_cache import MAGIC, CacheError, EngineCache, Key, default_folder, pack, unpack

KEY = Key("step-crt", {"weights": "ab", "gpu": "none"})
OTHER = Key("step-crt", {"weights": "cd", "gpu": "none"})


def test_what_is_written_comes_back(tmp_path: Path) -> None:
    cache = EngineCache(tmp_path / "engines")
    assert cache.read(KEY) is None
    path = cache.write(KEY, b"engine")
    assert cache.read(KEY) == b"engine" and cache.read(OTHER) is None
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert [p.name for p in path.parent.iterdir()] == [KEY.file()]  # nothing half done is left


def test_a_foreign_file_is_refused_and_removed(tmp_path: Path) -> None:
    cache = EngineCache(tmp_path / "engines")
    cache.write(OTHER, b"engine").rename(cache.folder / KEY.file())
    with pytest.raises(CacheError, match="something else"):
        cache.read(KEY)
    assert cache.read(KEY) is None


@given(st.data())
def test_any_damage_is_one_error(data: st.DataObject) -> None:
    whole = pack(KEY, b"an engine of some bytes")
    place = data.draw(st.integers(0, len(whole) - 1))
    cut = data.draw(st.booleans())
    damaged = whole[:place] if cut else whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]
    with pytest.raises(CacheError):
        unpack(damaged, KEY)


@given(st.binary(max_size=200))
def test_any_bytes_are_one_error(noise: bytes) -> None:
    for data in (noise, MAGIC + noise, MAGIC + noise + b"\n"):
        with pytest.raises(CacheError):
            unpack(data, KEY)


def test_the_longest_unused_make_room(tmp_path: Path) -> None:
    one = len(pack(KEY, bytes(1000)))
    cache = EngineCache(tmp_path / "engines", limit=3 * one)
    keys = [Key("step-crt", {**KEY.facts, "shapes": str(k)}) for k in range(4)]
    for age, key in enumerate(keys[:3]):
        os.utime(cache.write(key, bytes(900)), (1000 + age, 1000 + age))
    assert cache.read(keys[0]) is not None  # used again
    cache.write(keys[3], bytes(900))
    assert [cache.read(key) is not None for key in keys] == [True, False, True, True]
    assert cache.bytes() <= cache.limit
    with pytest.raises(CacheError, match="limit"):
        cache.write(KEY, bytes(4 * one))


def test_a_folder_that_others_write_to_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.raises(CacheError, match="700"):
        EngineCache(folder)
    (tmp_path / "file").write_text("")
    with pytest.raises(CacheError, match=r"cannot be made: .*; name another folder"):
        EngineCache(tmp_path / "file" / "below")


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a file system that is mounted read-only; root may write to any other."""
    monkeypatch.setattr(os, "access", lambda path, mode: not mode & os.W_OK)
    with pytest.raises(CacheError, match="cannot be written; name another folder"):
        EngineCache(tmp_path)


def test_a_user_without_a_home_is_told_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere(path: Path) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "expanduser", nowhere)
    with pytest.raises(CacheError, match=r"home directory.*set XDG_CACHE_HOME"):
        default_folder()


def test_the_users_own_cache_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert default_folder() == Path("/somewhere/semcast/engines")

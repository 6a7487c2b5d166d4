"""What is being made is left alone, what was left behind is swept."""

from __future__ import annotations

import fcntl
import shutil
import tempfile
from pathlib import Path

import pytest

from common.runtime.unfinished import PREFIX, sweep, unfinished_file, unfinished_folder


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_leftovers_are_swept_and_nothing_else(tmp_path: Path) -> None:
    left = tmp_path / f"{PREFIX}left"
    (left / "model").mkdir(parents=True)
    (left / "model" / "weights").write_bytes(bytes(10))
    (tmp_path / f"{PREFIX}file").write_bytes(bytes(10))
    (tmp_path / "kept.engine").write_bytes(bytes(10))
    (tmp_path / f"{PREFIX}link").symlink_to(tmp_path / "kept.engine")
    with unfinished_folder(tmp_path) as folder, unfinished_file(tmp_path) as file:
        (folder / "model").mkdir()
        sweep(tmp_path)
        assert names(tmp_path) == sorted([folder.name, file.name, "kept.engine", f"{PREFIX}link"])
        assert (folder / "model").is_dir()
    assert names(tmp_path) == [f"{PREFIX}link", "kept.engine"]


def test_what_was_renamed_stays(tmp_path: Path) -> None:
    with unfinished_file(tmp_path) as file:
        file.write_bytes(b"done")
        file.replace(tmp_path / "done")
    assert (tmp_path / "done").read_bytes() == b"done" and names(tmp_path) == ["done"]


def test_nothing_is_left_of_what_fails(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no"), unfinished_folder(tmp_path) as folder:
        (folder / "part").write_bytes(bytes(10))
        raise ValueError("no")
    assert not names(tmp_path)


def test_what_is_swept_before_it_is_held_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    swept, make = list[str](), tempfile.mkdtemp

    def mkdtemp(*, prefix: str, dir: Path) -> str:
        made = make(prefix=prefix, dir=dir)
        if not swept:
            swept.append(made)
            shutil.rmtree(made)
        return made

    monkeypatch.setattr(tempfile, "mkdtemp", mkdtemp)
    with unfinished_folder(tmp_path) as folder:
        assert folder.is_dir() and str(folder) not in swept


def test_without_locks_nothing_is_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(handle: int, how: int) -> None:
        raise OSError("no locks here")

    monkeypatch.setattr(fcntl, "flock", flock)
    (tmp_path / f"{PREFIX}left").mkdir()
    with unfinished_folder(tmp_path) as folder:
        sweep(tmp_path)
        assert folder.is_dir() and len(names(tmp_path)) == 2
    assert names(tmp_path) == [f"{PREFIX}left"]

"""Names of files, and which of them are deleted."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from common.record.rules import Rules
from common.record.storage import Storage

NOON = 1_800_000_000.0  # 2027-01-15 08:00:00 UTC


def made(storage: Storage, size: int = 0, wall: float = NOON) -> Path:
    file = storage.create(wall)
    file.write(bytes(size))
    file.close()
    return file.path


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def test_one_file_keeps_its_name_and_those_before(tmp_path: Path) -> None:
    storage = Storage(tmp_path / "a.mkv", Rules())
    assert [made(storage).name for _ in range(3)] == ["a.mkv", "a-2.mkv", "a-3.mkv"]


def test_parts_are_numbered_on_across_restarts(tmp_path: Path) -> None:
    rules = Rules(part_seconds=60)
    assert [made(Storage(tmp_path / "a.mkv", rules)).name for _ in range(2)] == ["a-0001.mkv", "a-0002.mkv"]
    (tmp_path / "a-0001.mkv").unlink()
    assert made(Storage(tmp_path / "a.mkv", rules)).name == "a-0003.mkv"


def test_names_of_the_time_are_in_utc_and_never_written_over(tmp_path: Path) -> None:
    storage = Storage(tmp_path / "%Y-%m-%d" / "a-%H%M%S.mkv", Rules())
    assert storage.check() is None
    assert [made(storage).relative_to(tmp_path) for _ in range(2)] == [
        Path("2027-01-15/a-080000.mkv"),
        Path("2027-01-15/a-080000-2.mkv"),
    ]


def test_the_oldest_of_ours_are_deleted_and_nothing_else(tmp_path: Path) -> None:
    rules = Rules(part_seconds=60, keep_bytes=200_000)
    others = [tmp_path / "a-0000.mkv", tmp_path / "b.mkv", tmp_path / "a.mkv"]
    for other in others:
        other.write_bytes(bytes(500_000))
    storage = Storage(tmp_path / "a.mkv", rules)
    parts = [made(storage, 90_000).name for _ in range(5)]
    assert parts == [f"a-000{n}.mkv" for n in range(1, 6)]
    # At the start of the fifth those before it may take 200 kB.
    assert names(tmp_path) == ["a-0000.mkv", "a-0003.mkv", "a-0004.mkv", "a-0005.mkv", "a.mkv", "b.mkv"]
    assert storage.deleted == 2
    # After a restart the list tells which are ours; a file that was put in the place of one is not.
    (tmp_path / "a-0003.mkv").rename(tmp_path / "kept.mkv")
    (tmp_path / "a-0003.mkv").write_bytes(bytes(500_000))
    again = Storage(tmp_path / "a.mkv", rules)
    made(again, 300_000)
    made(again, 1)
    assert names(tmp_path) == [
        *("a-0000.mkv", "a-0003.mkv", "a-0006.mkv", "a-0007.mkv", "a.mkv", "b.mkv", "kept.mkv")
    ]


def test_without_a_limit_nothing_is_deleted_and_no_list_kept(tmp_path: Path) -> None:
    storage = Storage(tmp_path / "a.mkv", Rules(part_seconds=1, free_bytes=1 << 62))
    with pytest.raises(OSError, match=r"free, less than record.min_free_mb") as caught:
        storage.create(NOON)
    assert caught.value.errno == errno.ENOSPC
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_takes_the_oldest_where_that_is_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = Storage(tmp_path / "a.mkv", Rules(part_seconds=1, keep_bytes=1 << 40, free_bytes=5_000_000))
    for _ in range(4):
        made(storage, 1000)
    monkeypatch.setattr(storage, "free", lambda: 2_100_000 * (6 - len(names(tmp_path))))
    made(storage)
    assert names(tmp_path) == ["a-0002.mkv", "a-0003.mkv", "a-0004.mkv", "a-0005.mkv"]
    assert storage.deleted == 1


def test_a_list_that_is_damaged_or_leads_elsewhere_deletes_nothing(tmp_path: Path) -> None:
    outside = tmp_path / "x.mkv"
    outside.write_bytes(bytes(10))
    folder = tmp_path / "folder"
    folder.mkdir()
    inode = outside.stat().st_ino
    lines = [
        f'{{"file": "../x.mkv", "inode": {inode}}}',
        f'{{"file": "{outside}", "inode": {inode}}}',
        *("nonsense", "[]", '{"file": 1}', "[" * 100_000),
    ]
    (folder / ".a.mkv.parts").write_text("\n".join(lines))
    storage = Storage(folder / "a.mkv", Rules(part_seconds=1, keep_bytes=1))
    for _ in range(3):
        made(storage, 100)
    assert outside.exists() and storage.deleted == 1


def test_mistakes_are_told_with_the_fix(tmp_path: Path) -> None:
    assert "create it first" in str(Storage(tmp_path / "no" / "a.mkv", Rules()).check())
    (tmp_path / "b.mkv").mkdir()
    assert "it is no file" in str(Storage(tmp_path / "b.mkv", Rules()).check())


def test_the_mode_of_files(tmp_path: Path) -> None:
    path = made(Storage(tmp_path / "a.smc", Rules(), mode=0o600))
    assert path.stat().st_mode & 0o777 == 0o600

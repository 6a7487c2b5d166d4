"""Samples are made once, in order, and gone on with."""

from __future__ import annotations

from pathlib import Path
from threading import Event

import numpy as np
import pytest
from numpy.typing import NDArray

from common.training.diffusion.store import Store, fill


def test_filling_goes_on_where_it_was_left_and_another_key_begins_anew(tmp_path: Path) -> None:
    drawn, stop = [], Event()

    def one(number: int) -> dict[str, NDArray[np.int64]]:
        drawn.append(number)
        if len(drawn) == 2:
            stop.set()
        return {"number": np.array(number), "twice": np.array([number, number])}

    with pytest.raises(FileNotFoundError):
        Store(tmp_path)
    assert not fill(tmp_path, 4, "a", one, stop)
    assert Store(tmp_path).count == 2
    stop.clear()
    assert fill(tmp_path, 4, "a", one, Event())
    assert fill(tmp_path, 4, "a", one, Event())
    assert drawn == [0, 1, 2, 3]
    stored = Store(tmp_path)
    assert stored.arrays["number"].tolist() == [0, 1, 2, 3]
    assert stored.arrays["twice"].shape == (4, 2)
    assert fill(tmp_path, 3, "b", one, Event())
    assert len(drawn) == 7
    assert Store(tmp_path).arrays["number"].shape == (3,)

    stop.set()
    assert not fill(tmp_path, 5, "c", lambda number: {"other": np.array(number)}, stop)
    stored = Store(tmp_path)
    assert (stored.count, set(stored.arrays)) == (1, {"other"})
    with pytest.raises(RuntimeError, match="out of it"):
        fill(tmp_path, 5, "d", broken, Event())
    with pytest.raises(FileNotFoundError):
        Store(tmp_path)


def broken(number: int) -> dict[str, NDArray[np.int64]]:
    raise RuntimeError("out of it")

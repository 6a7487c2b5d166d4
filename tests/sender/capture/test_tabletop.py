"""The tabletop clips as a source."""

from __future__ import annotations

import threading
from itertools import islice

import numpy as np
import pytest

from common.tabletop.files import shipped
from common.values import Size
from common.video import planes
from sender.capture import create_source
from sender.capture.base import CaptureOptions, SourceError
from sender.capture.tabletop import TabletopSource


def test_a_clip_is_played_again_and_again() -> None:
    options = CaptureOptions(Size(128, 128), 480.0)
    source = create_source("tabletop:1", options)
    assert isinstance(source, TabletopSource)
    assert source.video == shipped()[1]
    first = next(source.video.pictures()).astype(float)
    frames = source.frames(threading.Event())
    shown = next(frames)
    luma = planes(shown.picture)[0].astype(float)
    coarse = first.mean(axis=2).reshape(128, 4, 128, 4).mean(axis=(1, 3))
    assert np.corrcoef(coarse.ravel(), luma.ravel())[0, 1] > 0.97
    assert len(list(islice(frames, 3))) == 3


def test_without_a_number_it_is_the_first() -> None:
    source = create_source("tabletop", CaptureOptions(Size(64, 64), 10.0))
    assert isinstance(source, TabletopSource)
    assert source.video == shipped()[0]
    assert source.name == "tabletop"


@pytest.mark.parametrize("text", ["tabletop:x", "tabletop:-1", "tabletop:99999"])
def test_other_numbers_are_one_clear_error(text: str) -> None:
    with pytest.raises(SourceError, match="the number must be 0 to"):
        create_source(text, CaptureOptions(Size(64, 64), 10.0))

"""Fitting a picture of another size into a recording."""

from __future__ import annotations

import numpy as np
import pytest

from common.video import BLACK_LUMA, blank, picture_size
from receiver.play.fit import Fitter


def test_a_picture_of_the_right_size_passes_untouched() -> None:
    picture = blank(64, 48, 90)
    assert Fitter(64, 48).fit(picture) is picture


@pytest.mark.parametrize("size", [(128, 32), (16, 96), (1280, 720), (16, 16), (32, 256)])
def test_other_sizes_are_scaled_to_fit_with_black_around(size: tuple[int, int]) -> None:
    fitted = Fitter(64, 48).fit(blank(*size, 200))
    assert picture_size(fitted) == (64, 48)
    luma = fitted[:48]
    assert abs(int(luma[24, 32]) - 200) <= 2
    shares = {value: np.mean(luma == value) for value in (BLACK_LUMA,)}
    wide = size[0] * 48 != size[1] * 64
    assert (shares[BLACK_LUMA] > 0) == wide

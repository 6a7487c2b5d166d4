from __future__ import annotations

import string

import numpy as np

from common.font import HEIGHT, PITCH, text_mask


def test_letters_and_digits_are_distinct_and_keep_their_boxes() -> None:
    signs = string.ascii_uppercase + string.digits
    dots = [text_mask(sign) for sign in signs]
    assert all(mask.shape == (HEIGHT, PITCH) and mask.any() and not mask[:, -1].any() for mask in dots)
    assert len({mask.tobytes() for mask in dots}) == len(signs)


def test_text_is_its_letters_side_by_side_small_ones_as_capitals() -> None:
    assert np.array_equal(text_mask("Go€"), np.hstack([text_mask("G"), text_mask("O"), text_mask(" ")]))


def test_dots_grow() -> None:
    assert np.array_equal(text_mask("7", 3)[::3, ::3], text_mask("7"))
    assert text_mask("7", 3).sum() == 9 * text_mask("7").sum()

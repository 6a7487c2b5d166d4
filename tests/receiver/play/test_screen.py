"""Where pictures go in the window; the rest of the screen is seen in test_window.py."""

from __future__ import annotations

import pytest

pytest.importorskip("sdl2", reason="the window extra is not installed")

from receiver.play.screen import fit


@pytest.mark.parametrize(
    ("picture", "window", "place"),
    [
        ((256, 256), (768, 768), (0, 0, 768, 768)),
        ((256, 256), (1920, 1080), (420, 0, 1080, 1080)),
        ((384, 256), (600, 800), (0, 200, 600, 400)),
        ((16, 4096), (100, 100), (50, 0, 1, 100)),
    ],
)
def test_the_shape_is_kept(
    picture: tuple[int, int], window: tuple[int, int], place: tuple[int, int, int, int]
) -> None:
    x, y, width, height = fit(*picture, *window)
    assert (width, height) == place[2:]
    assert abs(x - place[0]) <= 1 and abs(y - place[1]) <= 1

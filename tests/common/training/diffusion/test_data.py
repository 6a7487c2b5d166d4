"""The corpus, the degradation model, the clips: seeded, whole, and of the shapes that are told."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path
from threading import Event

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from common.codec.texture.group import Groups, squared_error
from common.maps.base import VOID, Legend
from common.models.diffusion import vocabulary
from common.tabletop.classes import CLASSES
from common.tabletop.files import CLIPS, TabletopVideo
from common.training.diffusion import clips, corpus, degrade
from common.training.diffusion.config import DataConfig, DegradeConfig
from common.training.diffusion.samples import Sampler, matte
from common.training.diffusion.store import FACTS
from tests.common.training.diffusion import toy


def pictures(frames: int = 10) -> NDArray[np.uint8]:
    rng = np.random.default_rng(2)
    ground = cv2.resize(rng.integers(0, 255, (10, 12, 3), np.uint8), (96, 80), interpolation=cv2.INTER_CUBIC)
    return np.stack([np.roll(ground, 2 * k, 1) for k in range(frames)]).astype(np.uint8)


@pytest.mark.parametrize("coded", [0.0, 1.0])
def test_the_degradation_model_is_seeded_and_does_harm(coded: float) -> None:
    settings, clear = DegradeConfig(coded=coded, lossy=1.0, loss_max=0.9), pictures()
    first, same, other = (degrade.texture(clear, 10.0, np.random.default_rng(s), settings) for s in (4, 4, 5))
    assert first.values.shape == clear.shape
    assert first.trust.shape == (10, 5, 6)
    assert 0 <= first.trust.min() <= first.trust.max() <= 1
    assert np.array_equal(first.values, same.values)
    assert np.array_equal(first.trust, same.trust)
    assert not np.array_equal(first.values, other.values)
    error = np.square(first.values.astype(float) - clear).mean()
    assert 4 < error < 10000


def test_lost_textures_are_not_trusted() -> None:
    settings = DegradeConfig(coded=1.0, lossy=1.0, loss_max=1.0, kbps=(3.0, 4.0))
    trusts = [degrade.texture(pictures(24), 10.0, np.random.default_rng(s), settings).trust for s in range(4)]
    assert any(trust.min() < 1 for trust in trusts)
    assert any(trust.min() == 1 for trust in trusts)


def test_what_moves_is_shown_as_groups_show_it_though_crops_are_small() -> None:
    """Of 32x32 small pictures, where the coder takes none below 64x64."""
    rng = np.random.default_rng(1)
    wide = cv2.resize(rng.integers(0, 255, (12, 40), np.uint8), (384, 192), interpolation=cv2.INTER_CUBIC)
    panned = [np.array(wide[:, 8 * k : 8 * k + 128], np.uint8) for k in range(32)]
    true, later = panned[:16], panned[16:]
    groups = Groups(15.0, adaptive=False)
    grey = [np.full_like(one, 128) for one in true]
    shown, known = degrade.nearer(groups, grey, true, 4, 350.0)
    assert [one.shape for one in shown] == [one.shape for one in true]
    assert squared_error(shown, true) < 0.5 * squared_error(grey, true)
    assert degrade.nearer(groups, true, true, 4, 350.0)[0] is true
    assert degrade.nearer(groups, grey, true, 4, 3.0) == (grey, None)  # none fits
    after, alone = (degrade.nearer(groups, grey, later, 4, 350.0, one)[0] for one in (known, None))
    assert squared_error(after, later) < 0.9 * squared_error(alone, later)


def test_maps_go_through_the_contour_codec() -> None:
    maps = np.full((8, 80, 96), vocabulary.OBJECTS, np.uint8)
    maps[:, 20:60, 30:70] = vocabulary.OBJECTS + 4
    settings = DegradeConfig(contours=1.0, lossy=0.0)
    shown = degrade.labels(maps, 10.0, np.random.default_rng(1), settings)
    assert (shown.values == maps).mean() > 0.95
    assert shown.trust.min() == 1
    unknown = np.full_like(maps, VOID)
    assert np.array_equal(degrade.labels(unknown, 10.0, np.random.default_rng(1), settings).values, unknown)


def test_a_clip_depends_on_its_number_alone(tmp_path: Path) -> None:
    toy.fill(tmp_path)
    data = DataConfig(crop=64, shares={"clip": 1.0, "tabletop": 1.0})
    sampler = Sampler(corpus.read(tmp_path), data.shares, data.caps, data.crop)
    first, again = (clips.draw(sampler, np.random.default_rng(3), 6, data, DegradeConfig()) for _ in range(2))
    assert first.clean.shape == first.degraded.shape == (6, 64, 64, 3)
    assert first.labels.shape == (6, 64, 64)
    assert first.texture_trust.shape == first.control_trust.shape == (6, 8, 8)
    for name in ("clean", "degraded", "labels", "texture_trust", "control_trust"):
        assert np.array_equal(getattr(first, name), getattr(again, name))


def test_stills_move_or_stand(tmp_path: Path) -> None:
    frames = list(pictures(1))
    corpus.write(tmp_path, "still", corpus.Facts("street", True, 1.0), frames, [np.ones((80, 96), np.uint8)])
    still = corpus.read(tmp_path)[0]
    moved, labels, fps = clips.window(still, np.random.default_rng(1), 5, stands=0.0)
    assert moved.shape == (5, 80, 96, 3)
    assert fps == 10.0
    assert (labels == 1).all()
    assert all(not np.array_equal(moved[k], moved[k + 1]) for k in range(4))
    standing, _, _ = clips.window(still, np.random.default_rng(1), 5, stands=1.0)
    assert all(np.array_equal(standing[0], standing[k]) for k in range(5))


def test_making_clips_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    drawn, stop = [], Event()

    def one(number: int) -> clips.Clip:
        drawn.append(number)
        if len(drawn) == 2:
            stop.set()
        shape = (2, 16, 16)
        pixels = np.full((*shape, 3), number, np.uint8)
        return clips.Clip(pixels, pixels, *(np.zeros(s, np.uint8) for s in (shape, (2, 2, 2), (2, 2, 2))))

    def encode(values: NDArray[np.uint8]) -> NDArray[np.float16]:
        return values[:, ::8, ::8, :1].transpose(0, 3, 1, 2).astype(np.float16)

    assert not clips.make(tmp_path, 4, 2, "a", one, encode, stop)
    stop.clear()
    assert clips.make(tmp_path, 4, 2, "a", one, encode, Event())
    assert clips.make(tmp_path, 4, 2, "a", one, encode, Event())
    assert drawn == [0, 1, 2, 3]
    stored = clips.Latents(tmp_path)
    assert stored.count == 4
    assert [float(stored.clip(k).clean.mean()) for k in range(4)] == [0, 1, 2, 3]
    assert json.loads((tmp_path / FACTS).read_text())["key"] == "a"
    clips.make(tmp_path, 4, 2, "b", one, encode, Event())
    assert len(drawn) == 8  # another autoencoder: anew


def test_the_shipped_tabletop_clips_are_read_with_their_maps(tmp_path: Path) -> None:
    assert corpus.add_tabletop(tmp_path, CLIPS) > 0
    assert corpus.add_tabletop(tmp_path, CLIPS) == 0
    source = corpus.read(tmp_path)[0]
    assert source.labels is not None
    assert source.frames.shape[:3] == source.labels.shape
    assert all(side % 16 == 0 and side <= corpus.WIDEST for side in source.labels.shape[1:])
    assert source.labels.min() >= vocabulary.OBJECTS
    assert source.labels.max() < vocabulary.CLASSES


def test_a_tabletop_video_with_fewer_maps_than_pictures_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = TabletopVideo.classes
    monkeypatch.setattr(TabletopVideo, "classes", lambda self: islice(whole(self), 3))
    with pytest.raises(corpus.CorpusError, match="and 3 maps; remove it"):
        corpus.add_tabletop(tmp_path, CLIPS)


def test_an_empty_corpus_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no sources"):
        corpus.read(tmp_path)
    toy.fill(tmp_path)
    with pytest.raises(ValueError, match="no source of the corpus"):
        Sampler(corpus.read(tmp_path), {"street": 1.0}, {}, 64)


def test_a_matte_shows_things_before_what_lies_behind() -> None:
    names = vocabulary.SHARED.classes
    labels = np.array(
        [names.index("car"), names.index("road"), names.index("table"), names.index("mug"), VOID], np.uint8
    )
    fore, back = vocabulary.FOREGROUND, vocabulary.BACKGROUND
    assert matte(labels).tolist() == [fore, back, back, fore, VOID]


def test_the_order_of_labels_that_weights_were_trained_with() -> None:
    """The names are those of the legends, which may not change their order."""
    street = "sky building pole road pavement tree sign fence car pedestrian bicyclist"
    assert " ".join(vocabulary.SHARED.classes[:15]) == f"{street} background foreground table box"


def test_legends_find_their_shared_labels() -> None:
    tabletop = Legend("tabletop", tuple(c.name for c in CLASSES), tuple(c.colour for c in CLASSES))
    table = vocabulary.lookup(tabletop)
    assert table[: len(CLASSES)].tolist() == list(range(vocabulary.OBJECTS, vocabulary.CLASSES))
    assert (table[len(CLASSES) :] == VOID).all()
    own = Legend("mine", ("Background", "Person", "Sidewalk", "zeppelin"), ((0, 0, 0),) * 4)
    names = [vocabulary.SHARED.classes[label] for label in vocabulary.lookup(own)[:4]]
    assert names == ["background", "pedestrian", "pavement", "foreground"]
    assert vocabulary.lookup(Legend("matte", ("a", "b"), ((0, 0, 0),) * 2))[:2].tolist() == [11, 12]


def test_textures_of_lost_units_are_as_long_as_the_clip() -> None:
    settings = DegradeConfig(coded=1.0, lossy=1.0, loss_max=1.0, kbps=(3.0, 4.0))
    for seed in range(3):
        found = degrade.texture(pictures(24), 10.0, np.random.default_rng(seed), settings)
        assert len(found.values) == len(found.trust) == 24

"""The tabletop simulator: what it simulates, what it renders, and the sets it writes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from common.tabletop.classes import CLASSES, NUMBERS
from common.tabletop.files import TabletopVideo, videos
from common.training.tabletop import camera, catalogue, command, world
from common.training.tabletop.camera import Lamp, Light
from common.training.tabletop.model import MOST_SOLIDS, Model
from common.training.tabletop.rays import Pose
from common.training.tabletop.render import Renderer, Table
from common.training.tabletop.scene import TabletopFrame, TabletopScene
from common.training.tabletop.settings import STEPS_A_SECOND, Settings, missing
from common.training.tabletop.video import write_video

TINY = Settings(seed=5, size=64, seconds=0.5)
BRIEF = replace(TINY, seconds=0.1)
NAMES = list(catalogue.BUILDERS)
COMMAND = [sys.executable, "-m", "common.training.tabletop", "--size", "64", "--seconds", "0.3"]


def frames(number: int, settings: Settings = TINY) -> list[TabletopFrame]:
    return list(TabletopScene(settings, number).frames())


def lowest(model: Model, pose: Pose) -> float:
    turn, place = pose
    corners = np.concatenate([part.mesh.corners.reshape(-1, 3) for part in model.parts])
    return float((corners @ turn.T + place)[:, 2].min())


@pytest.mark.parametrize("name", [*NAMES, "gripper"])
def test_models_are_sound(name: str) -> None:
    for seed in range(3):
        model = catalogue.BUILDERS.get(name, catalogue.gripper)(np.random.default_rng(seed))
        assert model.name == name in NUMBERS
        assert len(model.solids) <= MOST_SOLIDS
        assert model.mass > 0
        for part in model.parts:
            mesh = part.mesh
            np.testing.assert_allclose(np.linalg.norm(mesh.normals, axis=-1), 1, atol=1e-4)
            assert mesh.uv.min() >= 0 and mesh.uv.max() <= 1
            assert part.texture.min() >= 0 and part.texture.max() <= 1.001
            # Normals look to the side that the triangles turn to, or light would come through walls.
            edges = mesh.corners[:, 1:] - mesh.corners[:, :1]
            out = np.einsum("ti,tci->tc", np.cross(edges[:, 0], edges[:, 1]), mesh.normals)
            assert (out > 0).mean() > 0.99
        if name != "gripper":
            assert 0.015 < model.radius < 0.16


@pytest.mark.parametrize("half", [0, 1])
def test_objects_come_to_rest_on_the_table(half: int) -> None:
    rng = np.random.default_rng(half + 4)
    models = [catalogue.BUILDERS[name](rng) for name in NAMES[half::2]]
    with world.World(models, world.entries(rng, models, 1.0), [], False) as simulation:
        simulation.settle(0.5)
        simulation.advance(4.0)
        poses, speeds = simulation.poses(), simulation.speeds()
    assert len(speeds) == len(models)
    assert max(speeds) < 0.02
    for model, pose in zip(models, poses, strict=True):
        assert pose is not None
        # Collision shapes are simpler than what is seen, so that a rim may sink in by some millimetres.
        assert lowest(model, pose) > -0.006, model.name
        assert np.abs(pose[1][:2]).max() < 0.45, model.name


def test_pushes_move_their_target_alone() -> None:
    rng = np.random.default_rng(3)
    models = [catalogue.BUILDERS["box"](rng), catalogue.BUILDERS["brick"](rng), catalogue.gripper(rng)]
    lying = (0.0, 0.0, 0.0, 1.0)
    still = (0.0, 0.0, 0.0)
    ways = [world.Entry(0, (x, 0.0, 0.08), lying, still, still) for x in (-0.15, 0.15)]
    for by_gripper in (False, True):
        push = world.Push(0.1, 1, by_gripper, np.pi / 2, 0.8)
        with world.World(models, ways, [push], True) as simulation:
            simulation.settle(0.5)
            before = simulation.poses()
            assert before[2] is None
            simulation.advance(2.0)
            during = simulation.poses()
            simulation.advance(2.0)
            after = simulation.poses()
        assert (during[2] is not None) == by_gripper
        assert after[2] is None
        assert before[0] and before[1] and after[0] and after[1]
        np.testing.assert_allclose(after[0][1], before[0][1], atol=0.002)
        assert after[1][1][1] - before[1][1][1] > 0.03


def test_maps_are_exact() -> None:
    """Against geometry: a ball covers the pixels whose rays pass its middle within its radius."""
    model = catalogue.BUILDERS["ball"](np.random.default_rng(2))
    view = camera.overhead(np.random.default_rng(1), 128)
    lamp = Lamp(np.array([0.5, 0.2, 1.5], np.float32), 0.1, np.full(3, 5, np.float32))
    table = Table(np.full((4, 4, 3), 0.5, np.float32), 0.4)
    renderer = Renderer(view, Light((lamp,), np.ones(3, np.float32)), table, [model])
    middle, radius = np.array([0.05, -0.08, 0.1]), model.radius
    _, ids = renderer.frame([(np.eye(3), middle)])
    y, x = np.mgrid[:128, :128] + 0.5
    rays = view.rays(x.ravel(), y.ravel()).astype(float)
    away = np.linalg.norm(np.cross(middle - view.position, rays), axis=1).reshape(128, 128)
    pixel = 1.2 / view.focal
    np.testing.assert_array_equal(ids[away < radius - pixel], 1)
    np.testing.assert_array_equal(ids[away > radius + pixel], 0)
    picture, ids = renderer.frame([None])
    assert not ids.any()
    assert picture.std() < 20  # a plain table


def test_maps_agree_with_pictures() -> None:
    settings = Settings(seed=8, size=128, seconds=0.3)
    at_edges, elsewhere = [], []
    for number in range(3):
        shown = frames(number, settings)[-1]
        light = shown.picture.astype(float).mean(axis=2)
        slope = np.abs(np.diff(light, axis=1))
        edge = np.diff(shown.instances.astype(int), axis=1) != 0
        near = edge.copy()
        for k in (1, 2, 3):
            near[:, k:] |= edge[:, :-k]
            near[:, :-k] |= edge[:, k:]
        at_edges.append(slope[edge].mean())
        elsewhere.append(slope[~near].mean())
    assert np.mean(at_edges) > 4 * np.mean(elsewhere)


def test_scenes_are_repeatable_and_differ() -> None:
    first, again, other = frames(0), frames(0), frames(1, BRIEF)
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a.picture, b.picture)
        np.testing.assert_array_equal(a.instances, b.instances)
    assert np.abs(first[0].picture.astype(int) - other[0].picture).mean() > 5
    reseeded = frames(0, replace(BRIEF, seed=6))
    assert np.abs(first[0].picture.astype(int) - reseeded[0].picture).mean() > 5


def test_a_video_holds_what_was_rendered(tmp_path: Path) -> None:
    assert write_video(tmp_path / "a", TINY, 0) > 0
    write_video(tmp_path / "b", TINY, 0)
    files = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert files == ["classes.json", "classes.mkv", "instances.mkv", "meta.json", "rgb.mp4"]
    for name in files:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name
    video, rendered = TabletopVideo(tmp_path / "a"), frames(0)
    legend = {0: 0, **{number: NUMBERS[name] for number, name in video.legend().items()}}
    read = zip(video.pictures(), video.instances(), video.classes(), rendered, strict=True)
    for picture, instances, classes, frame in read:
        np.testing.assert_array_equal(instances, frame.instances)
        np.testing.assert_array_equal(classes, frame.classes)
        np.testing.assert_array_equal(np.vectorize(legend.__getitem__)(instances), classes)
        assert classes.max() < len(CLASSES)
        assert np.abs(picture.astype(int) - frame.picture).mean() < 4
    facts = json.loads((tmp_path / "a" / "meta.json").read_text())
    assert facts["seed"] == 5 and facts["frames"] == 5 and facts["licence"] == "Apache-2.0"


def test_the_command_fills_up_a_set(tmp_path: Path) -> None:
    out = ["--out", str(tmp_path), "--seed", "4"]
    done = subprocess.run([*COMMAND, *out, "--videos", "2", "--workers", "2"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "2 of 2 videos, " in done.stderr and " left; " in done.stderr
    first = videos(tmp_path)
    assert [video.folder.name for video in first] == ["00000", "00001"]
    stamp = (first[0].folder / "rgb.mp4").stat().st_mtime_ns
    (first[1].folder / "meta.json").unlink()  # as if it had been stopped
    assert list(missing(tmp_path, 2)) == [1]
    again = subprocess.run([*COMMAND, *out, "--videos", "2"], capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    assert (first[0].folder / "rgb.mp4").stat().st_mtime_ns == stamp
    assert len(videos(tmp_path)) == 2


def test_the_command_can_be_stopped(tmp_path: Path) -> None:
    arguments = [*COMMAND, "--out", str(tmp_path), "--videos", "500"]
    with subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True, start_new_session=True) as running:
        assert running.stderr is not None
        while "of 500 videos, " not in running.stderr.readline():
            assert running.poll() is None
        os.killpg(running.pid, signal.SIGINT)
        rest, begun = running.stderr.read(), time.monotonic()
        assert running.wait(30) == 130
        assert time.monotonic() - begun < 20
    assert "goes on from here" in rest
    assert "Traceback" not in rest
    assert videos(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--size", "15"], "size: must be even and 16 to 2048"),
        (["--fps", "7"], f"fps: must divide {STEPS_A_SECOND}"),
        (["--seconds", "0"], "seconds: must be above 0"),
        (["--seconds", "nan"], "seconds: must be above 0"),
        (["--seed", "2"], "was made with --seed 1: give the same"),
        (["--out", "/dev/null/set"], "Not a directory"),
    ],
)
def test_bad_settings_are_one_clear_error(
    arguments: list[str], text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Settings(seed=1).hold(tmp_path)
    assert command.main(["--out", str(tmp_path), *arguments]) == 1
    assert text in capsys.readouterr().err
    assert not videos(tmp_path)


def test_a_broken_record_is_named(tmp_path: Path) -> None:
    (tmp_path / "set.json").write_text("{")
    with pytest.raises(ValueError, match=r"set\.json: is not the record of a set"):
        Settings().hold(tmp_path)

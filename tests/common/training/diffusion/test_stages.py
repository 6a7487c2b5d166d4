"""Each stage at toy size: it lowers its loss and moves the parameters that it may move, and no other."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from common.models.diffusion import vocabulary
from common.training.diffusion import clips, distill, runner, stages, store
from common.training.diffusion.refinement import RefinementTask, tinted, turned
from common.training.diffusion.stages import StageError
from tests.common.training.diffusion import toy
from tests.devices import DEVICES

pytestmark = pytest.mark.filterwarnings("ignore")


def weights(run: runner.Run) -> dict[str, Tensor]:
    return {name: value.detach().clone() for group in run.groups.values() for name, value in group.items()}


def begun(
    folder: Path, stage: str, steps: int = 4, **changes: dict[str, object]
) -> tuple[runner.Run, stages.Place]:
    """A run of a stage whose forerunners have left nothing but latents."""
    settings = toy.recipe(**changes)
    place = toy.place(folder, settings)
    toy.fill_latents(place.out / "clips")
    toy.fill_pictures(place.out / "pictures")
    toy.fill(place.corpus)
    torch.manual_seed(settings.seed)
    task = stages.create(place, stage)
    key = settings.seed, stages.STAGES.index(stage)
    return runner.Run(task, getattr(settings, stage), runner.Limits(steps), key, "cpu"), place


@pytest.mark.parametrize("device", DEVICES)
def test_all_stages_run_in_order_and_leave_a_decoder(device: str, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    place = toy.place(tmp_path, toy.recipe(), device)
    toy.fill(place.corpus)
    assert stages.run_all(place, None, Event())
    model = stages.assemble(place)
    assert model.vae.config.scaling_factor == pytest.approx(clips.Latents(place.out / "clips").scale)
    parts = {"dmd": "temporal", "restoration": "restoration", "control": "control", "refinement": "refiner"}
    for stage, part in parts.items():
        kept = runner.kept(place.out / stage)
        assert kept
        assert {name.split(".")[0] for name in kept} == {part}
        assert all(torch.equal(model.state_dict()[name], value) for name, value in kept.items())
    before = {path: hashlib.sha256(path.read_bytes()).digest() for path in place.out.rglob("checkpoint.pt")}
    assert stages.run_all(place, None, Event())  # all are finished: nothing is trained again
    assert before == {path: hashlib.sha256(path.read_bytes()).digest() for path in before}


@pytest.mark.parametrize(
    "stage", [*("autoencoder", "backbone", "control", "restoration", "teacher", "lcm"), "refinement"]
)
def test_a_stage_lowers_its_loss(stage: str, tmp_path: Path) -> None:
    run, _ = begun(tmp_path, stage, 60)
    if stage not in (
        "autoencoder",
        "refinement",
    ):  # control and adapters are neutral over a backbone that puts out nothing
        torch.nn.init.normal_(run.task.model.unet.conv_out.weight, 0, 0.05)  # type: ignore[attr-defined]
    batch = run.draw(0)

    def loss() -> float:  # of several draws of noise: one alone may be an easy one
        noises = (torch.Generator().manual_seed(seed) for seed in range(4))
        return sum(float(next(iter(run.task.turns(batch, noise))).loss.detach()) for noise in noises)

    first = loss()
    for _ in range(12):
        run.advance(batch)
    assert loss() < first


@pytest.mark.parametrize(
    ("stage", "moved"),
    [
        ("backbone", {"unet", "context"}),
        ("control", {"control"}),
        ("restoration", {"restoration"}),
        ("teacher", {"temporal"}),
        ("lcm", {"temporal"}),
        ("dmd", {"temporal"}),
    ],
)
def test_only_the_parts_of_a_stage_move(stage: str, moved: set[str], tmp_path: Path) -> None:
    run, _ = begun(tmp_path, stage, lcm={"conditioned": True}, dmd={"conditioned": True, "degraded": 1.0})
    task = run.task
    model = task.model  # type: ignore[attr-defined]
    teacher = {n: v.clone() for n, v in getattr(task, "teacher", torch.nn.Module()).state_dict().items()}
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    for _ in range(4):
        run.advance(run.draw(run.step))
    changed = {name for name, value in model.named_parameters() if not torch.equal(value, before[name])}
    assert {name.split(".")[0] for name in changed} == moved
    assert all(value.grad is None for value in model.parameters())
    for name, value in teacher.items():
        assert torch.equal(task.teacher.state_dict()[name], value)  # type: ignore[attr-defined]


def test_the_restoration_adapter_is_three_matrices_a_layer(tmp_path: Path) -> None:
    run, _ = begun(tmp_path, "restoration")
    kinds = {tuple(name.split(".")[3:]) for name in run.groups["loss"]}
    assert kinds == {("to_k", "weight"), ("to_v", "weight"), ("to_out", "weight"), ("to_out", "bias")}


def test_the_critic_follows_the_student_and_the_teacher_stays(tmp_path: Path) -> None:
    run, _ = begun(tmp_path, "dmd", dmd={"critic_steps": 2})
    assert set(run.groups) == {"student", "critic"}
    turns = [turn.group for turn in run.task.turns(run.draw(0), torch.Generator().manual_seed(1))]
    assert turns == ["student", "critic", "critic"]
    before = weights(run)
    figures = run.advance(run.draw(0))
    assert np.isfinite(list(figures.values())).all()
    after = weights(run)
    assert any(not torch.equal(after[name], before[name]) for name in run.groups["critic"])


@pytest.mark.parametrize("stage", stages.WEIGHTS)
def test_a_resumed_run_gives_what_an_unbroken_one_gives(stage: str, tmp_path: Path) -> None:
    whole, _ = begun(tmp_path / "a", stage, 4)
    assert runner.train(whole, tmp_path / "whole", Event())
    part, _ = begun(tmp_path / "a", stage, 4)
    for _ in range(2):
        part.advance(part.draw(part.step))
    (tmp_path / "part").mkdir()
    part.save(tmp_path / "part")
    again, _ = begun(tmp_path / "a", stage, 4)
    assert runner.train(again, tmp_path / "part", Event(), ahead=2)
    first, second = runner.kept(tmp_path / "whole"), runner.kept(tmp_path / "part")
    assert first and second
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert all(torch.equal(value, weights(again)[name]) for name, value in weights(whole).items())


def test_the_videos_of_the_teacher_go_on_where_they_were_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sampled, stop = [], Event()

    def teach(*arguments: Any) -> Tensor:
        sampled.append(arguments)
        if len(sampled) == 2:
            stop.set()
        return distill.teach(*arguments)

    monkeypatch.setattr(stages, "teach", teach)
    videos = []
    for folder, interrupted in ((tmp_path / "a", True), (tmp_path / "b", False)):
        _, place = begun(folder, "teacher")
        assert stages.run(place, "teacher", None, Event())
        if interrupted:
            assert not stages.run(place, "lcm", None, stop)
            assert not (place.out / "lcm" / runner.CHECKPOINT).exists()
        assert stages.run(place, "lcm", None, Event())
        videos.append(store.Store(place.out / "lcm" / "videos").arrays["clean"])
    assert len(sampled) == 3 + 3  # as many as there are: none twice
    assert np.array_equal(videos[0], videos[1]) and len({video.tobytes() for video in videos[0]}) == 3
    stages.run(place, "lcm", None, Event())
    assert len(sampled) == 6
    _retrained(place)
    stages.run(place, "lcm", None, Event())
    assert len(sampled) == 9  # another teacher, other videos


def _retrained(place: stages.Place) -> None:
    """The teacher goes on by two steps."""
    longer = dataclasses.replace(place, recipe=toy.recipe(teacher={"steps": 4}))
    assert stages.run(longer, "teacher", None, Event())


def test_the_refiner_learns_to_see_with_and_without_each_input(tmp_path: Path) -> None:
    run, _ = begun(tmp_path, "refinement", refinement={"control": 0.5, "blind": 0.5, "plain": 0.5})
    seen = {(bool(t[:, 0].any()), bool(t[:, 1].any())) for t in (run.draw(step).trust for step in range(30))}
    assert len(seen) == 4
    batches = [run.draw(step) for step in range(30)]
    assert {bool((b.made == b.texture).all()) for b in batches} == {True, False}
    assert all((b.clean[0] != b.clean[0, :, ::-1]).any() for b in batches)


def test_the_refiner_sees_maps_of_another_moment(tmp_path: Path) -> None:
    labels = np.zeros((64, 64), np.uint8)
    labels[20:40, 30:50] = 1
    for late in (0.0, 1.0):
        run, _ = begun(tmp_path / str(late), "refinement", refinement={"late": late, "shift": 8})
        assert isinstance(run.task, RefinementTask)
        seen = [run.task._late(labels, np.random.default_rng(seed)) for seed in range(8)]
        assert all(one.shape == labels.shape and one.sum() == labels.sum() for one in seen)
        assert any((one != labels).any() for one in seen) == bool(late)


def test_the_refiner_is_judged_by_a_segmenter_where_the_map_is_of_a_street(tmp_path: Path) -> None:
    run, _ = begun(tmp_path, "refinement")
    batch = run.draw(0)
    apart = []
    for label in (vocabulary.OBJECTS, 1):
        street = dataclasses.replace(batch, labels=np.full_like(batch.labels, label))
        (turn,) = run.task.turns(street, torch.Generator())
        apart.append(turn.figures["scene"])
    assert apart[0] == 0 < apart[1]


def test_a_stop_saves_and_tells_that_there_is_more(tmp_path: Path) -> None:
    run, _ = begun(tmp_path, "backbone", 50)
    stop = Event()
    stop.set()
    assert not runner.train(run, tmp_path / "stopped", stop)
    assert (tmp_path / "stopped" / runner.CHECKPOINT).exists()


def test_time_ends_a_stage_where_minutes_are_given(tmp_path: Path) -> None:
    run, _ = begun(tmp_path, "backbone")
    run.limits = runner.Limits(10**9, 0.05)
    assert runner.train(run, tmp_path / "timed", Event())
    assert run.step >= 1
    assert run.learning_rate() <= run.config.learning_rate


@pytest.mark.parametrize(
    ("stage", "first"),
    [("clips", "autoencoder"), ("backbone", "clips"), ("dmd", "lcm"), ("pictures", "restoration")],
)
def test_a_stage_says_what_it_needs(stage: str, first: str, tmp_path: Path) -> None:
    with pytest.raises(StageError, match=f"{stage}: needs {first} first"):
        stages.run(toy.place(tmp_path, toy.recipe()), stage, None, Event())


def test_samples_are_turned_and_tinted_as_one() -> None:
    rng = np.random.default_rng(3)
    clean = rng.integers(40, 200, (3, 8, 8, 3), np.uint8)
    values = {"clean": clean, "texture": clean // 2, "made": clean.copy(), "labels": clean[..., 0]}
    values["trust"] = np.stack((clean[..., 1], clean[..., 2]), 1)
    seen = set()
    for mirrored in (False, True):
        for quarters in range(4):
            out = turned(values, mirrored, quarters)
            seen.add(out["clean"].tobytes())
            assert np.array_equal(out["labels"], out["clean"][..., 0])
            assert np.array_equal(out["trust"][:, 1], out["clean"][..., 2])
            assert np.array_equal(out["texture"], out["clean"] // 2)
    assert len(seen) == 8 and clean.tobytes() in seen
    lit = tinted(values, rng)
    assert np.array_equal(lit["clean"], lit["made"]) and not np.array_equal(lit["clean"], clean)
    assert np.array_equal(lit["labels"], values["labels"])
    for one, other in zip(lit["clean"], clean, strict=True):  # curves that rise
        order = np.argsort(other[..., 0], axis=None)
        assert (np.diff(one[..., 0].ravel()[order].astype(int)) >= 0).all()

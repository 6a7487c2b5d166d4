"""The diffusion decoder behind pictures, with toy weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from common.codec.base import COARSEST_QP, IMAGINED
from common.maps.base import VOID, Legend
from common.models.diffusion import vocabulary
from common.models.diffusion.config import ConfigError
from common.models.diffusion.graphs import StepGraph, Use
from common.models.diffusion.loading import LoadingError, save
from common.models.diffusion.runtime.cudagraphs import CudaGraphs
from common.models.diffusion.runtime.specs import step_name
from common.models.diffusion.stream import Streamer, StreamState
from common.video import Picture, blank
from receiver.contours.store import MapStore, ShownMap
from receiver.decode_config import DecodeSection
from receiver.generative import network as networks
from receiver.generative.create import load
from receiver.generative.decoder import GenerativeDecoder, State
from receiver.generative.figures import generative_status
from receiver.generative.frames import Frame
from receiver.generative.gpu_memory import GpuMemory
from receiver.generative.lambdas import Lambdas
from receiver.generative.network import Network, Options, read, work_size
from tests.common.models.diffusion.runtime.test_cudagraphs import FakeCapturer
from tests.common.models.diffusion.toy import toy_model
from tests.receiver.generative.test_gpu_memory import MB, FakeDevice
from tests.receiver.link import scene

SIZE = (64, 48)
TRUST = np.zeros((3, 4), np.uint8)
TABLE = Legend("two", ("table", "bottle"), ((1, 2, 3), (200, 100, 50)))


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    save(toy_model(control_channels=vocabulary.CLASSES, strength=0.3), folder)
    return folder


def network(weights: Path, **options: object) -> Network:
    return Network(Options(weights, device="cpu", runtime="torch", **options))  # type: ignore[arg-type]


def a_map(label: int, trust: int = 0) -> ShownMap:
    labels = np.full((48, 64), label, np.uint8)
    labels[:, 32:] = 0
    return ShownMap(labels, np.full((3, 4), trust, np.uint8), TABLE, 0.0)


def clip(count: int) -> list[Picture]:
    return [scene(number, *SIZE) for number in range(count)]


def test_pictures_have_the_size_of_the_stream_and_depend_on_all_that_came(weights: Path) -> None:
    threads = torch.get_num_threads()
    made = network(weights).generate(scene(1, *SIZE), TRUST, a_map(1), True, 1)
    assert made.shape == scene(1, *SIZE).shape and made.dtype == np.uint8 and made.std() > 1
    again = network(weights).generate(scene(1, *SIZE), TRUST, a_map(1), True, 1)
    assert np.array_equal(made, again)  # the same noise each time
    others = (
        (scene(9, *SIZE), TRUST, a_map(1), 1),
        (scene(1, *SIZE), TRUST + np.uint8(IMAGINED), a_map(1), 1),
        (scene(1, *SIZE), TRUST, a_map(1, IMAGINED), 1),
        (scene(1, *SIZE), TRUST, None, 1),
        (scene(1, *SIZE), TRUST, a_map(1), 4),
    )
    for texture, trust, found, steps in others:
        assert not np.array_equal(made, network(weights).generate(texture, trust, found, True, steps))
    torch.set_num_threads(threads)


def test_of_a_fine_texture_the_refiner_changes_little(weights: Path) -> None:
    def change(qp: float) -> float:
        played, texture = network(weights, side=64), scene(1, *SIZE)
        made = played.generate(texture, TRUST, a_map(1), True, 0, qp)
        assert played.size == SIZE
        return float(np.abs(made.astype(int) - texture).mean())

    assert change(COARSEST_QP) > 2 * change(20.0) > 0


def test_a_map_that_is_not_trusted_is_as_good_as_none(weights: Path) -> None:
    one, other = (
        network(weights).generate(scene(1, *SIZE), TRUST, found, True, 1)
        for found in (None, a_map(1, IMAGINED))
    )
    assert np.array_equal(one, other)


def test_reset_forgets_what_came_before_and_steps_may_change(weights: Path) -> None:
    pictures, played = clip(3), network(weights)
    first = [
        played.generate(picture, TRUST, None, number == 0, (2, 4, 1)[number])
        for number, picture in enumerate(pictures)
    ]
    alone = network(weights).generate(pictures[2], TRUST, None, True, 1)
    assert not np.array_equal(first[2], alone)  # the past is seen
    assert np.array_equal(played.generate(pictures[2], TRUST, None, True, 1), alone)
    played.generate(pictures[0], TRUST, None, False, 1)
    played.forget()
    assert np.array_equal(played.generate(pictures[2], TRUST, None, True, 1), alone)


def test_a_lost_texture_is_stood_in_for_by_the_past(weights: Path) -> None:
    """What is not trusted has no influence at all once there is a past."""
    lost = TRUST + np.uint8(IMAGINED)
    made = []
    for texture in (scene(5, *SIZE), blank(*SIZE, 200)):
        played = network(weights)
        played.generate(scene(4, *SIZE), TRUST, None, True, 1)
        made.append(played.generate(texture, lost, None, False, 1))
    assert np.array_equal(made[0], made[1])


def test_warming_up_and_other_sizes_leave_no_trace(weights: Path) -> None:
    played = network(weights, side=64)
    assert played.size == (0, 0)
    played.warm(1)
    assert played.size == (64, 64)
    made = played.generate(scene(1, *SIZE), TRUST, None, True, 2)
    assert played.size == SIZE
    played.warm(4)
    assert np.array_equal(played.generate(scene(1, *SIZE), TRUST, None, True, 2), made)
    assert played.memory > sum(tensor.nbytes for tensor in played.model.state_dict().values())
    assert played.steps == (4, 2, 1, 0) and network(weights, steps=2).steps == (2, 1, 0)


def test_warming_up_records_all_that_frames_need_and_what_is_timed_records_nothing(
    weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        networks, "create_runtime", lambda name, model, *size, **more: CudaGraphs(model, FakeCapturer())
    )
    played, captures = network(weights), dict[int, list[int]]()

    def warm(steps: int) -> None:
        before = 0 if played._runtime is None else played._runtime.figures.captures
        Network.warm(played, steps)
        assert played._runtime is not None
        captures.setdefault(steps, []).append(played._runtime.figures.captures - before)

    monkeypatch.setattr(played, "warm", warm)
    decoder = GenerativeDecoder(lambda: played, MapStore(), live=False)
    frame = Frame(1, scene(1, *SIZE), TRUST, 1000.0, 5.0)
    decoder.start()
    decoder.expect([frame], 0.1)
    decoder.work(0.0)
    assert decoder.state is State.READY
    # Refiner; encode, embed, degraded, decode and the first ring with and without a map; then the other rings.
    assert captures == {0: [1, 0], 1: [6, 0], 2: [2, 0], 4: [4, 0]}
    assert set(decoder.pace.known) == {0, 1, 2, 4}
    for steps, found in ((4, None), (2, a_map(1)), (1, None), (0, a_map(1)), (4, a_map(1))):
        played.generate(scene(2, *SIZE), TRUST, found, steps == 4, steps)
    assert played._runtime is not None and played._runtime.figures.captures == 13


def test_of_a_gpu_all_that_was_taken_is_told(weights: Path) -> None:
    played, device = network(weights), FakeDevice()
    played._gpu = GpuMemory(350 * MB, device)
    device.others = 100 * MB
    played.warm(1)
    assert played.memory == 100 * MB
    device.torch = 30 * MB
    played.fit(SIZE)
    assert played.memory == 130 * MB and device.allowed == 350 * MB


def test_forgetting_leaves_nothing_of_a_failure_and_everything_where_it_is(weights: Path) -> None:
    played = network(weights)
    made = [played.generate(picture, TRUST, None, number == 0, 4) for number, picture in enumerate(clip(2))]
    state = played._state
    assert state is not None
    tensors = [*(ring for rings in state.caches for ring in rings), state.latent]
    for tensor in tensors:
        tensor.fill_(torch.nan)
    played.forget()
    assert played._state is state and not any(tensor.any() for tensor in tensors)
    again = [played.generate(picture, TRUST, None, number == 0, 4) for number, picture in enumerate(clip(2))]
    assert all(np.array_equal(a, b) for a, b in zip(made, again, strict=True))


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """`steps`: for how many there is memory; as torch says it of a GPU."""
    left, whole = {"steps": 4}, Streamer.init_state

    def bounded(self: Streamer, batch: int, seeds: Sequence[int] | None = None) -> StreamState:
        if self.steps > left["steps"]:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 548.00 MiB.")
        return whole(self, batch, seeds)

    monkeypatch.setattr(Streamer, "init_state", bounded)
    return left


def opened(weights: Path) -> GenerativeDecoder:
    """A decoder that has loaded and prepared for pictures of SIZE."""
    decoder = GenerativeDecoder(lambda: network(weights), MapStore(), clock=lambda: 5.0, live=False)
    assert decoder.wanted("structure")
    decoder.expect([Frame(1, scene(1, *SIZE), TRUST, 1000.0, 5.0)], 0.1)
    decoder.work(5.0)
    return decoder


@pytest.mark.parametrize("steps", [2, 1])
def test_where_memory_is_not_enough_fewer_steps_are_made_and_that_is_told(
    weights: Path, room: dict[str, int], steps: int, caplog: pytest.LogCaptureFixture
) -> None:
    room["steps"] = steps
    decoder = opened(weights)
    assert decoder.state is State.READY and decoder.made == {steps: 1}
    assert decoder.network is not None and max(decoder.network.steps) == steps
    (warned,) = (record for record in caplog.records if record.levelname == "WARNING")
    assert warned.getMessage().startswith("too little memory for more denoising steps")
    assert f"; memory for {steps} step" in str(generative_status(decoder, "structure")["decoder"])


def test_where_memory_is_not_enough_for_one_step_it_gives_up_and_names_the_fix(
    weights: Path, room: dict[str, int]
) -> None:
    room["steps"] = 0
    decoder = opened(weights)
    assert decoder.state is State.FAILED and decoder.failures == 1
    assert "too little memory for 1 step: raise decode.gpu_memory_mb" in decoder.reason


def test_other_errors_cost_no_steps(weights: Path) -> None:
    played = network(weights)
    assert played.fewer(FloatingPointError("the network gave numbers that are none")) is None
    for error in (
        MemoryError(),
        RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory"),
    ):
        played.generate(scene(1, *SIZE), TRUST, None, True, max(played.steps))
        assert played.fewer(error) == max(played.steps)
    assert played.steps == (1, 0) and played.fewer(MemoryError()) == 0


def test_engines_are_kept_in_the_folder_that_is_given(weights: Path, tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    played = load(
        DecodeSection(engines=tmp_path / "mine", runtime="onnxruntime", device="cpu", weights=weights),
        Lambdas,
    )
    played.fit(SIZE)
    assert (tmp_path / "mine").is_dir()
    played.close()
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def family(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights in Stable Diffusion's layout, with no adapter."""
    folder: Path = tmp_path_factory.mktemp("family")
    model = toy_model(control_channels=3, refiner=())
    model.unet.save_pretrained(folder / "unet")
    model.vae.save_pretrained(folder / "vae")
    save_file({"context": model.context.detach()}, folder / "context.safetensors")
    return folder


def test_without_a_restoration_adapter_frames_start_from_the_texture(family: Path) -> None:
    def apart(**options: float) -> float:
        dark, bright = (
            network(family, **options).generate(blank(*SIZE, level), TRUST, None, True, 2).astype(int)
            for level in (40, 230)
        )
        return float(np.abs(dark - bright).mean())

    assert apart() == apart(strength=0.5) > 0
    assert apart(strength=1.0) == 0


def test_the_strength_that_is_set_goes_before_that_of_the_weights(weights: Path) -> None:
    def made(strength: float | None) -> Picture:
        settings = DecodeSection(strength=strength, runtime="torch", device="cpu", weights=weights)
        return load(settings, Lambdas).generate(scene(1, *SIZE), TRUST, a_map(1), True, 1)

    threads = torch.get_num_threads()
    assert np.array_equal(made(None), made(0.3)) and not np.array_equal(made(None), made(0.9))
    torch.set_num_threads(threads)


class Watched:
    """Notes which adapters take part in the steps of a network."""

    def __init__(self, played: Network, monkeypatch: pytest.MonkeyPatch) -> None:
        self.steps, self.embedded = list[str](), 0
        played.fit(SIZE)
        assert played._streamer is not None
        graphs = played._streamer.graphs
        step, embed = graphs.step, graphs.embed

        def noted(use: Use) -> StepGraph:
            self.steps.append(step_name(use))
            return step(use)

        def counted(control: torch.Tensor, trust: torch.Tensor) -> torch.Tensor:
            self.embedded += 1
            return embed(control, trust)

        monkeypatch.setattr(graphs, "step", noted)
        monkeypatch.setattr(graphs, "embed", counted)


def test_without_a_map_nothing_is_done_for_one(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    played = network(weights)
    watched = Watched(played, monkeypatch)
    for found in (None, a_map(1), None):
        played.generate(scene(1, *SIZE), TRUST, found, False, 1)
    assert watched.steps == ["step-rt", "step-crt", "step-rt"] and watched.embedded == 1
    watched.steps.clear()
    played.warm(1)  # both ways, so that neither is slow when it comes; then the one that takes longer
    played.warm(1)
    assert watched.steps == ["step-rt", "step-crt", "step-crt"]


def test_weights_of_the_adapters_change_while_it_plays(
    weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lambdas = Lambdas()
    played = Network(Options(weights, device="cpu", runtime="torch"), lambda: lambdas)
    watched = Watched(played, monkeypatch)

    def made(texture: int = 1, found: int = 1) -> Picture:
        played.generate(scene(7, *SIZE), TRUST, a_map(0), True, 1)
        return played.generate(scene(texture, *SIZE), TRUST, a_map(found), False, 1)

    usual = made()
    lambdas = Lambdas(control=0.0)
    assert not np.array_equal(usual, made()) and np.array_equal(made(found=1), made(found=0))
    lambdas = Lambdas(restoration=0.0, temporal=0.0)
    assert not np.array_equal(usual, made())
    lambdas = Lambdas(temporal=0.5)
    assert not np.array_equal(usual, made())
    lambdas = Lambdas()
    assert np.array_equal(usual, made())
    assert list(dict.fromkeys(watched.steps)) == ["step-crt", "step-rt", "step-c"]


def test_adapters_that_the_weights_lack_take_no_time(family: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    played = network(family)
    watched = Watched(played, monkeypatch)
    played.generate(scene(1, *SIZE), TRUST, a_map(1), True, 1)
    assert watched.steps == ["step-0"] and not watched.embedded


def test_the_size_that_is_worked_on() -> None:
    assert work_size((256, 256), 256, 32) == (256, 256)
    assert work_size((480, 352), 256, 32) == (288, 224)
    assert work_size((512, 512), 256, 64) == (256, 256)
    assert work_size((1280, 720), 512, 64) == (704, 384)
    assert work_size((64, 64), 256, 32) == (64, 64)
    assert work_size((1920, 16), 256, 64) == (1920, 64)


def test_maps_in_colours(tmp_path: Path) -> None:
    save(toy_model(control_channels=3), tmp_path)
    played = network(tmp_path)
    played.fit(SIZE)
    control, _ = played._control(ShownMap(np.full((48, 64), 1, np.uint8), TRUST, TABLE, 0.0))
    assert control.shape == (1, 3, 48, 64)
    assert control[0, :, 0, 0].tolist() == pytest.approx([200 / 255, 100 / 255, 50 / 255])
    control, _ = played._control(ShownMap(np.full((48, 64), VOID, np.uint8), TRUST, TABLE, 0.0))
    assert not control.any()


def test_maps_in_classes_of_the_shared_space(weights: Path) -> None:
    played = network(weights)
    played.fit(SIZE)
    control, _ = played._control(a_map(1))
    names = vocabulary.SHARED.classes
    assert control.sum() == 48 * 64
    assert control[0, names.index("bottle"), :, :32].all() and control[0, names.index("table"), :, 32:].all()
    unknown = ShownMap(np.full((24, 32), VOID, np.uint8), TRUST, TABLE, 0.0)
    assert not played._control(unknown)[0].any()


def test_weights_that_cannot_be_used_are_refused_with_the_fix(tmp_path: Path, weights: Path) -> None:
    with pytest.raises(LoadingError, match=r"manifest\.json"):
        read(tmp_path, "cpu", torch.float32)
    save(toy_model(), tmp_path / "five")
    with pytest.raises(ConfigError, match="5; this version knows maps of 37"):
        network(tmp_path / "five")
    (tmp_path / "sd" / "unet").mkdir(parents=True)
    with pytest.raises(LoadingError, match="unet"):
        read(tmp_path / "sd", "cpu", torch.float32)
    if not torch.cuda.is_available():
        with pytest.raises(RuntimeError, match=r"decode\.device"):
            Network(Options(weights, device="cuda"))

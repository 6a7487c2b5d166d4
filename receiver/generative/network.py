"""The diffusion decoder behind pictures of the stream's size. Loads torch: imported only when it is to be used."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import torch
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter
from numpy.typing import NDArray
from torch import Tensor

from common.codec.base import COARSEST_QP, IMAGINED
from common.maps.base import VOID, Legend
from common.models.diffusion import vocabulary
from common.models.diffusion.config import ConfigError, DiffusionConfig
from common.models.diffusion.graphs import Use
from common.models.diffusion.loading import LoadingError, load, load_folders
from common.models.diffusion.model import DiffusionModel
from common.models.diffusion.runtime.base import Runtime, create_runtime, no_bound, place
from common.models.diffusion.stream import Streamer, StreamInputs, StreamState
from common.video import Picture, blank, picture_size, to_video_frame
from receiver.contours.store import ShownMap
from receiver.generative.gpu_memory import Cuda, GpuMemory
from receiver.generative.lambdas import Lambdas
from receiver.generative.missing import DIFFUSERS, MANIFEST
from receiver.play.base import TrustMap

SIDES = {"cpu": 256, "cuda": 512}
"""The area that is worked on, as the side of a square, where none is asked for."""

COLOURS = 3
"""Channels of a map in colours, as ControlNets take it."""

SEED = 1
Size = tuple[int, int]
"""Width, height."""
Control = tuple[Tensor, Tensor] | tuple[None, None]
"""A map and its trust, or none."""


@dataclass(frozen=True, slots=True)
class Options:
    """weights: folder; device: auto, cpu or cuda; side: of a square of the area worked on, None: by the device;
    threads: of torch on a CPU; gpu_memory_mb: at most, of a GPU; runtime: as create_runtime has it; engines: the
    folder of what it builds, None: in the user's cache; strength: as Streamer has it."""

    weights: Path
    device: str = "auto"
    steps: int = 4
    side: int | None = None
    threads: int = 1
    gpu_memory_mb: int = 6200
    runtime: str = "auto"
    engines: Path | None = None
    strength: float | None = None


class Network:
    """Generates the pictures of one stream, in order. Owned by one thread, the one that makes it."""

    def __init__(self, options: Options, lambdas: Callable[[], Lambdas] = Lambdas) -> None:
        """Loads the weights. `lambdas`: asked for every picture. Raises LoadingError or ConfigError (both ValueError),
        RuntimeError where there is no such device."""
        self.device = _device(options)
        self._gpu = GpuMemory(options.gpu_memory_mb << 20, Cuda()) if self.device == "cuda" else None
        self.model = place(read(options.weights, "cpu", torch.float32), self.device)
        self._codes, self._lambdas = _codes(self.model.config), lambdas
        self._runtime: Runtime | None = None
        self._runtime_name, self._engines = options.runtime, options.engines
        self._side = options.side or SIDES[self.device]
        self._most, self._strength = options.steps, options.strength
        self._shown: Size = (0, 0)
        self._work: Size = (0, 0)
        self._warm: set[int] = set()
        """Numbers of steps that pictures of this size were made in."""
        self._streamer: Streamer | None = None
        self._state: StreamState | None = None
        self._scaler = VideoReformatter()
        self._legend: Legend | None = None
        self._table: NDArray[np.uint8] | None = None

    @property
    def steps(self) -> tuple[int, ...]:
        """Numbers of denoising steps that may be asked for; 0: the Refiner alone."""
        counts = (4, 2, 1) if self.model.refiner is None else (4, 2, 1, 0)
        return tuple(count for count in counts if not count or self._most % count == 0)

    @property
    def size(self) -> Size:
        """What is worked on, width and height; (0, 0) before the first picture."""
        return self._work

    @property
    def memory(self) -> int:
        """Bytes: of the GPU all that was taken, of the CPU weights and state. Any thread; waits for nothing."""
        if self._gpu is not None:
            return self._gpu.taken
        weights = sum(tensor.nbytes for tensor in self.model.state_dict().values())
        return int(weights + (self._state.bytes() if self._state is not None else 0))

    def fit(self, size: Size) -> None:
        """Get ready for pictures of this size; one that is another is a new start. Raises ConfigError, or
        BackendError where the runtime cannot be had."""
        if size == self._shown and self._streamer is not None:
            return
        self._release()
        self._shown, self._warm = size, set()
        width, height = self._work = work_size(size, self._side, self.model.config.multiple)
        admit = no_bound if self._gpu is None else self._gpu.admit
        self._runtime = create_runtime(self._runtime_name, self.model, height, width, self._engines, admit)
        streamer = Streamer(self.model, height, width, self._most, self._strength, self._runtime)
        self._state = streamer.init_state(1, [SEED])
        self._streamer = streamer

    def generate(
        self,
        texture: Picture,
        trust: TrustMap,
        found: ShownMap | None,
        reset: bool,
        steps: int,
        qp: float = COARSEST_QP,
    ) -> Picture:
        """The next picture, of the texture's size. `found`: its map; `reset`: forget those before; `qp`: how coarse the
        texture is, on H.265's scale."""
        self.fit(picture_size(texture))
        control = (None, None) if found is None else self._control(found)
        return self._make(texture, trust, control, reset, steps, qp)

    def _make(
        self, texture: Picture, trust: TrustMap, control: Control, reset: bool, steps: int, qp: float
    ) -> Picture:
        assert self._streamer is not None and self._state is not None
        weights = self._weights()
        inputs = StreamInputs(
            self._pixels(texture), control[0], _trust(trust), control[1], torch.tensor([reset]), *weights, qp
        )
        use = Use(*(weight > 0 for weight in weights))
        made, self._state = self._streamer.step(inputs, self._state, steps, use)
        if self._gpu is not None:
            self._gpu.watch()
        return self._picture(made, picture_size(texture))

    def warm(self, steps: int) -> None:
        """One picture of nothing, forgotten afterwards. After the first of so many steps real ones are as quick. With a
        map, which takes longer; the first of so many steps once more without."""
        width, height = self._shown if self._shown != (0, 0) else (self._side, self._side)
        grey = blank(width, height, 128)
        trust = np.zeros((-(-height // 16), -(-width // 16)), np.uint8)
        self.fit((width, height))
        empty = torch.zeros(1, self.model.config.control_channels, *reversed(self._work))
        if steps not in self._warm:
            self._make(grey, trust, (None, None), True, steps, COARSEST_QP)
        self._make(grey, trust, (empty, torch.ones(1, 1, 1, 1)), True, steps, COARSEST_QP)
        self._warm.add(steps)
        assert self._state is not None
        self._state.clear()
        if self._gpu is not None:
            self._gpu.look()

    def forget(self) -> None:
        """Begin anew with the next picture, also after a failure."""
        if self._state is not None:
            self._state.clear()
        if self.device == "cuda":
            torch.cuda.empty_cache()

    def fewer(self, error: Exception) -> int | None:
        """After an error: the most steps that are made from now on, where memory ran out and there are fewer, 0 where
        there are none; None: memory is not the reason."""
        if not _out_of_memory(error):
            return None
        self._release()
        if self._most == 1:
            return 0
        self._most //= 2
        return self._most

    @property
    def runtime(self) -> str:
        """What really runs the graphs now; empty before the first picture. Any thread."""
        runtime = self._runtime
        return "" if runtime is None else runtime.figures.serving

    @property
    def graphs(self) -> Mapping[str, int]:
        """Of the runtime asked for: how many are built, building and failed; torch needs none. Any thread."""
        runtime = self._runtime
        return {} if runtime is None else runtime.figures.graphs

    def close(self) -> None:
        """End what the runtime does in the background."""
        if self._runtime is not None:
            self._runtime.close()
            self._runtime = None

    def _release(self) -> None:
        """Give back what pictures of one size need."""
        self.close()
        self._streamer = self._state = None
        if self._gpu is not None:
            self._gpu.empty()

    def _pixels(self, texture: Picture) -> Tensor:
        """(1, 3, H, W) in [-1, 1]."""
        frame = self._scaler.reformat(
            to_video_frame(texture), *self._work, "rgb24", interpolation=Interpolation.BICUBIC, threads=1
        )
        pixels = torch.from_numpy(np.ascontiguousarray(frame.to_ndarray()))
        return pixels.to(self.device).permute(2, 0, 1)[None].float() / 127.5 - 1

    def _picture(self, made: Tensor, size: Size) -> Picture:
        pixels = ((made[0].float() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
        if not bool(torch.isfinite(made).all()):
            raise FloatingPointError("the network gave numbers that are none")
        frame = av.VideoFrame.from_ndarray(pixels.permute(1, 2, 0).contiguous().cpu().numpy(), format="rgb24")
        scaled = self._scaler.reformat(
            frame, *size, "yuv420p",
            dst_colorspace=Colorspace.ITU601, src_color_range=ColorRange.JPEG, dst_color_range=ColorRange.MPEG,
            interpolation=Interpolation.BICUBIC, threads=1,
        )  # fmt: skip
        return np.ascontiguousarray(scaled.to_ndarray(), np.uint8)

    def _weights(self) -> tuple[float, float, float]:
        """Of control, restoration and time, now."""
        config, set_ = self.model.config, self._lambdas()
        return (
            config.lambda_control if set_.control is None else set_.control,
            config.lambda_restoration if set_.restoration is None else set_.restoration,
            config.lambda_temporal if set_.temporal is None else set_.temporal,
        )

    def _control(self, found: ShownMap) -> tuple[Tensor, Tensor]:
        """The map as the weights want it, (1, K, H, W), and how far it can be trusted."""
        width, height = self._work
        channels = self.model.config.control_channels
        if found.legend is not self._legend:
            self._legend, self._table = found.legend, self._codes(found.legend)
        assert self._table is not None
        rows, columns = (
            np.arange(want) * have // want
            for want, have in zip((height, width), found.labels.shape, strict=True)
        )
        labels = found.labels[rows[:, None], columns]
        planes = torch.from_numpy(self._table[labels]).to(self.device)
        if channels == COLOURS:
            return planes.permute(2, 0, 1)[None].float() / 255, _trust(found.trust)
        hot = torch.zeros(channels + 1, height, width, device=self.device)
        hot.scatter_(0, planes[None].long().clamp(max=channels), 1)
        return hot[None, :channels], _trust(found.trust)


def read(folder: Path, device: str, dtype: torch.dtype) -> DiffusionModel:
    """Weights of our own folder, or of one in diffusers' layout: unet/, vae/, scheduler/ and context.safetensors, and
    where they are there taesd/, controlnet/, motion_adapter/ and restoration.safetensors. Raises LoadingError or
    ConfigError."""
    if (folder / MANIFEST).is_file():
        return load(folder, device, dtype)
    if not (folder / DIFFUSERS).is_dir():
        raise LoadingError(f"{folder} holds neither {MANIFEST} nor {DIFFUSERS}/")

    def there(name: str) -> Path | None:
        return folder / name if (folder / name).exists() else None

    return load_folders(
        folder,
        context=folder / "context.safetensors",
        vae=there("taesd"),
        control=there("controlnet"),
        motion=there("motion_adapter"),
        restoration=there("restoration.safetensors"),
        device=device,
        dtype=dtype,
    )


def work_size(size: Size, side: int, multiple: int) -> Size:
    """About the stream's shape, both sides multiples of `multiple`, the area at most about `side` squared."""
    scale = min(1.0, side / (size[0] * size[1]) ** 0.5)
    width, height = (max(multiple, round(length * scale / multiple) * multiple) for length in size)
    return width, height


def _device(options: Options) -> str:
    """Where it runs; of a CPU, with its number of threads."""
    device = options.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda":
        if not torch.cuda.is_available():
            raise RuntimeError("decode.device is cuda, and torch finds no CUDA device; use auto or cpu")
    else:
        torch.set_num_threads(options.threads)
        with contextlib.suppress(RuntimeError):  # only before its first use
            torch.set_num_interop_threads(1)
    return device


def _out_of_memory(error: Exception) -> bool:
    """Of the GPU or of the host; not all libraries have a class for it."""
    words = ("out of memory", "allocate memory", "alloc_failed")
    known = isinstance(error, (MemoryError, torch.OutOfMemoryError))
    return known or any(word in str(error).lower() for word in words)


def _codes(config: DiffusionConfig) -> Callable[[Legend], NDArray[np.uint8]]:
    """What turns a legend into a table of 256: shared labels, or colours. Raises ConfigError."""
    if config.control_channels == vocabulary.CLASSES:
        return vocabulary.lookup
    if config.control_channels == COLOURS:
        return _colours
    raise ConfigError(
        f"config.json: control_channels is {config.control_channels}; this version knows maps of "
        f"{vocabulary.CLASSES} classes or in {COLOURS} colours"
    )


def _colours(legend: Legend) -> NDArray[np.uint8]:
    table = np.zeros((VOID + 1, COLOURS), np.uint8)
    table[: len(legend.colours)] = legend.colours
    return table


def _trust(trust: TrustMap) -> Tensor:
    """(1, 1, h, w) from 1, received, to 0."""
    return torch.from_numpy(1 - np.minimum(trust, IMAGINED).astype(np.float32) / IMAGINED)[None, None]

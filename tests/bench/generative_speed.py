"""Speed of the generative decoder: ms a frame by preset, size, steps, runtime and batch, and the peak of memory.

Weights are random: they cost what trained ones do. Every row streams with all adapters on; a frame is timed from its
texture and map being on the device to its picture being finished there. CPU rows are bounded in time.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from common.models.diffusion.config import PRESETS
from common.models.diffusion.model import DiffusionModel, build
from common.models.diffusion.runtime.base import Runtime, create_runtime, place
from common.models.diffusion.runtime.engine_graphs import EngineGraphs
from common.models.diffusion.stream import Streamer, StreamInputs
from common.runtime.base import BackendError

STEPS = (1, 2, 4)
BATCHES = (1, 4)
FRAMES = {"cpu": 20, "cuda": 300}
SECONDS = {"cpu": 4.0, "cuda": 30.0}  # of a row, beyond its first three frames
BUILD_SECONDS = {"cpu": 120.0, "cuda": 900.0}  # that engines are waited for

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Row:
    """One configuration's figures. first: of a fresh state with the runtime warm; ready: from nothing but the model."""

    preset: str
    size: int
    steps: int
    runtime: str
    batch: int
    p50_ms: float
    p99_ms: float
    first_ms: float
    ready_s: float
    peak_mib: float
    frames: int
    note: str = ""

    @property
    def fps(self) -> float:
        """Frames a second of all streams together."""
        return 1000 * self.batch / self.p50_ms


HEADER = [
    "preset",
    "size",
    "steps",
    "runtime",
    "batch",
    "ms p50",
    "p99",
    "fps",
    "first ms",
    "ready s",
    "peak MiB",
    "",
]


def cells(row: Row) -> list[str]:
    """Of a table with HEADER."""
    return [
        row.preset, str(row.size), str(row.steps), row.runtime, str(row.batch), f"{row.p50_ms:.1f}",
        f"{row.p99_ms:.1f}", f"{row.fps:.1f}", f"{row.first_ms:.0f}", f"{row.ready_s:.1f}", f"{row.peak_mib:.0f}",
        row.note,
    ]  # fmt: skip


def plain(row: Row) -> dict[str, object]:
    """For JSON."""
    return {**asdict(row), "fps": row.fps}


def rows(
    quick: bool, note: Callable[[str], None], tell: Tell, presets: Sequence[str] | None = None,
    sizes: Sequence[int] | None = None, steps: Sequence[int] = STEPS, runtimes: Sequence[str] | None = None,
) -> Iterator[Row]:  # fmt: skip
    """Every configuration that this machine can run; what cannot is noted."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    on_gpu = device == "cuda"
    presets = presets or (("compact", "sd15") if on_gpu else ("compact",))
    sizes = sizes or ((256,) if quick else (256, 512))
    runtimes = runtimes or (("torch", "cudagraphs", "tensorrt") if on_gpu else ("torch", "onnxruntime"))
    for preset in presets:
        model = place(build(PRESETS[preset]), device)
        for size in sizes:
            for name in runtimes:
                for batch in BATCHES if on_gpu and not quick else BATCHES[:1]:
                    what = f"generative: {preset}, {size}, {name}, batch {batch}"
                    tell(what)
                    try:
                        yield from _measure(model, size, name, batch, steps)
                    except (BackendError, torch.OutOfMemoryError) as error:
                        note(f"{what}: {' '.join(str(error).split())[:200]}")
        del model


def _measure(model: DiffusionModel, size: int, name: str, batch: int, steps: Sequence[int]) -> Iterator[Row]:
    device = next(model.parameters()).device
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="semcast-bench-") as folder:
        runtime = create_runtime(name, model, size, size, Path(folder) / "engines")
        try:
            for count in steps:
                _reset_peak(device)
                streamer = Streamer(model, size, size, steps=count, graphs=runtime)
                inputs = _inputs(model, size, batch, device)
                said = _warm(streamer, inputs, batch, runtime, device.type)
                ready = time.perf_counter() - begun
                times = _times(streamer, inputs, batch, device)
                first, later = times[0], sorted(times[1:])
                yield Row(
                    model.config.name, size, count, name, batch, 1e3 * statistics.median(later),
                    1e3 * later[int(0.99 * (len(later) - 1))], 1e3 * first, ready, _peak(device), len(later), said,
                )  # fmt: skip
                begun = time.perf_counter()
        finally:
            runtime.close()


def _inputs(model: DiffusionModel, size: int, batch: int, device: torch.device) -> StreamInputs:
    generator, dtype = torch.Generator().manual_seed(2), next(model.parameters()).dtype
    classes = model.config.control_channels
    maps = torch.randint(0, classes, (batch, size, size), generator=generator)
    control = torch.nn.functional.one_hot(maps, classes).movedim(-1, 1).to(device, dtype)
    texture = torch.rand(batch, 3, size, size, generator=generator).to(device, dtype) * 2 - 1
    return StreamInputs(texture, control)


def _warm(streamer: Streamer, inputs: StreamInputs, batch: int, runtime: Runtime, kind: str) -> str:
    """Record and build all that the row needs; what is missing."""
    state = streamer.init_state(batch)
    streamer.step(inputs, state)
    if isinstance(runtime, EngineGraphs):
        if not runtime.engines.wait(BUILD_SECONDS[kind]):
            return "not built in time"
        streamer.step(inputs, state)
    if runtime.figures.fallbacks:
        return f"{runtime.figures.fallbacks} graphs by a slower runtime: {runtime.figures.reasons[0][:80]}"
    return ""


def _times(streamer: Streamer, inputs: StreamInputs, batch: int, device: torch.device) -> list[float]:
    """Seconds of frames from a fresh state on."""
    state, begun = streamer.init_state(batch), time.perf_counter()
    out: list[float] = []
    while len(out) < 3 or (
        len(out) <= FRAMES[device.type] and time.perf_counter() - begun < SECONDS[device.type]
    ):
        _finish(device)
        start = time.perf_counter()
        streamer.step(inputs, state)
        _finish(device)
        out.append(time.perf_counter() - start)
    return out


def _finish(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def _reset_peak(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.empty_cache()
    else:
        Path("/proc/self/clear_refs").write_text("5")


def _peak(device: torch.device) -> float:
    """MiB: of a GPU all that is taken there (torch, engines, the context); of a CPU the process's resident peak."""
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info()
        return (total - free) / 2**20
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024

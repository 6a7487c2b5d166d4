"""CUDA graphs: each graph of a stream is recorded once for its shapes and replayed.

Inputs are copied into static buffers, but for two kinds: the rings, which stay where they are for the life of a state,
so that a recording belongs to their addresses; and what another recording put out, read where it lies. Outputs are
copied out of the pool that all recordings share, so that they may be replayed in any order. The write of the new
slot is part of the step's recording.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from common.log import Log
from common.models.diffusion.graphs import StepGraph, TorchGraphs, Use, write_slot
from common.models.diffusion.model import DiffusionModel
from common.models.diffusion.runtime.base import Figures
from common.models.diffusion.runtime.specs import results, step_name

KEPT = 32  # recordings: 4 rings times the ways to switch adapters that a session has seen

_log = Log("diffusion.cudagraphs")

Function = Callable[..., object]


class Capturer(Protocol):
    """Records work on the GPU."""

    def __call__(self, warm_up: Callable[[], object], work: Callable[[], None]) -> Callable[[], None]:
        """Run `warm_up`, then record `work` without running it; returns what replays it. Raises RuntimeError."""
        ...


class CudaCapturer:
    """torch.cuda.CUDAGraph; all recordings share one pool of memory, as none runs beside another."""

    def __init__(self) -> None:
        self._pool = torch.cuda.graph_pool_handle()

    def __call__(self, warm_up: Callable[[], object], work: Callable[[], None]) -> Callable[[], None]:
        """See Capturer."""
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(2):  # libraries choose and allocate in the first
                warm_up()
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        # Other threads may allocate meanwhile: a decoder, the test of an engine.
        with torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local"):
            work()
        return graph.replay


@dataclass(slots=True)
class Recording:
    """A recorded graph with its static tensors; None in the place of a ring."""

    inputs: list[Tensor | None]
    outputs: list[Tensor]
    replay: Callable[[], None]

    def run(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        """Fill the inputs, replay."""
        for static, given in zip(self.inputs, inputs, strict=True):
            if static is not None and static.data_ptr() != given.data_ptr():
                static.copy_(given)
        self.replay()
        return self.outputs


class CudaGraphs:
    """Runtime: see base.py. A graph that cannot be recorded is run as it is from then on, with one line in the log."""

    def __init__(self, model: DiffusionModel, capturer: Capturer, kept: int = KEPT) -> None:
        self.figures = Figures("cudagraphs", below=Figures("torch"))
        self._torch, self._capturer, self._kept = TorchGraphs(model), capturer, kept
        self._recordings: OrderedDict[object, Recording] = OrderedDict()
        self._broken: set[str] = set()

    def encode(self, picture: Tensor) -> Tensor:
        """See Graphs."""
        return self._run("encode", self._torch.encode, [picture])[0]

    def decode(self, latent: Tensor) -> Tensor:
        """See Graphs; the picture is the caller's."""
        return self._run("decode", self._torch.decode, [latent])[0].clone()

    def refine(self, made: Tensor, texture: Tensor, control: Tensor, trust: Tensor) -> Tensor:
        """See Graphs; the picture is the caller's."""
        return self._run("refine", self._torch.refine, [made, texture, control, trust])[0].clone()

    def embed(self, control: Tensor, trust: Tensor) -> Tensor:
        """See Graphs."""
        return self._run("embed", self._torch.embed, [control, trust])[0]

    def degraded(self, latent: Tensor, timestep: Tensor) -> list[Tensor]:
        """See Graphs."""
        return self._run("degraded", self._torch.degraded, [latent, timestep])

    def step(self, use: Use) -> StepGraph:
        """See Graphs; writes the new slot itself."""
        module, name = self._torch.step(use), step_name(use)

        def step(
            x: Tensor, noise: Tensor, timestep: Tensor, coefficients: Tensor, lambdas: Tensor, trust: Tensor,
            slot: Tensor, valid: Tensor, embedded: Tensor | None, queries: Sequence[Tensor], caches: Sequence[Tensor],
        ) -> tuple[Tensor, list[Tensor]]:  # fmt: skip
            queries = queries if use.restoration else ()
            caches = caches if use.temporal else ()
            before = [x, noise, timestep, coefficients, lambdas, trust, slot, valid]
            after = [embedded] if use.control and embedded is not None else []
            start, end = len(before) + len(after), len(before) + len(after) + len(queries)

            def call(*given: Tensor) -> object:
                return module(*given[:8], given[8] if after else None, given[start:end], given[end:])

            def write(given: Sequence[Tensor], made: Sequence[Tensor]) -> None:
                write_slot(given[end:], made[1:], given[6])

            done = self._run(name, call, [*before, *after, *queries, *caches], len(caches), write)
            return done[0], []

        return step

    def close(self) -> None:
        """Forget the recordings."""
        self._recordings.clear()

    def _run(
        self,
        name: str,
        call: Function,
        inputs: list[Tensor],
        rings: int = 0,
        write: Callable[[Sequence[Tensor], Sequence[Tensor]], None] | None = None,
    ) -> list[Tensor]:
        """Outputs of a graph (of a step the next x alone). rings: how many of the last inputs stay where they are."""
        if name not in self._broken:
            addresses = tuple(ring.data_ptr() for ring in inputs[len(inputs) - rings :])
            key = (name, tuple((t.shape, t.dtype) for t in inputs), addresses)
            recording = self._recordings.get(key)
            if recording is None:
                recording = self._record(name, call, inputs, rings, write)
                if recording is not None:
                    self._recordings[key] = recording
                    while len(self._recordings) > self._kept:
                        self._recordings.popitem(last=False)
            if recording is not None:
                self._recordings.move_to_end(key)
                return recording.run(inputs)
        made = list(results(call(*inputs)))
        if write is not None:
            write(inputs, made)
        return made if write is None else made[:1]

    def _record(
        self,
        name: str,
        call: Function,
        inputs: list[Tensor],
        rings: int,
        write: Callable[[Sequence[Tensor], Sequence[Tensor]], None] | None,
    ) -> Recording | None:
        """Record a graph with these inputs; None where that cannot be."""
        ours = {out.data_ptr() for recording in self._recordings.values() for out in recording.outputs}
        fixed = len(inputs) - rings
        static = [t if k >= fixed or t.data_ptr() in ours else t.clone() for k, t in enumerate(inputs)]
        try:
            example = list(results(call(*static)))
            outputs = [out.clone() for out in (example if write is None else example[:1])]

            def work() -> None:
                made = list(results(call(*static)))
                for out, new in zip(outputs, made, strict=False):
                    out.copy_(new)
                if write is not None:
                    write(static, made)

            # Not `work`: a slot must be read once more before it is written.
            replay = self._capturer(lambda: call(*static), work)
        except RuntimeError as error:
            self._broken.add(name)
            self.figures.fallbacks += 1
            self.figures.reasons.append(f"{name}: {' '.join(str(error).split())[:200]}")
            _log.warning("graph not recorded; torch runs it", graph=name, error=self.figures.reasons[-1])
            return None
        self.figures.captures += 1
        # Rings are not held: a recording belongs to their addresses, not to the state that had them.
        return Recording([*static[:fixed], *([None] * rings)], outputs, replay)

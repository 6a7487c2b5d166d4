"""Engines of a stream's graphs: taken from the cache or built in the background, tested, then put into use.

A thread looks for what frames have asked for. What the cache lacks a process of its own builds. No engine serves that
has not given what torch gives (to `TOLERANCE` of the largest value); one that does not is forgotten and its graph stays
with the slower runtime.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import torch
from torch import Tensor

from common.log import Log
from common.models.diffusion.loading import save
from common.models.diffusion.model import DiffusionModel
from common.models.diffusion.runtime.base import Figures, NoRoom
from common.models.diffusion.runtime.specs import Spec, Specs, expected
from common.runtime.base import BackendError
from common.runtime.engine_cache import CacheError, EngineCache, Key
from common.runtime.unfinished import unfinished_folder

TOLERANCE = 1e-2
WANTED_LIMIT = 64  # graphs times batches; more are served by the slower runtime
GATHER = 0.5  # s for which graphs are gathered into one building process: its start takes longer

PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)

_log = Log("diffusion.engines")

Name = tuple[str, int]  # graph, batch


class Engine(Protocol):
    """What runs one graph: common.runtime.tensorrt_backend.TensorRTEngine, onnx.OnnxEngine."""

    def check(self, inputs: Mapping[str, Tensor], outputs: tuple[str, ...]) -> None: ...
    def run(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]: ...


@dataclass(frozen=True, slots=True)
class Kind:
    """What makes engines. facts: what they depend on besides model, graph and shapes."""

    name: str  # of build.KINDS
    facts: Mapping[str, str]
    load: Callable[[bytes], Engine]
    level: int | None = None


class Engines:
    """Engines by graph and batch. `get` from the decoding thread, `figures` from any."""

    def __init__(
        self, model: DiffusionModel, height: int, width: int, kind: Kind, cache: EngineCache, figures: Figures
    ) -> None:
        self.figures = figures
        self._model, self._size, self._kind, self._cache = model, (height, width), kind, cache
        self._ready: dict[Name, Engine] = {}
        self._wanted: dict[Name, bool] = {}  # True: not looked for yet
        self._open: set[Name] = set()  # wanted, and neither in use nor given up
        self._wake = threading.Condition()
        self._closed = False
        self._said: dict[str, str] = {}  # of graphs that could not be built
        self._process: subprocess.Popen[str] | None = None
        self._thread = threading.Thread(target=self._work, name="engines", daemon=True)
        self._thread.start()

    def get(self, graph: str, batch: int) -> Engine | None:
        """The engine, or None where there is none yet: then it is looked for. Waits for nothing."""
        engine = self._ready.get((graph, batch))
        if engine is None and (graph, batch) not in self._wanted and len(self._wanted) < WANTED_LIMIT:
            with self._wake:
                self._wanted[graph, batch] = True
                self._open.add((graph, batch))
                self.figures.building = len(self._open)
                self._wake.notify()
        return engine

    def drop(self, graph: str, batch: int, error: Exception) -> None:
        """An engine failed in use: it serves no more."""
        if self._ready.pop((graph, batch), None) is not None:
            self.figures.engines = len(self._ready)
            self._give_up(graph, error)

    def wait(self, timeout: float) -> bool:
        """Until nothing more is looked for; whether that came about in time."""
        with self._wake:
            return self._wake.wait_for(lambda: not self.figures.building, timeout)

    def close(self) -> None:
        """End building. What is in use goes with the runtime."""
        with self._wake:
            self._closed = True
            self._wake.notify_all()
            if self._process is not None:
                self._process.terminate()
        self._thread.join(30)
        self._ready.clear()

    def _work(self) -> None:
        digest = ""
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._closed or any(self._wanted.values()))
                self._wake.wait_for(lambda: self._closed, GATHER)
                if self._closed:
                    return
                names = [name for name, new in self._wanted.items() if new]
                self._wanted.update(dict.fromkeys(names, False))
            try:
                digest = digest or weights_digest(self._model)
                self._look(names, digest)
            except Exception as error:  # whatever it is, frames go on with the slower runtime
                for name in names:
                    if name not in self._ready:
                        self._give_up(name[0], error)
            self._settle(names)
            _log.info("engines looked for", kind=self._kind.name, **self.figures.graphs)

    def _settle(self, names: Sequence[Name]) -> None:
        """No longer looked for: in use or given up."""
        with self._wake:
            self._open.difference_update(names)
            self.figures.building = len(self._open)
            self._wake.notify_all()

    def _look(self, names: Sequence[Name], digest: str) -> None:
        """Put engines into use: from the cache, or built."""
        missing: dict[int, dict[str, tuple[Spec, Key]]] = {}
        for graph, batch in names:
            spec = Specs(self._model, *self._size, batch).of(graph)
            key = Key(graph, {"weights": digest, "shapes": json.dumps(spec.shapes()), **self._kind.facts})
            try:
                data = self._cache.read(key)
                if data is not None:
                    self._use((graph, batch), spec, data)
                    self._settle([(graph, batch)])
                    continue
            except NoRoom as error:
                self._give_up(graph, error)
                self._settle([(graph, batch)])
                continue
            except (CacheError, BackendError) as error:
                self._cache.remove(key)
                _log.warning("engine of the cache refused; building it anew", graph=graph, error=str(error))
            missing.setdefault(batch, {})[graph] = (spec, key)
        for batch, graphs in missing.items():
            self._build(batch, graphs)

    def _build(self, batch: int, graphs: Mapping[str, tuple[Spec, Key]]) -> None:
        done = set()
        for graph, data in self._built(batch, list(graphs)):
            spec, key = graphs[graph]
            done.add(graph)
            try:
                try:
                    self._use((graph, batch), spec, data)
                except NoRoom as error:  # kept: there may be room another time
                    self._give_up(graph, error)
                self._cache.write(key, data)
            except BackendError as error:
                self._give_up(graph, error)
            except CacheError as error:
                _log.warning("engine not kept", graph=graph, error=str(error))
            self._settle([(graph, batch)])
        for graph in graphs.keys() - done:
            if not self._closed:
                self._give_up(graph, BackendError(self._said.get(graph) or self._said.get("", "not built")))

    def _built(self, batch: int, graphs: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        """Graphs and their engines as a process builds them."""
        dtype = next(self._model.unet.parameters()).dtype
        with unfinished_folder(self._cache.folder) as folder:
            save(self._model, folder / "model", dtype, limit=1 << 32)
            command = [sys.executable, "-m", "common.models.diffusion.runtime.build", *graphs]
            command += ["--model", str(folder / "model"), "--out", str(folder), "--kind", self._kind.name]
            command += ["--height", str(self._size[0]), "--width", str(self._size[1]), "--batch", str(batch)]
            command += ["--dtype", str(dtype).removeprefix("torch.")]
            command += [] if self._kind.level is None else ["--level", str(self._kind.level)]
            environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
            with (folder / "errors").open("w+") as errors:
                with self._wake:
                    if self._closed:
                        return
                    self._process = subprocess.Popen(
                        command, stdout=subprocess.PIPE, stderr=errors, text=True, process_group=0,
                        preexec_fn=partial(_as_builder, os.getpid()), env=environment,
                    )  # fmt: skip
                assert self._process.stdout is not None
                try:
                    for line in self._process.stdout:
                        if line.strip() in graphs:
                            yield line.strip(), (folder / f"{line.strip()}.engine").read_bytes()
                finally:
                    self._process.terminate()  # where nobody wants the rest
                    self._process.stdout.close()
                    self._process.wait()
                errors.seek(0)
                self._said = _by_graph(errors.read())

    def _use(self, name: Name, spec: Spec, data: bytes) -> None:
        """Test an engine and let frames have it. Raises BackendError."""
        engine = self._kind.load(data)
        engine.check(spec.inputs, spec.outputs)
        check(engine, spec)
        self._ready[name] = engine
        self.figures.engines = len(self._ready)

    def _give_up(self, graph: str, error: Exception) -> None:
        reason = f"{graph}: {' '.join(str(error).split())[:300]}"
        with self._wake:
            self.figures.fallbacks += 1
            self.figures.reasons.append(reason)
        _log.warning("no engine; a slower runtime serves", kind=self._kind.name, graph=graph, error=reason)


def check(engine: Engine, spec: Spec) -> None:
    """Raise BackendError unless the engine gives what torch gives."""
    on_gpu = next(spec.module.parameters()).is_cuda
    stream = torch.cuda.Stream() if on_gpu else None  # type: ignore[no-untyped-call]
    if stream is not None:
        stream.wait_stream(torch.cuda.current_stream())  # inputs were made there
    with torch.cuda.stream(stream), torch.no_grad():
        want, got = expected(spec), engine.run(spec.inputs)
        for name, tensor in want.items():
            error = (got[name].float() - tensor.float()).abs().max() / tensor.float().abs().max().clamp(1e-6)
            if not float(error) <= TOLERANCE:  # NaN too
                raise BackendError(
                    f"{name} is {float(error):.3g} of its peak off torch's ({TOLERANCE:g} allowed)"
                )


def weights_digest(model: DiffusionModel) -> str:
    """SHA-256 over configuration, names and values."""
    digest = hashlib.sha256(model.config.to_json().encode())
    for name, tensor in model.state_dict().items():
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.detach().contiguous().cpu().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _as_builder(parent: int) -> None:
    """In the new process: leave the processor to others, and end with who asked, however that ends."""
    with contextlib.suppress(OSError):  # not allowed in a sandbox: then at the same priority
        os.nice(10)
    _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before
        os._exit(1)


def _by_graph(text: str) -> dict[str, str]:
    """What the process said of each graph; its last line under the empty name."""
    lines = [line for line in text.splitlines() if line.strip()]
    said = {line.partition(":")[0]: line.partition(": ")[2] for line in lines}
    return {**said, "": lines[-1] if lines else "the building process ended without a word"}

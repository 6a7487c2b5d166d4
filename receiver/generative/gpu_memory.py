"""What the generative decoder takes of a GPU, and the bound on it.

torch counts only what goes through its own allocator. TensorRT's engines, recorded CUDA graphs and the code of kernels
lie beside that; so what is taken is what the GPU has less to give since the decoder opened. Where other processes take
or give back memory meanwhile, that counts too; the CUDA context, there before anything can be asked, does not.
"""

from __future__ import annotations

from typing import Protocol

import torch

from common.clock import Clock, monotonic
from common.log import Log
from common.models.diffusion.runtime.base import NoRoom

EVERY_S = 1.0
"""Between two looks while pictures are made."""

_log = Log("generative")


class Device(Protocol):
    """A GPU's memory, in bytes."""

    def free(self) -> int:
        """What nobody holds."""
        ...

    def reserved(self) -> int:
        """What torch holds."""
        ...

    def allow(self, most: int) -> None:
        """Let torch hold no more."""
        ...


class Cuda:
    """The first CUDA device."""

    def free(self) -> int:
        """See Device."""
        return int(torch.cuda.mem_get_info(0)[0])

    def reserved(self) -> int:
        """See Device."""
        return int(torch.cuda.memory_reserved(0))

    def allow(self, most: int) -> None:
        """See Device."""
        total = torch.cuda.get_device_properties(0).total_memory
        torch.cuda.set_per_process_memory_fraction(min(1.0, max(0.0, most / total)), 0)


class GpuMemory:
    """Looks at the memory and bounds it. Its methods wait for the driver: for threads that may; `taken` is for any."""

    def __init__(self, limit: int, device: Device, clock: Clock = monotonic) -> None:
        """`limit`: bytes. To be made before anything is put on the device."""
        self.taken = 0
        """Bytes, as last looked."""
        self._limit, self._device, self._clock = limit, device, clock
        self._before = device.free() + device.reserved()
        self._looked, self._over = clock(), False
        self.empty()

    def look(self) -> None:
        """Look now."""
        self._looked = self._clock()
        self.taken = max(self._device.reserved(), self._before - self._device.free())

    def watch(self) -> None:
        """Look once a second; one warning when the bound is passed."""
        if self._clock() - self._looked < EVERY_S:
            return
        self.look()
        over = self.taken > self._limit
        if over and not self._over:
            _log.warning("more GPU memory is taken than decode.gpu_memory_mb allows", **self._in_mb())
        self._over = over

    def empty(self) -> None:
        """No engines are loaded any more: torch may take all that the bound allows."""
        self._device.allow(self._limit)
        self.look()

    def admit(self) -> None:
        """To be called when an engine was loaded: torch gets what is left. Raises NoRoom where it is one too many,
        and is to go again."""
        self.look()
        if self.taken > self._limit:
            taken, limit = self._in_mb().values()
            raise NoRoom(f"with it {taken} MB of the GPU would be taken; decode.gpu_memory_mb is {limit}")
        self._device.allow(self._limit - (self.taken - self._device.reserved()))

    def _in_mb(self) -> dict[str, int]:
        return {"taken_mb": round(self.taken / 2**20), "limit_mb": round(self._limit / 2**20)}

"""VMAF of a sequence of pictures, by the FFmpeg with libvmaf that the package imageio-ffmpeg carries.

The model is vmaf_v0.6.1, built into libvmaf: 0..100 as seen on a large screen from three times its height. It was made
for 1080 lines; on small pictures it is worth comparing with itself alone. Motion is measured between pictures, so a
sequence is judged as a whole.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np

from common.video import Picture, picture_size

MODEL = "vmaf_v0.6.1"
FRAME_RATE = 25  # of the raw files; pictures are matched by it, nothing else depends on it
TIMEOUT = 600.0  # seconds


class VmafError(RuntimeError):
    """VMAF cannot be had here; the text says why."""


@cache
def ffmpeg() -> str:
    """Path of an FFmpeg that has libvmaf. Raises VmafError when there is none."""
    try:
        import imageio_ffmpeg  # type: ignore[import-untyped]

        path = str(imageio_ffmpeg.get_ffmpeg_exe())
    except (ImportError, RuntimeError) as error:
        raise VmafError(
            f"VMAF needs the FFmpeg of the package imageio-ffmpeg (extra [dev]): {error}"
        ) from error
    try:
        told = subprocess.run([path, "-hide_banner", "-filters"], capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.SubprocessError) as error:
        raise VmafError(f"VMAF needs an FFmpeg that runs: {error}") from error
    if "libvmaf" not in told.stdout.split():
        raise VmafError(
            f"VMAF needs an FFmpeg with libvmaf, which {path} is not (is IMAGEIO_FFMPEG_EXE set?)"
        )
    return path


def vmaf(sent: Sequence[Picture], shown: Sequence[Picture]) -> float:
    """Mean VMAF over the pictures, 0..100. One thread.

    Raises ValueError when the sequences are empty or differ in length or size, VmafError when FFmpeg fails.
    """
    if not sent or len(sent) != len(shown):
        raise ValueError(f"{len(sent)} pictures sent and {len(shown)} shown: VMAF compares one with one")
    if len({picture.shape for picture in (*sent, *shown)}) != 1:
        raise ValueError("VMAF compares pictures of one size")
    width, height = picture_size(sent[0])
    # Raw files named relative to the working directory: no path has to be quoted for the filter.
    with tempfile.TemporaryDirectory(prefix="vmaf-") as folder:
        command = [ffmpeg(), "-nostdin", "-hide_banner", "-loglevel", "error", "-filter_complex_threads", "1"]
        for name, pictures in (("shown", shown), ("sent", sent)):  # libvmaf takes the reference second
            np.stack(pictures).tofile(Path(folder, name))
            command += ["-threads", "1", "-f", "rawvideo", "-pix_fmt", "yuv420p"]
            command += ["-video_size", f"{width}x{height}", "-framerate", str(FRAME_RATE), "-i", name]
        scored = f"libvmaf=model=version={MODEL}:n_threads=1:log_fmt=json:log_path=log"
        command += ["-filter_complex", f"[0:v][1:v]{scored}", "-f", "null", "-"]
        _run(command, folder)
        return _mean(Path(folder, "log"), len(sent))


def _run(command: list[str], folder: str) -> None:
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=TIMEOUT)
    except (OSError, subprocess.SubprocessError) as error:
        raise VmafError(f"FFmpeg could not measure VMAF: {error}") from error
    if done.returncode:
        told = done.stderr.strip()[-500:] or "no message; pictures of 16 pixels and less a side are too small"
        raise VmafError(f"FFmpeg could not measure VMAF (exit code {done.returncode}): {told}")


def _mean(log: Path, count: int) -> float:
    try:
        scores = [float(frame["metrics"]["vmaf"]) for frame in json.loads(log.read_text())["frames"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise VmafError(f"libvmaf left no log that can be read: {error!r}") from error
    if len(scores) != count:
        raise VmafError(f"libvmaf judged {len(scores)} of {count} pictures")
    return float(np.mean(scores))

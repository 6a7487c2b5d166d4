"""A camera of this host, through Video4Linux2."""

from __future__ import annotations

from sender.capture.base import CaptureOptions
from sender.capture.live import LiveSource


class DeviceSource(LiveSource):
    """`--source /dev/video0`. It must be there at the start; when it is unplugged later, it is waited for."""

    def __init__(self, path: str, options: CaptureOptions) -> None:
        super().__init__(
            path,
            options,
            url=path,
            format="v4l2",
            # The driver takes the nearest rate it has; the cadence does the rest.
            ffmpeg={"framerate": f"{options.fps:g}"},
            hint="`ls /dev/video*` shows the cameras, and the user must be in the group `video`",
        )

"""Where maps come from, chosen by the text of `maps.source`.

| text | maps |
|---|---|
| `auto` | exact ones where the source has them (tabletop, synthetic), else `matte` |
| `source` | exact ones of a rendered source |
| `matte` | what moves by itself |
| `street` | eleven classes of street scenes |
| `mediapipe:MODEL.tflite` | a segmenter of MediaPipe |
| `maps/%06d.png`, `'maps/*.png'`, a folder | images, in step with the source |
| anything else | a video, in step with the source |
"""

from __future__ import annotations

from pathlib import Path

from common.config import ConfigError
from common.maps.base import MapSource
from common.values import Size
from sender.capture.base import Source
from sender.capture.generated import SyntheticSource
from sender.capture.tabletop import TabletopSource

AUTO = "auto"
MEDIAPIPE = "mediapipe:"


def create_map_source(
    spec: str,
    source: Source,
    size: Size,
    fps: float,
    legend: str | None = None,
    maps_fps: float | None = None,
) -> MapSource:
    """The maps that `spec` names, for the frames of `source`, which have this size and rate.

    `legend` and `maps_fps` are for files, see MapsSection. Loads networks and opens files: not for the event loop.
    Raises ConfigError, ServiceError.
    """
    if spec == AUTO:
        spec = "source" if isinstance(source, SyntheticSource | TabletopSource) else "matte"
    files = not spec.startswith(MEDIAPIPE) and spec not in ("source", "matte", "street")
    if not files and (legend is not None or maps_fps is not None):
        raise ConfigError(
            f"maps.{'fps' if legend is None else 'legend'}: is for maps from files, and maps.source is {spec}"
        )
    if spec == "source":
        return _exact(source, size, fps)
    if spec in ("matte", "street"):
        from common.maps import networks

        return networks.MatteMaps(size) if spec == "matte" else networks.StreetMaps(size)
    if spec.startswith(MEDIAPIPE):
        from sender.maps.mediapipe import MediaPipeMaps

        return MediaPipeMaps(spec.removeprefix(MEDIAPIPE), size)
    return _files(spec, size, fps, legend, maps_fps)


def _exact(source: Source, size: Size, fps: float) -> MapSource:
    from sender.maps.exact import SyntheticMaps, TabletopMaps

    if isinstance(source, TabletopSource):
        return TabletopMaps(source, size, fps)
    if isinstance(source, SyntheticSource):
        return SyntheticMaps(source)
    raise ConfigError(
        f"maps.source: {source.name} has no maps of its own (tabletop and synthetic have); use --maps matte, "
        "--maps street, or maps in files"
    )


def _files(spec: str, size: Size, fps: float, legend: str | None, maps_fps: float | None) -> MapSource:
    from sender.maps.files import MapFileError, SequenceMaps, VideoMaps, is_images
    from sender.maps.legend import coding

    read = coding(legend)
    try:
        images, there = is_images(spec), Path(spec).is_file()
    except OSError as error:  # a name that no file can have
        raise MapFileError(spec[:80], error.strerror) from None
    if images:
        return SequenceMaps(spec, read, size, fps, maps_fps)
    if maps_fps is not None:
        raise ConfigError("maps.fps: is for sequences of images; a video has time stamps")
    if not there:
        raise MapFileError(
            spec,
            "no such file; --maps takes auto, source, matte, street, mediapipe:MODEL.tflite, a video, or images as "
            "maps/%06d.png",
        )
    return VideoMaps(spec, read, size, fps)

"""The settings of where maps come from."""

from __future__ import annotations

from common.config import Section, option

MAPS_HELP = """\
maps (--maps):
  auto                        exact ones where the source is rendered (tabletop, synthetic), else matte
  maps/%06d.png, 'maps/*.png' images of maps, one for each frame (or --maps.fps), in the order of their numbers
  maps.mkv                    a video of maps on the source's time line; lossless, such as FFV1 with pix_fmt gray
                              Grey levels (and palette entries) are class numbers, 255 is void; colours are the nearest
                              of the legend. Legend: classes: [{name: sky, colour: "#78beff", level: 0}, ...]
  mediapipe:MODEL.tflite      a segmenter of MediaPipe (pip install mediapipe) with a model file of yours

"""


class MapsSection(Section):
    """Maps of classes, for the profiles that send them: what is where in the picture."""

    source: str = option(
        "auto",
        "where maps come from: `auto`: exact ones of a rendered source, else `matte`; `matte`: what moves by itself "
        "(weights of data with mixed licences: before commercial use see their MODEL_CARD.md); `street`: eleven "
        "classes of street scenes (weights for research alone); `source`: exact ones; `mediapipe:MODEL.tflite`; or "
        "files, see below",
        alias="--maps",
        metavar="auto|matte|street|source|FILE",
        min_length=1,
    )
    legend: str | None = option(
        None,
        "what the grey levels or colours of maps from files mean: a YAML or JSON file, or `street`, `tabletop`, "
        "`matte` (black and white)",
        metavar="FILE",
    )
    fps: float | None = option(
        None, "images a second of a sequence; without: one for each frame", unit="images/s", gt=0, le=120
    )

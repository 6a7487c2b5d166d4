"""Maps found by a segmenter of MediaPipe, where the user has the package and a model file (its wheel carries none)."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from common.maps.base import LabelMap, Legend
from common.maps.legends import colours
from common.service import EX_NOINPUT, ServiceError
from common.values import Size
from common.video import Frame
from sender.maps.fit import fit

MODELS = "https://ai.google.dev/edge/mediapipe/solutions/vision/image_segmenter"
PERSON = 0.5  # confidence of a model that knows one thing alone
MAX_CLASSES = 254


class MediaPipeMaps:
    """`mediapipe:MODEL.tflite`: MediaPipe Tasks' image segmenter on each picture, told the time."""

    def __init__(self, model: str, size: Size) -> None:
        """Raises ServiceError: the package is missing, the file is, or MediaPipe refuses it."""
        self._size = size
        self._mediapipe = _package()
        if not Path(model).is_file():
            raise ServiceError(
                f"maps: no model file {model or '(none given)'}; download one from {MODELS} and give "
                "--maps mediapipe:MODEL.tflite",
                EX_NOINPUT,
            )
        tasks = self._mediapipe.tasks
        try:
            options = tasks.vision.ImageSegmenterOptions(
                base_options=tasks.BaseOptions(model_asset_path=model),
                running_mode=tasks.vision.RunningMode.VIDEO,
                output_confidence_masks=True,
                output_category_mask=False,
            )
            self._segmenter = tasks.vision.ImageSegmenter.create_from_options(options)
            names = [str(name)[:32] for name in self._segmenter.labels]
        except Exception as error:  # MediaPipe's errors share no base but Exception
            raise ServiceError(f"maps: MediaPipe refuses {model}: {error}", EX_NOINPUT) from None
        if len(names) < 2:  # one confidence: of a person, as the selfie models tell it
            names = ["background", "person"]
        self.legend = Legend("mediapipe", tuple(names[:MAX_CLASSES]), colours(min(len(names), MAX_CLASSES)))
        self._last = -1

    def map(self, frame: Frame) -> LabelMap | None:
        """See MapSource. Raises ValueError where MediaPipe fails on the picture."""
        rgb = cv2.cvtColor(np.ascontiguousarray(frame.picture), cv2.COLOR_YUV2RGB_I420)
        stamp = max(self._last + 1, round(frame.captured_at * 1000))  # it takes none twice, and none earlier
        self._last = stamp
        try:
            image = self._mediapipe.Image(image_format=self._mediapipe.ImageFormat.SRGB, data=rgb)
            result = self._segmenter.segment_for_video(image, stamp)
            masks = [np.asarray(mask.numpy_view()) for mask in result.confidence_masks]
        except Exception as error:  # see above
            raise ValueError(f"MediaPipe: {error}") from None
        if not masks:
            raise ValueError("MediaPipe gave no masks")
        if len(masks) > len(self.legend.classes):
            raise ValueError(
                f"MediaPipe gave {len(masks)} masks, and the model names {len(self.legend.classes)} classes"
            )
        found = np.stack([mask.reshape(mask.shape[:2]) for mask in masks])
        labels = (found[0] > PERSON) if len(found) == 1 else found.argmax(0)
        return LabelMap(fit(labels.astype(np.uint8), self._size))

    def reset(self) -> None:
        """Nothing of ours is kept."""

    def close(self) -> None:
        """See MapSource."""
        self._segmenter.close()


def _package() -> Any:
    try:
        return importlib.import_module("mediapipe")
    except ImportError as error:
        raise ServiceError(
            f"maps: mediapipe is not installed ({error}); install: pip install mediapipe"
        ) from None

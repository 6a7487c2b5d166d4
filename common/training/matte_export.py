"""Turn a trained matte network into a shipped one: python -m common.training.matte_export --checkpoint FILE ...

Any checkpoint will do, also that of a run that goes on. Writes the same files as common.training.segment_export.
"""

from __future__ import annotations

from common.models.matting import EARLIER, Matting
from common.training.matte import MatteConfig
from common.training.segment_export import command

GRAPH = "matting.onnx"
INPUTS = {"picture": 3, "earlier": EARLIER}


def main() -> None:
    """Command line of the export."""
    command(__doc__, MatteConfig, lambda config: Matting(config.model), GRAPH, INPUTS)


if __name__ == "__main__":
    main()

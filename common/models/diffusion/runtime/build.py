"""Builds engines in a process of its own, so that minutes of tracing and tuning hold up no picture.

`python -m common.models.diffusion.runtime.build --model FOLDER --height 512 --width 512 --kind tensorrt --out FOLDER
step-crt decode`: each graph's engine lands in --out as it is done, and its name on a line of standard output.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch

from common.models.diffusion.loading import load
from common.models.diffusion.runtime.export import export
from common.models.diffusion.runtime.specs import Spec, Specs
from common.runtime.base import BackendError
from common.runtime.tensorrt_backend import PACKAGES, build_engine, find

KINDS = ("onnx", *PACKAGES)


def build(
    spec: Spec, kind: str, level: int | None = None, capability: str | None = None, below: Path | None = None
) -> bytes:
    """The engine of a graph: ONNX itself for `onnx`. below: where files may lie meanwhile. Raises BackendError."""
    with tempfile.TemporaryDirectory(prefix="semcast-export-", dir=below) as folder:
        path = Path(folder) / f"{spec.name}.onnx"
        export(spec, path)
        if kind != "onnx":
            return build_engine(find(kind), path, level, capability)
        if len(list(Path(folder).iterdir())) > 1:
            raise BackendError(f"{spec.name}: over 2 GB, which ONNX Runtime gets in one piece; use torch")
        return path.read_bytes()


def main(argv: Sequence[str] | None = None) -> int:
    """0, or 1 where a graph could not be built (the others are), with a line on standard error each."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("graphs", nargs="+", help="encode, decode, embed, degraded, step-crt, ...")
    add("--model", type=Path, required=True, help="a decoder's folder (config.json, manifest.json, weights)")
    add("--height", type=int, required=True)
    add("--width", type=int, required=True)
    add("--batch", type=int, default=1, help="streams in one step (default: 1)")
    add("--dtype", choices=("float32", "float16"), default="float16", help="(default: float16)")
    add("--kind", choices=KINDS, required=True, help="what builds it")
    add("--level", type=int, choices=range(6), help="optimisation level (default: TensorRT's)")
    add("--out", type=Path, required=True, help="folder for GRAPH.engine")
    args = parser.parse_args(argv)
    model = load(args.model, dtype=getattr(torch, args.dtype))
    specs, failed = Specs(model, args.height, args.width, args.batch), False
    for name in args.graphs:
        try:
            data = build(specs.of(name), args.kind, args.level, below=args.out)
        except (RuntimeError, ValueError, TypeError, NotImplementedError) as error:
            print(f"{name}: {' '.join(str(error).split())[:600]}", file=sys.stderr, flush=True)
            failed = True
            continue
        part = args.out / f"{name}.part"
        part.write_bytes(data)
        part.replace(args.out / f"{name}.engine")
        print(name, flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())

"""Train the generative decoder: python -m common.training.diffusion STAGE --config FILE --corpus FOLDER --out FOLDER

  data         gather pictures and maps into the corpus (--clips, --camvid, --tabletop), find those missing
  autoencoder  pictures to latents and back
  clips        draw clips, degrade them as a sender and a link would, keep their latents
  backbone     the diffusion backbone, without conditions
  control      Semantic Control, on maps
  restoration  the Restoration Adapter, on degraded textures
  teacher      the Temporal Adapter, seeing whole clips
  lcm          its causal few-step student: consistency
  dmd          the student: distribution matching
  pictures     decode fresh clips with all that came before
  refinement   the Refiner, on those pictures
  all          every stage from autoencoder on, in order
  measure      what the decoder makes of clips that it was trained on, beside their textures
  export       weights, manifest and model card into a folder

Every stage goes on where it was stopped (SIGINT, SIGTERM) when the same command is given again.
"""

from __future__ import annotations

import argparse
import json
import logging
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from threading import Event

import av
import torch

from common.config_errors import ConfigError
from common.models.diffusion.loading import LoadingError
from common.tabletop.files import VideoError
from common.training.diffusion import config as configs
from common.training.diffusion import corpus, export, measure, seen, stages

log = logging.getLogger("diffusion")

PROG = "python -m common.training.diffusion"
MISTAKES = (
    stages.StageError,
    LoadingError,
    ConfigError,
    corpus.CorpusError,
    VideoError,
    av.FFmpegError,
    OSError,
)
"""What is told in one line: settings, order, files."""

LONGEST = {"droid": 32, "": 96}  # pictures of a clip, by prefix of its name


def main(argv: Sequence[str] | None = None) -> int:
    """Command line of the training: 0, or 2 after one line on standard error that says what is wrong."""
    args = arguments(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(args.threads)
    try:
        work(args)
    except MISTAKES as error:
        print(f"{PROG}: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    return 0


def work(args: argparse.Namespace) -> None:
    """What was asked for. Raises MISTAKES."""
    if args.stage == "data":
        gather(args)
        return
    place = stages.Place(configs.load(args.config), args.out, args.corpus, args.device)
    if args.stage == "export":
        former = export.Former(args.former, args.part) if args.former else None
        export.export(place, args.weights, former=former)
    elif args.stage == "measure":
        print(json.dumps(measure.measure(place, args.steps, args.count), indent=2))
    else:
        train(place, args)


def train(place: stages.Place, args: argparse.Namespace) -> None:
    """One stage, or all."""
    stop = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    if args.stage == "all":
        stages.run_all(place, args.minutes, stop)
    else:
        stages.run(place, args.stage, None if args.minutes is None else 60 * args.minutes, stop)


def gather(args: argparse.Namespace) -> None:
    """Fill the corpus from what is named; what is there stays. Raises MISTAKES."""
    if args.camvid:
        corpus.add_street(args.corpus, args.camvid)
    if args.tabletop:
        corpus.add_tabletop(args.corpus, args.tabletop)
    if args.clips:
        corpus.add_clips(args.corpus, args.clips, args.corpus / "decoded", LONGEST)
    seen.add_seen(args.corpus)
    for kind, sources, pictures in corpus.kinds(corpus.read(args.corpus)):
        log.info("%s: %d sources, %d pictures", kind, sources, pictures)


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(
        prog=PROG,
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    chosen = ("data", *stages.STAGES, "all", "measure", "export")
    parser.add_argument("stage", choices=chosen, metavar="STAGE")
    parser.add_argument(
        "--corpus", type=Path, default=Path("corpus"), help="folder of pictures and maps (default corpus)"
    )
    parser.add_argument("--config", type=Path, help="YAML file, see common/training/configs/diffusion")
    parser.add_argument("--out", type=Path, help="folder for checkpoints, clips and logs")
    parser.add_argument(
        "--minutes", type=float, help="of the stage, or of all by their shares, instead of their steps"
    )
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (default 1)")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    parser.add_argument("--device", default=device, help=f"cpu or cuda (default here {device})")
    parser.add_argument("--clips", type=Path, help="data: folder of video files")
    parser.add_argument("--camvid", type=Path, help="data: folder with train and trainannot")
    parser.add_argument("--tabletop", type=Path, help="data: folder that common.training.tabletop made")
    parser.add_argument(
        "--weights", type=Path, default=export.WEIGHTS, help=f"export: folder (default {export.WEIGHTS})"
    )
    parser.add_argument(
        "--former", type=Path, help="export: weights that the run went on from, to be mixed in"
    )
    parser.add_argument(
        "--part", type=float, default=0.4, help="export: part of the former weights (default 0.4)"
    )
    parser.add_argument("--steps", type=int, default=1, help="measure: denoising steps (default 1)")
    parser.add_argument("--count", type=int, default=32, help="measure: clips (default 32)")
    args = parser.parse_args(argv)
    if args.stage != "data" and not (args.config and args.out):
        parser.error(f"{args.stage} needs --config and --out")
    if not 0 <= args.part <= 1:
        parser.error(f"--part: must be 0 to 1 (got {args.part})")
    if args.threads < 1:
        parser.error(f"--threads: must be at least 1 (got {args.threads})")
    if args.device.startswith("cuda") and not torch.cuda.is_available():
        parser.error(f"--device: torch finds no CUDA device (got {args.device}); use cpu")
    return args


if __name__ == "__main__":
    sys.exit(main())

"""Fuzzes the parsers: `python -m tests.fuzz.run --target NAME --seconds N`; `--target all` shares the time out.

With atheris (pip install atheris) coverage guides it; without, a seeded mutator works on the committed corpus, so that
the same targets run everywhere. Exit code 1 when a target raised; the input is then in --crashes.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"
PACKAGES = [
    "proto",
    "common.codec",
    "common.capture",
    "receiver.inspect",
    "receiver.replies",
    "receiver.reports",
    "sender.control",
    "sender.feedback",
]
MAX_BYTES = 4096  # of one input


def corpus(target: str) -> list[bytes]:
    """The committed inputs of a target, in a fixed order."""
    return [path.read_bytes() for path in sorted((CORPUS / target).glob("*"))]


def fuzz(target: str, seconds: float, seed: int, crashes: Path) -> tuple[int, bool]:
    """Without atheris: how many inputs were tried, and whether one made the target raise, which ends it."""
    from tests.fuzz.atheris_targets import TARGETS
    from tests.fuzz.mutate import Mutator

    mutator, call = Mutator(corpus(target), seed, MAX_BYTES), TARGETS[target]
    until, tried = time.monotonic() + seconds, 0
    while time.monotonic() < until:
        data = mutator.next()
        tried += 1
        try:
            call(data)
        except Exception as error:
            crashes.mkdir(parents=True, exist_ok=True)
            file = crashes / f"{target}-{hashlib.sha1(data).hexdigest()[:12]}"
            file.write_bytes(data)
            print(f"{target}: {type(error).__name__}: {error}\ninput: {file}", file=sys.stderr)
            return tried, True
    return tried, False


def atheris(target: str, seconds: float, seed: int, crashes: Path, grow: Path | None) -> None:
    """With atheris. Ends the process; new inputs go to `grow`."""
    fuzzer = importlib.import_module("atheris")
    with fuzzer.instrument_imports(include=PACKAGES):
        from tests.fuzz.atheris_targets import TARGETS
    for folder in (crashes, *([] if grow is None else [grow])):
        folder.mkdir(parents=True, exist_ok=True)
    options = [
        *(f"-max_total_time={max(1, round(seconds))}", f"-seed={seed}", f"-max_len={MAX_BYTES}"),
        *(
            f"-artifact_prefix={crashes}/{target}-",
            "-verbosity=0",
            "-print_final_stats=1",
            "-rss_limit_mb=2000",
        ),
    ]
    folders = [str(folder) for folder in (grow, CORPUS / target) if folder is not None and folder.is_dir()]
    fuzzer.Setup([sys.argv[0], *options, *folders], TARGETS[target])
    fuzzer.Fuzz()


def main(argv: Sequence[str] | None = None) -> int:
    from tests.fuzz.names import NAMES

    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.run", description=__doc__)
    parser.add_argument("--target", choices=("all", *NAMES), default="all")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--crashes", type=Path, default=Path("runs/fuzz-crashes"))
    parser.add_argument(
        "--grow", type=Path, help="with atheris: folder for inputs that reach what no other did"
    )
    parser.add_argument(
        "--plain", action="store_true", help="the seeded mutator, even where atheris is installed"
    )
    args = parser.parse_args(argv)
    guided = not args.plain and importlib.util.find_spec("atheris") is not None
    names = NAMES if args.target == "all" else (args.target,)
    share = args.seconds / len(names)
    if guided and len(names) == 1:
        atheris(args.target, share, args.seed, args.crashes, args.grow)
    failed = False
    for name in names:
        if guided:
            options = ["--target", name, "--seconds", str(share), "--seed", str(args.seed)]
            options += ["--crashes", str(args.crashes)]
            options += ["--grow", str(args.grow / name)] if args.grow else []
            failed |= subprocess.run([sys.executable, "-m", "tests.fuzz.run", *options]).returncode != 0
        else:
            tried, raised = fuzz(name, share, args.seed, args.crashes)
            failed |= raised
            print(f"{name:16} {tried:8} inputs {'RAISED' if raised else 'ok'}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())

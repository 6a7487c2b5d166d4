"""`python -m tests.demo`: live video through a lossy link on this machine, from one command."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from types import FrameType
from typing import Any

from tests.demo.process import age
from tests.demo.report import Analysis
from tests.demo.run import DemoRun
from tests.demo.settings import DemoError, Settings


def say(text: str) -> None:
    """One line, at once also when standard output is a file."""
    print(text, flush=True)


def main() -> int:
    """The exit code: 0 done, 1 something could not start or broke down, 130 interrupted."""
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        return demo(Settings.of(os.environ))
    except DemoError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("demo: interrupted", file=sys.stderr)
        return 130


def demo(settings: Settings) -> int:
    """Runs, measures, and writes the results."""
    started = time.time() - age()
    run = DemoRun(settings, say)
    say(
        f"semcast demo: {settings.source or 'rendered scene'}, {settings.size} at {settings.fps:g} fps, "
        f"{settings.rate_kbps:g} kbit/s on the wire, {settings.loss:.0%} of the packets lost"
        + (f" in runs of {settings.burst:.3g}" if settings.burst is not None else "")
        + (f", nothing at all for {settings.outage:g} s" if settings.outage else "")
    )
    try:
        source = run.prepare()
        say("starting receiver, relay and sender")
        run.start(source)
        say(f"first picture {time.time() - started:.1f} s after the start")
        say(f"watch it at {run.page} (for {settings.seconds:g} s)\n")
        measured = run.measure()
    finally:
        codes = run.stop()
    if any(codes.values()):
        raise DemoError(f"exit codes of the processes: {codes}; their logs are in {run.files.out}")
    if settings.generative:
        run.replay_plain()
    say("\ncomparing what was shown with what was sent")
    began = time.monotonic()
    analysis = Analysis(run.files, settings)
    analysis.run()
    measured["first_picture_s"] = round(analysis.window.start - started, 2)
    summary = analysis.summary(measured | {"relay": run.relay_counts()}, run.outage)
    run.files.summary.write_text(json.dumps(summary, indent=2) + "\n")
    run.files.shown_video.unlink()  # large, and received.mp4 holds the same
    run.files.plain_video.unlink(missing_ok=True)
    say(f"compared in {time.monotonic() - began:.1f} s\n")
    say(told(summary))
    for path in (run.files.received, run.files.side_by_side, run.files.summary):
        say(f"  {path}")
    return 0


def told(summary: dict[str, Any]) -> str:
    """The summary as a person reads it."""
    latency, encode, decode = summary["latency_ms"], summary["encode_ms"], summary["decode_ms"]
    cpu, rss = summary["cpu_percent"], summary["rss_mb"]
    likeness = (
        "" if summary["ms_ssim"] is None else f", MS-SSIM {summary['ms_ssim']}"
    )  # none of small pictures
    lines = [
        ("start", f"first picture after {summary['first_picture_s']} s"),
        (
            "frames",
            f"{summary['frames_shown']} shown of {summary['frames_sent']} sent, {summary['fps_shown']} fps",
        ),
        ("frozen", f"{summary['frozen_seconds']} s (longest standstill {summary['longest_freeze_s']} s)"),
        (
            "link",
            f"{summary['wire_kbps']} kbit/s on the wire, {100 * (summary['loss_observed'] or 0):.1f} % lost",
        ),
        ("latency", f"p50 {latency['p50']} ms, p95 {latency['p95']} ms, p99 {latency['p99']} ms"),
        ("quality", f"PSNR {summary['psnr_db']} dB{likeness}"),
        (
            "a unit",
            f"encode p50 {encode['p50']} ms, p95 {encode['p95']}; decode p50 {decode['p50']}, p95 {decode['p95']}",
        ),
        ("cpu", f"sender {cpu['sender']} %, receiver {cpu['receiver']} % of a core"),
        ("memory", f"sender {rss['sender']} MB, receiver {rss['receiver']} MB"),
    ]
    if sound := summary.get("sound"):
        concealed, silent = (100 * (sound[name] or 0) for name in ("concealed", "silent"))
        text = f"{concealed:.1f} % concealed, {silent:.1f} % silent, {sound['kbps'] or 0:g} kbit/s before headers"
        lines.insert(2, ("sound", text))
    if found := summary.get("map"):
        near = "" if found["miou"] is None else f"mIoU {found['miou']} against the exact ones, "
        text = f"{near}{100 * found['held_over']:.0f} % held over, {100 * found['lost']:.0f} % lost"
        lines.append(("map", f"with {100 * found['shown']:.0f} % of the pictures, {text}"))
    if made := summary.get("generative"):
        lines.append(("decoder", generative(made, summary)))
    if outage := summary.get("outage"):
        again = outage["new_after_s"]
        lines.insert(
            3,
            (
                "outage",
                f"{outage['seconds']:g} s: longest standstill {outage['longest_freeze_s']} s, "
                + ("no new pictures" if again is None else f"new pictures {again} s")
                + " after its end",
            ),
        )
    return "\n".join(f"  {name:8} {text}" for name, text in lines) + "\n"


def generative(made: dict[str, Any], summary: dict[str, Any]) -> str:
    """What the generative decoder did."""
    generated, carried, plain = (100 * (made[name] or 0) for name in ("generated", "carried", "plain"))
    if made["steps"] is None:
        return "no picture was generated: this machine is too slow for it, or it failed (receiver.log)"
    slow = "" if generated > 95 else " (slower than real time)"
    return (
        f"{generated:.0f} % of the pictures generated{slow}, {carried:.0f} % with detail carried over, {plain:.0f} % "
        f"plain; {100 * made['refined']:.0f} % of what was generated by the Refiner alone, "
        f"{made['steps']:g} steps and {made['ms_a_picture']:g} ms a picture on average; "
        f"textures alone {summary.get('texture_psnr_db')} dB"
    )


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())

"""`make demo` as its user sees it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import av
import pytest

from tests.demo.process import ROOT

pytestmark = pytest.mark.timeout(180)

KEYS = {
    *(
        "first_picture_s",
        "frames_sent",
        "frames_shown",
        "fps_shown",
        "frozen_seconds",
        "longest_freeze_s",
        "loss_observed",
    ),
    *(
        "wire_kbps",
        "latency_ms",
        "psnr_db",
        "ms_ssim",
        "encode_ms",
        "decode_ms",
        "cpu_percent",
        "rss_mb",
        "settings",
    ),
}


def start(**variables: str) -> subprocess.Popen[str]:
    environ = {
        name: value for name, value in os.environ.items() if name not in ("SOURCE", "LOSS")
    } | variables
    return subprocess.Popen(
        [sys.executable, "-m", "tests.demo"],
        cwd=ROOT,
        env=environ | {"WEB_PORT": "0"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_run_leaves_videos_and_a_summary(tmp_path: Path) -> None:
    with start(DEMO_SECONDS="4", DEMO_OUT=str(tmp_path), LOSS="0.3") as demo:
        output, errors = demo.communicate()
    assert (demo.returncode, errors) == (0, "")
    assert "watch it at http://127.0.0.1:" in output
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert set(summary) >= KEYS
    assert "sound" not in summary
    assert summary["settings"]["loss"] == 0.3
    assert 0.3 < summary["first_picture_s"] < 60
    assert "first picture after" in output
    assert 50 <= summary["frames_shown"] <= 66
    assert 52 <= summary["frames_sent"] <= 62
    assert summary["frozen_seconds"] == 0
    assert (
        35 < summary["wire_kbps"] < 69
    )  # the rate may dip for a second, to test whether the loss is its own
    assert 0.05 < summary["loss_observed"] < 0.6  # some thirty packets
    assert 0 < summary["latency_ms"]["p50"] <= summary["latency_ms"]["p95"] < 2000
    assert summary["psnr_db"] > 10
    assert 0 < summary["ms_ssim"] < 1
    for daemon in ("sender", "receiver"):
        assert summary["cpu_percent"][daemon] > 0
        assert 20 < summary["rss_mb"][daemon] < 2000
    for name in ("received.mp4", "side_by_side.mp4"):
        with av.open(str(tmp_path / name)) as video:
            assert sum(1 for _ in video.decode(video=0)) >= 50
    assert not (tmp_path / "shown.y4m").exists()


def test_an_outage_is_survived_and_told(tmp_path: Path) -> None:
    variables = {"OUTAGE": "1.5", "CHANNEL": "gilbert", "BURST": "2", "LOSS": "0.2", "SIZE": "128x128"}
    variables["AUDIO"] = "synthetic"
    with start(DEMO_SECONDS="5", DEMO_OUT=str(tmp_path), SOURCE="synthetic", **variables) as demo:
        output, errors = demo.communicate()
    assert (demo.returncode, errors) == (0, "")
    assert "  outage   1.5 s: longest standstill " in output
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["settings"]["channel"] == "gilbert"
    assert summary["relay"]["forward"]["outage"] > 5
    outage = summary["outage"]
    assert outage["start_s"] == pytest.approx(1.75, abs=0.7)  # a busy machine notices the first picture late
    assert 0 <= outage["new_after_s"] < 2.0
    assert summary["longest_concealed_s"] > 0.5
    assert "  sound    " in output
    assert 0 <= summary["sound"]["concealed"] < 0.6 and summary["sound"]["kbps"] > 3
    with av.open(str(tmp_path / "received.mp4")) as container:
        assert sum(frame.samples for frame in container.decode(audio=0)) > 2 * 48_000


def test_an_interrupted_run_leaves_no_process(tmp_path: Path) -> None:
    with start(DEMO_SECONDS="60", DEMO_OUT=str(tmp_path), SOURCE="synthetic") as demo:
        assert demo.stdout is not None
        while "watch it" not in demo.stdout.readline():
            assert demo.poll() is None
        time.sleep(0.5)
        demo.send_signal(signal.SIGTERM)
        _, errors = demo.communicate()
    assert demo.returncode == 130
    assert errors == "demo: interrupted\n"
    mine = str(tmp_path).encode()
    for command in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            assert mine not in command.read_bytes()
        except OSError:
            continue


def test_a_missing_source_is_told(tmp_path: Path) -> None:
    with start(SOURCE=str(tmp_path / "no.mp4")) as demo:
        _, errors = demo.communicate()
    assert demo.returncode == 1
    assert errors.startswith("demo: SOURCE: there is no file")


@pytest.mark.parametrize(
    ("profile", "side", "width", "variables"),  # width of all panels together
    [
        ("structure", 256, 4 * 256 + 3 * 4, {"DEMO_SECONDS": "8"}),
        # With the weights that are shipped; small pictures are shown three times as large.
        ("generative", 128, 5 * 384 + 4 * 4, {"DEMO_SECONDS": "3", "FPS": "5"}),
    ],
)
def test_the_profiles_of_maps_show_them_and_tell_how_good_they_were(
    profile: str, side: int, width: int, variables: dict[str, str], tmp_path: Path
) -> None:
    given = {"PROFILE": profile, "SIZE": f"{side}x{side}", "LOSS": "0.2", "DEMO_OUT": str(tmp_path)}
    with start(**given, **variables, XDG_CACHE_HOME=str(tmp_path / "cache")) as demo:
        output, errors = demo.communicate()
    assert (demo.returncode, errors) == (0, "")
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["settings"]["source"] == "tabletop" and summary["settings"]["rate_kbps"] == 14
    assert summary["map"]["miou"] > (0.3 if profile == "structure" else 0.1)  # of few pictures
    assert summary["map"]["shown"] > 0.3
    assert f"mIoU {summary['map']['miou']} against the exact ones" in output
    with av.open(str(tmp_path / "side_by_side.mp4")) as video:
        assert video.streams.video[0].width == width
    made = summary.get("generative")
    assert (made is not None) == (profile == "generative") == ("loading the generative decoder" in output)
    if made is not None:
        assert made["generated"] > 0 and made["ms_a_picture"] > 0 and made["memory_mb"] > 50
        assert summary["psnr_db"] > summary["texture_psnr_db"] - 3 > 10
        assert "of the pictures generated" in output

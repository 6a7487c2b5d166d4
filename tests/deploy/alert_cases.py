"""For each alert, series with which it fires and series with which it must not, as promtool writes them: `a+bxn` starts
at a and grows by b, n times, two samples a minute."""

from __future__ import annotations

from dataclasses import dataclass

RX, TX = "semcast_receiver_", "semcast_sender_"
SCRAPED = 'job="semcast-receiver", instance="r:9101"'
SENDING = 'job="semcast-sender", instance="s:9100"'


@dataclass(frozen=True)
class Case:
    """`fires` at `minutes`, and not a minute before half of `for` is over; `quiet` never does."""

    alert: str
    fires: dict[str, str]
    quiet: dict[str, str]
    minutes: int = 20


def rx(name: str, labels: str = "") -> str:
    return f"{RX}{name}{{{SCRAPED}{', ' if labels else ''}{labels}}}"


def tx(name: str, labels: str = "") -> str:
    return f"{TX}{name}{{{SENDING}{', ' if labels else ''}{labels}}}"


def loss(lost: int, profile: str) -> dict[str, str]:
    """So many of 1000 packets in half a minute are lost."""
    return {
        rx("packets_lost_total"): f"0+{lost}x120",
        rx("video_packets_total"): f"0+{1000 - lost}x120",
        rx("profile", 'profile="classic"'): f"{int(profile == 'classic')}x120",
        rx("profile", 'profile="resilient"'): f"{int(profile == 'resilient')}x120",
    }


def latency(share_below_half: int) -> dict[str, str]:
    bucket = "capture_to_display_seconds_bucket"
    return {
        rx(bucket, 'le="0.5"'): f"0+{share_below_half}x120",
        rx(bucket, 'le="2"'): "0+100x120",
        rx(bucket, 'le="+Inf"'): "0+100x120",
    }


def sound(whole: int, lost: int) -> dict[str, str]:
    """Units in half a minute."""
    return {rx("audio_units_total"): f"0+{whole}x120", rx("audio_units_lost_total"): f"0+{lost}x120"}


LIVE = rx("signal_state", 'state="live"')
LOST = rx("signal_state", 'state="lost"')
MEMORY, STARTED = f"process_resident_memory_bytes{{{SENDING}}}", f"process_start_time_seconds{{{SENDING}}}"

CASES = (
    Case(
        "SemcastSignalLost",
        {LOST: "1x120"},
        {LOST: "0x120"},
    ),
    Case("SemcastNoSender", {rx("sessions"): "0x120"}, {rx("sessions"): "1x120"}),
    Case("SemcastFreezing", {rx("freeze_seconds_total"): "0+6x120"}, {rx("freeze_seconds_total"): "0+1x120"}),
    Case(
        "SemcastResidualLoss",
        {rx("regions_imagined_total"): "0+60x120", rx("regions_total"): "0+100x120"},
        {rx("regions_imagined_total"): "0+40x120", rx("regions_total"): "0+100x120"},
    ),
    Case("SemcastLatencyHigh", latency(50), latency(99)),
    Case(
        "SemcastDecoderFailing",
        {rx("decoder_failures_total"): "0+1x120"},
        {rx("decoder_failures_total"): "7x120"},
    ),
    Case(
        "SemcastUnitsDamaged",
        {rx("units_damaged_total"): "0+5x120", rx("units_total"): "0+200x120"},
        {rx("units_damaged_total"): "0+1x120", rx("units_total"): "0+200x120"},
    ),
    Case(
        "SemcastSinkDown",
        {rx("sink_up", 'sink="a.mkv"'): "1x5 0x120", rx("sink_up", 'sink="web"'): "1x120"},
        {rx("sink_up", 'sink="web"'): "1x120"},
    ),
    Case(
        "SemcastRecordingPaused",
        {rx("recording_paused", 'recording="a.mkv"'): "0x5 1x120"},
        {tx("recording_paused", 'recording="a.smc"'): "0x120"},
    ),
    Case(
        "SemcastCaptureIncomplete",
        {tx("capture_records_dropped_total", 'recording="a.smc"'): "0+3x120"},
        {rx("capture_records_dropped_total", 'recording="a.smc"'): "7x120"},
    ),
    Case(
        "SemcastClockDrift",
        {rx("clock_drift_ratio"): "-0.0003x120"},
        {rx("clock_drift_ratio"): "0.00005x120"},
        40,
    ),
    Case(
        "SemcastSoundMissing",
        {rx("audio_announced"): "1x120", rx("audio_units_total"): "0+120x3 360x120", LIVE: "1x120"},
        {rx("audio_announced"): "0x120", rx("audio_units_total"): "7x120", LIVE: "1x120"},
    ),
    Case(
        "SemcastSoundMissing",
        {rx("audio_announced"): "1x120", rx("audio_units_total"): "0x120", LIVE: "1x120"},
        {rx("audio_announced"): "1x120", rx("audio_units_total"): "0x120", LIVE: "0x120"},
    ),
    Case("SemcastSoundLost", sound(60, 60), sound(110, 10)),
    Case(
        "SemcastSoundLate",
        {rx("audio_frames_late_total"): "0+120x120"},
        {rx("audio_frames_late_total"): "0+2x120"},
    ),
    Case("SemcastSoundDead", {tx("audio_level_ratio"): "0x120"}, {tx("audio_level_ratio"): "0.01x120"}, 30),
    Case("SemcastSoundDead", {tx("audio_failed"): "1x120"}, {tx("audio_failed"): "0x120"}, 30),
    Case("SemcastLossAboveProfile", loss(300, "classic"), loss(600, "resilient")),
    Case("SemcastLossAboveProfile", loss(950, "resilient"), loss(100, "classic")),
    Case(
        "SemcastQueueStanding",
        {tx("queue_seconds"): "0.5x120", tx("feedback_alive"): "1x120"},
        {tx("queue_seconds"): "0.5x120", tx("feedback_alive"): "0x120"},
    ),
    Case(
        "SemcastRateStarved",
        {tx("rate_target_bytes_per_second"): "20000x120", tx("rate_limit_bytes_per_second"): "60000x120"},
        {tx("rate_target_bytes_per_second"): "50000x120", tx("rate_limit_bytes_per_second"): "60000x120"},
    ),
    Case(
        "SemcastReportsMissing",
        {tx("feedback_alive"): "1x3 0x120", tx("handshakes_total"): "1x120"},
        {tx("feedback_alive"): "0x120", tx("handshakes_total"): "0x120"},  # one-way
    ),
    Case(
        "SemcastForgedPackets",
        {rx("packets_dropped_total", 'reason="forged"'): "0+600x120"},
        {
            rx("packets_dropped_total", 'reason="forged"'): "0+6x120",
            rx("packets_dropped_total", 'reason="late"'): "0+600x120",
        },
    ),
    Case(
        "SemcastKeysRunOut",
        {tx("key_packets_remaining"): "4e8x120"},
        {tx("key_packets_remaining"): "4294967295x120"},
    ),
    Case(
        "SemcastScrapeDown",
        {f"up{{{SENDING}}}": "1x3 0x120"},
        {f"up{{{SENDING}}}": "1x120", 'up{job="node"}': "0x120"},
    ),
    Case("SemcastNothingSent", {tx("packets_total"): "0+100x5 500x120"}, {tx("packets_total"): "0+100x120"}),
    Case("SemcastSourceLost", {tx("source_connected"): "0x120"}, {tx("source_connected"): "1x120"}),
    Case(
        "SemcastSenderSlow",
        {
            tx("frames_dropped_total", 'reason="queue"'): "0+90x120",
            tx("frames_dropped_total", 'reason="late"'): "0+90x120",
            tx("frames_captured_total"): "0+900x120",
        },
        {
            tx("frames_dropped_total", 'reason="keys"'): "0+900x120",
            tx("frames_dropped_total", 'reason="queue"'): "0+1x120",
            tx("frames_captured_total"): "0+900x120",
        },
    ),
    Case("SemcastRestarting", {STARTED: "1+60x120"}, {STARTED: "1x120"}),
    Case(
        "SemcastMemoryGrowing",
        {MEMORY: "1e8+300000x1000", STARTED: "0x1000"},
        {MEMORY: "1e8+1000x1000", STARTED: "0x1000"},
        400,
    ),
    Case(
        "SemcastFileHandles",
        {f"process_open_fds{{{SENDING}}}": "900x120", f"process_max_fds{{{SENDING}}}": "1024x120"},
        {f"process_open_fds{{{SENDING}}}": "30x120", f"process_max_fds{{{SENDING}}}": "1024x120"},
    ),
    Case(
        "SemcastErrorsLogged",
        {rx("log_records_total", 'level="error"'): "0x30 1x120"},
        {
            rx("log_records_total", 'level="warning"'): "0+9x120",
            tx("log_records_total", 'level="error"'): "3x120",
        },
    ),
)

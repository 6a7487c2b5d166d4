"""H.264 for media servers: bounded, decodable everywhere, on this host's clock."""

from __future__ import annotations

import dataclasses
import io
import itertools

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from receiver.play.base import SignalState
from receiver.play.mark import mark
from receiver.play.push.coded import CLOCK, H264, Packet, Settings, Timeline
from tests.receiver.play.pictures import shown


def decoded(packets: list[Packet]) -> list[av.VideoFrame]:
    data = io.BytesIO(b"".join(packet.data for packet in packets))
    with av.open(data, "r", format="h264") as container:
        return list(container.decode(video=0))


def coded(
    numbers: range, settings: Settings, key: int = -1, size: tuple[int, int] = (128, 96)
) -> list[Packet]:
    encoder = H264(settings)
    return [packet for n in numbers for packet in encoder.encode(shown(n, *size), n == key)]


def test_one_packet_a_picture_without_delay_and_key_pictures_evenly() -> None:
    packets = coded(range(45), Settings(key_interval=1.0), key=20)
    assert len(packets) == 45
    assert [n for n, packet in enumerate(packets) if packet.key] == [0, 15, 20, 35]
    assert [packet.pts for packet in packets] == [n * CLOCK // 15 for n in range(45)]
    assert len(decoded(packets[20:])) == 25, "decoding can begin at any key picture"


def test_it_is_constrained_baseline_with_its_colours_told() -> None:
    packets = coded(range(1), Settings())
    with av.open(io.BytesIO(packets[0].data), "r", format="h264") as container:
        context = container.streams.video[0].codec_context
        assert context.profile == "Constrained Baseline" and context.pix_fmt == "yuv420p"
        assert (context.colorspace, context.color_range) == (6, 1)


def test_the_rate_is_kept_over_a_second() -> None:
    rng = np.random.default_rng(1)
    encoder, sizes = H264(Settings(kbps=300)), []
    for number in range(75):
        noise = rng.integers(16, 235, (384, 256), np.uint8)
        packets = encoder.encode(dataclasses.replace(shown(number, 256, 256), picture=noise), False)
        sizes.append(sum(len(packet.data) for packet in packets))
    # Even noise, which cannot be coded at this rate, stays near it after the first second.
    assert sum(sizes[15:]) * 8 / 4000 < 1.5 * 300


def test_a_sender_that_restarts_with_another_size_or_rate_goes_on() -> None:
    encoder = H264(Settings())
    packets = encoder.encode(shown(0, 128, 96), False)
    packets += encoder.encode(shown(1, 64, 64), False)
    packets += encoder.encode(dataclasses.replace(shown(2, 128, 96), fps=30.0), False)
    assert [packet.key for packet in packets] == [True, False, True]
    assert [(frame.width, frame.height) for frame in decoded(packets)] == [(128, 96)] * 3
    assert packets[0].pts < packets[1].pts < packets[2].pts


@pytest.mark.parametrize("wanted", [True, False])
def test_a_lost_signal_goes_on_marked(wanted: bool) -> None:
    lost = dataclasses.replace(shown(0, 128, 96, SignalState.LOST), silence=7.0)
    [frame] = decoded(H264(Settings(mark=wanted)).encode(lost, False))
    expected = mark(lost.picture, 7.0) if wanted else lost.picture
    assert np.abs(frame.to_ndarray(format="yuv420p").astype(int) - expected).mean() < 3


def times(steps: list[tuple[int, float]], fps: float = 15.0) -> list[float]:
    timeline, number, now, found = Timeline(), 0, 1000.0, []
    for ticks, seconds in steps:
        number, now = number + ticks, now + seconds
        found.append(timeline.at(dataclasses.replace(shown(number, 16, 16), shown_at=now, fps=fps)))
    return found


def test_time_follows_this_hosts_clock_without_its_jitter() -> None:
    rng = np.random.default_rng(1)
    even = times([(1, 1 / 15)] * 300)
    assert even[-1] == pytest.approx(299 / 15)
    fast = times([(1, 1.0005 / 15)] * 9000)  # a sender whose clock is slow by 500 ppm
    assert fast[-1] == pytest.approx(8999 * 1.0005 / 15, abs=0.01)
    jitter = rng.uniform(-0.02, 0.02, 300)
    uneven = times([(1, 1 / 15 + float(b - a)) for a, b in itertools.pairwise(jitter)])
    assert np.abs(np.diff(uneven) - 1 / 15).max() <= 0.0501 / 15


def test_dropped_pictures_leave_a_gap_and_steps_of_the_clock_none() -> None:
    gap = times([(1, 1 / 15), (9, 9 / 15), (1, 1 / 15)])
    assert gap[1] - gap[0] == pytest.approx(9 / 15)
    for step in (-3600.0, 3600.0):
        stepped = times([(1, 1 / 15), (1, step), (1, 1 / 15)])
        assert np.diff(stepped) == pytest.approx([1 / 15, 1 / 15])


@given(
    st.lists(
        st.tuples(st.integers(-3, 30), st.floats(-10, 10), st.sampled_from([5.0, 15.0, 29.97])), max_size=50
    )
)
def test_time_always_grows(steps: list[tuple[int, float, float]]) -> None:
    timeline, number, now, last = Timeline(), 5, 1000.0, -1.0
    for ticks, seconds, fps in steps:
        number, now = max(0, number + ticks), now + seconds
        time = timeline.at(dataclasses.replace(shown(number, 16, 16), shown_at=now, fps=fps))
        assert round(time * CLOCK) > round(last * CLOCK)
        last = time

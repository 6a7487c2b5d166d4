"""Raw video on a pipe."""

from __future__ import annotations

import dataclasses
import io
import os

import av
import numpy as np
import pytest

from receiver.play.base import SignalState
from receiver.play.mark import mark
from receiver.play.y4m import Y4mSink, header
from tests.receiver.play.pictures import shown
from tests.receiver.play.test_maps import a_map
from tests.waiting import until


def test_the_header_says_size_rate_and_range() -> None:
    assert header(256, 144, 15.0) == b"YUV4MPEG2 W256 H144 F15:1 Ip A1:1 C420mpeg2 XCOLORRANGE=LIMITED\n"
    assert b" F30000:1001 " in header(16, 16, 30000 / 1001)


async def test_a_player_reads_exactly_the_pictures_shown() -> None:
    reader, writer = os.pipe()
    sink = Y4mSink(writer)
    await sink.start()
    for number in range(5):
        sink.show(shown(number))
        await until(lambda: len(sink._queue) == 0)
    await sink.close()
    os.close(writer)
    with open(reader, "rb") as pipe:
        data = pipe.read()
    with av.open(io.BytesIO(data), mode="r", format="yuv4mpegpipe") as container:
        frames = list(container.decode(video=0))
    assert len(frames) == 5 and frames[0].width == 64 and frames[0].height == 48
    for number, frame in enumerate(frames):
        assert np.array_equal(frame.to_ndarray(format="yuv420p"), shown(number).picture)


async def test_a_recorded_picture_is_clean_whatever_its_map() -> None:
    reader, writer = os.pipe()
    sink = Y4mSink(writer)
    await sink.start()
    sink.show(dataclasses.replace(shown(0), map=a_map()))
    await sink.close()
    os.close(writer)
    with open(reader, "rb") as pipe:
        assert pipe.read().endswith(shown(0).picture.tobytes())


async def test_a_closed_pipe_ends_the_sink_quietly() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    sink = Y4mSink(writer)
    await sink.start()
    sink.show(shown(0))
    await until(lambda: sink.ended)
    await sink.close()
    os.close(writer)


async def test_a_new_size_keeps_the_stream_valid() -> None:
    reader, writer = os.pipe()
    sink = Y4mSink(writer)
    await sink.start()
    sink.show(shown(0))
    await until(lambda: len(sink._queue) == 0)
    sink.show(shown(1, 128, 32))
    await sink.close()
    os.close(writer)
    with open(reader, "rb") as pipe:
        data = pipe.read()
    assert len(data) == len(header(64, 48, 15.0)) + 2 * (len(b"FRAME\n") + 64 * 48 * 3 // 2)


@pytest.mark.parametrize("wanted", [True, False])
async def test_a_lost_signal_is_marked_when_so_configured(wanted: bool) -> None:
    reader, writer = os.pipe()
    sink = Y4mSink(writer, wanted)
    await sink.start()
    lost = shown(0, state=SignalState.LOST)
    sink.show(lost)
    await sink.close()
    os.close(writer)
    with open(reader, "rb") as pipe:
        data = pipe.read()
    assert data.endswith((mark(lost.picture, 0.0) if wanted else lost.picture).tobytes())

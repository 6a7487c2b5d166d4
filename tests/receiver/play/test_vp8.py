"""The shared encoder: pictures that decode, key pictures when asked for, viewers that fall behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import av
import numpy as np
import pytest
from av.packet import Packet

from receiver.play.vp8 import (
    HIGHEST_RATE,
    LOWEST_RATE,
    MAX_BACKLOG,
    TIME_BASE,
    SharedVp8,
    Subscription,
    VideoPacket,
    Vp8Encoder,
    highest_rate,
)
from tests.receiver.link import until
from tests.receiver.play.pictures import shown


def packet(key: bool) -> VideoPacket:
    made: VideoPacket = Packet(b"picture")
    made.is_keyframe = key
    return made


@pytest.fixture
async def shared() -> AsyncIterator[SharedVp8]:
    shared = SharedVp8()
    yield shared
    await shared.close()


def test_pictures_of_any_size_come_back_as_they_were() -> None:
    encoder, decoder = Vp8Encoder(), av.CodecContext.create("libvpx", "r")
    for number, (width, height) in enumerate([(64, 48)] * 3 + [(256, 128)] * 3):
        picture = shown(number, width, height).picture
        made = encoder.encode(picture, number * 6000, 15.0, key=number == 4)
        assert made.is_keyframe is (number in (0, 3, 4))
        assert made.pts == number * 6000 and made.time_base == TIME_BASE
        frame = decoder.decode(Packet(bytes(made)))[0]
        back = frame.to_ndarray(format="yuv420p")
        assert back.shape == picture.shape and np.abs(back.astype(int) - picture).mean() < 3


def test_the_rate_fits_the_size_and_keeps_below_what_is_set() -> None:
    assert highest_rate(256, 256, 15) == 1_500_000
    assert highest_rate(64, 48, 15) == LOWEST_RATE and highest_rate(4096, 2160, 60) == HIGHEST_RATE
    assert highest_rate(256, 256, 15) < highest_rate(640, 360, 25) < highest_rate(1280, 720, 15)
    rng = np.random.default_rng(1)
    noise = [rng.integers(110, 140, (192, 128), dtype=np.uint8) for _ in range(45)]
    sizes = []
    for rate in (100_000, None):
        encoder = Vp8Encoder(rate)
        sizes.append(sum(encoder.encode(picture, n * 6000, 15.0).size for n, picture in enumerate(noise)))
    assert sizes[0] < sizes[1] / 2, sizes


async def test_each_viewer_begins_with_a_key_picture_and_misses_none() -> None:
    now = 0.0
    shared = SharedVp8(clock=lambda: now)
    first, taken = shared.subscribe(), []
    for number in range(30):
        now = number / 15
        shared.show(shown(number))
        taken.append(await first.next())
        if number == 10:
            second = shared.subscribe()
    assert taken[0] is not None and taken[0].is_keyframe
    mine = await second.next()
    assert mine is not None and mine.is_keyframe and taken.index(mine) > 10
    rising = [made.pts for made in taken if made is not None and made.pts is not None]
    assert len(rising) == 30 and rising == sorted(set(rising))
    await shared.close()
    assert shared.encoded <= 32


async def test_who_joins_while_nothing_new_is_shown_gets_the_last_picture(shared: SharedVp8) -> None:
    shared.show(shown(0))
    assert shared.encoded == 0  # nobody looked
    for _ in range(2):
        async with asyncio.timeout(5):
            made = await shared.subscribe().next()
        assert made is not None and made.is_keyframe


async def test_key_pictures_asked_for_keep_a_distance() -> None:
    now = 0.0
    shared = SharedVp8(clock=lambda: now)
    subscription, keys = shared.subscribe(), []
    for number in range(45):
        now = number / 15
        subscription.need_key()
        shared.show(shown(number))
        made = await subscription.next()
        assert made is not None
        keys.append(made.is_keyframe)
    await shared.close()
    places = [number for number, key in enumerate(keys) if key]
    assert places[0] == 0 and 5 <= len(places) <= 8
    assert min(np.diff(places)) >= 6


async def test_a_viewer_that_falls_behind_goes_on_with_a_key_picture() -> None:
    shared = SharedVp8()
    subscription = Subscription(shared)
    subscription.offer(packet(key=False))  # of no use yet
    subscription.offer(packet(key=True))
    for _ in range(MAX_BACKLOG):
        subscription.offer(packet(key=False))
    assert shared._key.is_set()
    last = packet(key=True)
    subscription.offer(last)
    assert await subscription.next() is last
    subscription.close()
    assert await subscription.next() is None


async def test_closing_wakes_the_viewers_and_ends_the_thread() -> None:
    shared = SharedVp8()
    waiting = asyncio.create_task(shared.subscribe().next())
    await asyncio.sleep(0)
    await shared.close()
    assert await waiting is None
    assert shared._thread is not None and not shared._thread.is_alive()


async def test_after_a_picture_that_cannot_be_encoded_the_video_begins_anew(shared: SharedVp8) -> None:
    subscription = shared.subscribe()
    shared.show(replace(shown(0), fps=float("nan")))
    await until(lambda: len(shared._queue) == 0)
    shared.show(shown(1))
    async with asyncio.timeout(5):
        packet = await subscription.next()
    assert packet is not None and packet.is_keyframe and shared.encoded == 1
    subscription.close()

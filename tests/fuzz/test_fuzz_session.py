"""Whole sessions through a channel that hypothesis drives: it loses, delays, repeats, swaps and forges."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from proto.session import ReceiverEndpoint, Rules, SenderSession
from proto.wire import Mode
from tests.fuzz.world import PSK, World

actions = st.one_of(
    st.tuples(st.just("wait"), st.sampled_from([0.0, 0.01, 0.1, 0.6, 2.1, 11.0])),
    st.tuples(st.just("unit"), st.integers(1, 4)),
    st.tuples(st.just("there"), st.integers(0, 30)),
    st.tuples(st.just("back"), st.integers(0, 30)),
    st.tuples(st.just("flow"), st.none()),
    st.tuples(st.just("again"), st.integers(0, 10_000)),
    st.tuples(st.just("forge"), st.integers(0, 10_000)),
    st.tuples(st.just("noise"), st.binary(max_size=120)),
    st.tuples(st.just("report"), st.binary(max_size=40)),
    st.tuples(st.just("control"), st.binary(max_size=40)),
    st.tuples(st.just("restart receiver"), st.none()),
)


@settings(deadline=None, max_examples=150)
@given(
    st.sampled_from(Mode),
    st.sampled_from(Mode),
    st.integers(1, 40),
    st.lists(actions, max_size=80),
)
def test_whole_sessions_never_raise_and_never_deliver_twice(
    here: Mode, there: Mode, rekey: int, script: list[tuple[str, object]]
) -> None:
    rules = Rules(silence=0.5, rekey_packets=rekey, rekey_seconds=20.0)
    world = World(SenderSession(PSK, mode=here, rules=rules), ReceiverEndpoint(PSK, mode=there))
    for action, value in script:
        world.poll()
        world.act(action, value)
        assert world.receiver.sessions <= 4
        assert len(world.receiver._opener) <= 64 + 16 + 8

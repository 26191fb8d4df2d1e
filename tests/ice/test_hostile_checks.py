"""Whatever bytes come: no exception, each counted, no answer to a stranger, none longer than the request."""

from dataclasses import astuple

from hypothesis import given
from hypothesis import strategies as st

from tests.ice.scripted_peer import LOCAL, WIFI, ScriptedPeer, agent
from visiomedia.ice import LiteAgent, Message, username_of

CHECK = ScriptedPeer().check(nominate=True)


def receive(engine: LiteAgent, data: bytes) -> None:
    before = sum(astuple(engine.counters))
    engine.receive_datagram(data, WIFI, 1.0)
    username_of(data)
    assert sum(astuple(engine.counters)) == before + 1


def assert_untouched(engine: LiteAgent) -> None:
    assert engine.datagrams_to_send() == []
    assert engine.events() == []
    assert engine.addresses == ()
    assert engine.next_timeout() is None


def test_every_prefix_of_a_check_is_dropped_and_counted() -> None:
    engine = agent()
    for size in range(len(CHECK)):
        receive(engine, CHECK[:size])
    assert_untouched(engine)
    assert engine.counters.malformed == len(CHECK)


@given(st.lists(st.tuples(st.integers(0, len(CHECK) - 1), st.integers(1, 255)), min_size=1, max_size=6))
def test_flipped_bytes_get_no_answer_unless_the_integrity_still_holds(flips: list[tuple[int, int]]) -> None:
    data = bytearray(CHECK)
    for position, flip in flips:
        data[position] ^= flip
    engine = agent()
    receive(engine, bytes(data))
    # The integrity covers all but the last 8 bytes: with flips only there the check is still the peer's.
    if data[: len(CHECK) - 8] != CHECK[:-8]:
        assert_untouched(engine)


@given(st.binary(max_size=1600))
def test_random_bytes_are_dropped_and_counted(data: bytes) -> None:
    engine = agent()
    receive(engine, data)
    receive(engine, CHECK[:20] + data)
    assert_untouched(engine)


@given(st.binary(min_size=1, max_size=120), st.integers(20, len(CHECK) - 1))
def test_spliced_checks_get_no_answer(middle: bytes, position: int) -> None:
    data = CHECK[:position] + middle + CHECK[position:]
    data = data[:2] + (len(data) - 20).to_bytes(2, "big") + data[4:]
    engine = agent()
    receive(engine, data)
    for datagram in engine.datagrams_to_send():
        assert Message.parse(data).is_authentic(LOCAL.password.encode())
        assert len(datagram.data) <= len(data)


def test_no_answer_is_longer_than_its_request() -> None:
    engine = agent()
    for data in (
        CHECK,
        ScriptedPeer(priority=None).check(),
        ScriptedPeer().check(controlled=1),
    ):
        receive(engine, data)
        (datagram,) = engine.datagrams_to_send()
        assert len(datagram.data) <= len(data)

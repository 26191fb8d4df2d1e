"""Transport-wide feedback: bytes by hand, every kind of chunk, round trips, and what hostile counts cost."""

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visiomedia.errors import ParseError
from visiomedia.rtp.rtcp import TransportFeedback, build_transport_feedback, parse_compound, serialize_compound
from visiomedia.rtp.rtcp.transport_feedback import CLOCK_TICKS, TICK_NS

HEAD = "00000001 00000002"

# By hand, from the draft's figures. Base 0xfffe, 27 packets, reference time -2 (of 64 ms), report 7.
EVERY_CHUNK = (
    "afcd0009 00000001 00000002 fffe001b fffffe 07"
    "2003"  # a run of three small deltas
    "0003"  # a run of three that did not come
    "a001"  # one bit each: the first and the last of fourteen
    "e102"  # two bits each: large, lost, small, lost, lost, lost, large
    "0408ff 0001 ffff0a0100"
    "0002"  # two octets of padding
)
EVERY_CHUNK_ARRIVALS = ((0, 4), (1, 12), (2, 267), (6, 267), (19, 268), (20, 267), (22, 277), (26, 533))


def parsed(data: str) -> TransportFeedback:
    (packet,) = parse_compound(bytes.fromhex(data))
    assert isinstance(packet, TransportFeedback)
    return packet


def test_every_kind_of_chunk_is_read() -> None:
    packet = parsed(EVERY_CHUNK)
    assert packet == TransportFeedback(1, 2, 0xFFFE, 27, -2, 7, EVERY_CHUNK_ARRIVALS)
    assert packet.received[:3] == [(0xFFFE, -508), (0xFFFF, -500), (0, -245)]
    assert packet.lost == [1, 2, 3, *range(5, 17), 19, 21, 22, 23]


def test_the_same_report_is_written_and_read_again() -> None:
    packet = parsed(EVERY_CHUNK)
    assert parse_compound(serialize_compound([packet])) == [packet]


@pytest.mark.parametrize(
    ("count", "chunk"),
    [("0001", "2001"), ("0001", "3fff"), ("0001", "a000"), ("0001", "d000"), ("0003", "8800")],
)
def test_what_a_chunk_says_beyond_the_count_means_nothing(count: str, chunk: str) -> None:
    packet = parsed(f"afcd0005 {HEAD} 0000{count} 000000 00 {chunk} 05 01")
    assert packet.status_count == int(count, 16)
    assert [ticks for _, ticks in packet.arrivals] == [5]


@pytest.mark.parametrize(
    "data",
    {
        "header cut short": f"8fcd0003 {HEAD} 00000001",
        "no chunk": f"8fcd0004 {HEAD} 00000001 000000 00",
        "a second chunk that is not there": f"afcd0005 {HEAD} 0000000f 000000 00 8000 0002",
        "no delta": f"afcd0005 {HEAD} 00000001 000000 00 2001 0002",
        "half a large delta": f"afcd0005 {HEAD} 00000001 000000 00 4001 0101",
        "reserved symbol in a run": f"8fcd0006 {HEAD} 00000001 000000 00 6001 000000000000",
        "reserved symbol in a vector": f"8fcd0006 {HEAD} 00000007 000000 00 c003 000000000000",
        "runs of nothing without end": f"8fcd0006 {HEAD} 00000001 000000 00" + "0000" * 4,
    }.values(),
)
def test_malformed_report_is_refused(data: str) -> None:
    with pytest.raises(ParseError):
        parse_compound(bytes.fromhex(data))


def test_a_report_of_65535_losses_costs_no_memory() -> None:
    chunks = "1fff" * 8 + "0007"
    data = bytes.fromhex(f"afcd0009 {HEAD} 0000ffff 000000 00 {chunks} 0002")
    tracemalloc.start()
    for _ in range(50):
        parse_compound(data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    (packet,) = parse_compound(data)
    assert isinstance(packet, TransportFeedback)
    assert (packet.status_count, packet.arrivals) == (0xFFFF, ())
    assert peak < 50_000


def test_what_does_not_fit_is_our_own_error() -> None:
    for arrivals in (((0, 0x8000),), ((0, 5), (1, 5 - 0x8001)), ((3, 0),), ((1, 0), (1, 1)), ((-1, 0),)):
        with pytest.raises(ValueError, match="does not fit"):
            TransportFeedback(1, 2, 0, 3, 0, 0, arrivals).serialize()


@given(
    st.integers(0, 0xFFFF),
    st.integers(-(1 << 23), (1 << 23) - 1),
    st.lists(
        st.one_of(
            st.none(),
            st.integers(0, 255),
            st.sampled_from([-0x8000, -1, 0, 255, 256, 0x7FFF]),
        ),
        max_size=80,
    ),
    st.integers(0, 40),
)
def test_reports_round_trip(base: int, reference: int, deltas: list[int | None], tail: int) -> None:
    clock = 0
    arrivals: list[tuple[int, int]] = []
    for offset, delta in enumerate(deltas):
        if delta is not None:
            clock += delta
            arrivals.append((offset, clock))
    packet = TransportFeedback(1, 2, base, len(deltas) + tail, reference, 255, tuple(arrivals))
    assert parse_compound(serialize_compound([packet])) == [packet]


arrival_patterns = st.lists(st.tuples(st.booleans(), st.integers(-3_000_000, 20_000_000)), min_size=1, max_size=400)


@given(st.integers(0, 0xFFFF), st.integers(0, 2**50), arrival_patterns, st.sampled_from([28, 60, 1200]))
def test_built_reports_tell_every_arrival_within_a_tick_and_no_more_than_fits(
    base: int, start: int, pattern: list[tuple[bool, int]], max_bytes: int
) -> None:
    clock, times = start + 10**9, list[int | None]()
    for came, step in pattern:
        clock += step
        times.append(clock if came else None)
    told: list[int | None] = []
    number = 0
    while len(told) < len(times):
        at = base + len(told)
        packet, taken = build_transport_feedback(1, 2, number, at, times[len(told) :], max_bytes=max_bytes)
        assert taken >= 1
        data = serialize_compound([packet])
        assert len(data) <= max_bytes
        (read,) = parse_compound(data)
        assert read == packet
        assert packet.base_sequence_number == at & 0xFFFF
        part: list[int | None] = [None] * taken
        for offset, ticks in packet.arrivals:
            part[offset] = packet.reference_time * 256 + ticks
        told += part
        number += 1
    for time, tick in zip(times, told, strict=True):
        assert (time is None) == (tick is None)
        if time is not None and tick is not None:
            # Rounded down, each for itself; the clock is known modulo 2**24 * 64 ms.
            assert (tick - time // TICK_NS) % CLOCK_TICKS == 0


def test_a_pause_too_long_for_a_delta_begins_another_report() -> None:
    second = 1_000_000_000
    packet, taken = build_transport_feedback(1, 2, 0, 9, [second, None, 2 * second, 11 * second])
    assert (taken, packet.status_count, len(packet.arrivals)) == (3, 3, 2)
    rest, taken = build_transport_feedback(1, 2, 1, 12, [11 * second])
    assert (taken, rest.received[0][1]) == (1, 11 * 4000)

"""The load generator: it sends on time, counts what comes and what does not, and keeps what can be judged."""

import contextlib
import socket
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from benchmarks.load import latencies

from benchmarks import traffic

MS = 1_000_000
RTP, RTCP = 96, 200


def packet(number: int, *, second: int = RTP, marker: bool = False, ssrc: int = 7) -> bytes:
    head = bytes([0x80, second | (0x80 if marker else 0)]) + number.to_bytes(2, "big")
    return head + (3000 * number).to_bytes(4, "big") + ssrc.to_bytes(4, "big") + bytes(88)


@pytest.fixture
def sockets() -> Iterator[list[socket.socket]]:
    """Two receivers and a sender."""
    with contextlib.ExitStack() as stack:
        opened = [stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(3)]
        for each in opened:
            each.bind(("127.0.0.1", 0))
            each.setblocking(False)
        for receiver in opened[:2]:
            traffic.ready(receiver)
        yield opened


def carry(sockets: list[socket.socket], rows: list[tuple[int, int, bytes]], *, one_in: int = 4) -> Any:
    """Rows: (due, number of the destination, bytes); destination 2 is a port that nobody reads."""
    packets = np.zeros(len(rows), traffic.PACKET)
    lengths = np.array([len(row[2]) for row in rows])
    packets["due"], packets["destination"] = [row[0] for row in rows], [row[1] for row in rows]
    packets["length"], packets["start"] = lengths, np.cumsum(lengths) - lengths
    packets["descriptor"] = sockets[2].fileno()
    names = [traffic.sockaddr(*each.getsockname()) for each in sockets]
    arena = np.frombuffer(b"".join(row[2] for row in rows), np.uint8)
    descriptors = [each.fileno() for each in sockets[:2]]
    tables = traffic.make_tables(packets, arena, names, descriptors, one_in=one_in)
    traffic.run(tables)
    return tables


def test_all_that_comes_is_counted_by_receiver_and_what_is_lost_is_missing(sockets: list[socket.socket]) -> None:
    rows = [(number * MS, number % 3, packet(number)) for number in range(60)]
    rows += [(60 * MS, 0, packet(0, second=RTCP)), (60 * MS, 0, b"\x00\x01stun"), (60 * MS, 1, b"\x80")]
    tables = carry(sockets, rows)
    assert tables.receivers["packets"].tolist() == [20, 20], "the third 20 went where nobody reads"
    assert tables.receivers["bytes"].tolist() == [2000, 2000]
    assert tables.receivers["others"].tolist() == [2, 1]


def test_each_packet_leaves_when_it_is_due_or_soon_after(sockets: list[socket.socket]) -> None:
    rows = [(number * 5 * MS, number % 2, packet(number)) for number in range(30)]
    sent = carry(sockets, rows).packets["sent"]
    after = sent - sent[0] - np.array([row[0] for row in rows])
    assert after.min() > -MS
    assert np.median(after) < 2 * MS


def test_one_in_so_many_is_kept_with_whom_it_reached(sockets: list[socket.socket]) -> None:
    rows = [(number * MS // 10, number % 2, packet(number)) for number in range(40)]
    kept = traffic.samples(carry(sockets, rows, one_in=4))
    assert len(kept) == 10
    for receiver, data in kept:
        number = int.from_bytes(data[2:4], "big")
        assert data == packet(number)
        assert receiver == number % 2


def test_latency_is_from_a_frames_last_packet_to_its_arrival(sockets: list[socket.socket]) -> None:
    rows = [
        (number * MS, number % 2, packet(number, marker=number % 3 == 2, ssrc=7 + number % 2)) for number in range(30)
    ]
    tables = carry(sockets, rows)
    origins = {(0, 7): (0, 0), (1, 8): (1, 0)}
    sent = {(number % 2, 3000 * number): number for number in range(30) if number % 3 == 2}
    found = latencies(tables, origins, sent)
    assert len(found) == 10
    assert 0 < found.min() < 5, "ms over loopback"
    late = {key: place - 2 for key, place in sent.items()}
    assert np.median(latencies(tables, origins, late)) == pytest.approx(np.median(found) + 2, abs=1), (
        "two packets earlier"
    )
    assert len(latencies(tables, {(0, 7): (0, 0)}, sent)) == 5, "of an SSRC that nobody knows nothing is told"

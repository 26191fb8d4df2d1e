"""Datagrams to one destination leave as one message that the system cuts (UDP_SEGMENT), and nobody can tell."""

import contextlib
import random
import socket
import sys
from collections.abc import Iterator

import pytest

from tests.net.datagrams import add, outbound, paths_to, plain_socket
from visiomedia.batch import OutKind, PacketBatch
from visiomedia.engine import Address
from visiomedia.net import BatchUdp
from visiomedia.net.segmentation import segments_per_message
from visiomedia.net.sockets import kernels_available
from visiomedia.net.structures import SEGMENTS

pytestmark = [
    pytest.mark.skipif(not kernels_available(), reason="kernels need numba on 64-bit Linux"),
    pytest.mark.skipif(sys.platform != "linux", reason="UDP_SEGMENT is Linux's"),
]

HOSTS = ["127.0.0.1", "::1"]
SO_NO_CHECK = 11


@contextlib.contextmanager
def open_sockets(host: str = "127.0.0.1", *, segments: int | None = None) -> Iterator[BatchUdp]:
    sockets = BatchUdp([host], 0, segments=segments)
    try:
        yield sockets
    finally:
        sockets.close()


def destination(receiver: socket.socket) -> Address:
    return Address(0, *receiver.getsockname()[:2])


def send(sockets: BatchUdp, lengths: list[int], host: str = "127.0.0.1") -> tuple[list[int], int]:
    """Datagrams of these lengths to one destination: the lengths that arrived, in order, and how many were cut."""
    with plain_socket(host) as receiver:
        net = paths_to(destination(receiver))
        burst = [bytes([number % 256]) * length for number, length in enumerate(lengths)]
        before = int(sockets.tables.sockets["segmented"][0])
        sockets.send(outbound([(0, data) for data in burst]), net.paths)
        received = [receiver.recv(2048) for _ in burst]
    assert received == burst
    assert net.paths[0].sent_packets == len(lengths)
    assert net.paths[0].sent_bytes == sum(lengths)
    return [len(data) for data in received], int(sockets.tables.sockets["segmented"][0]) - before


def test_this_machine_cuts_messages() -> None:
    assert segments_per_message() == SEGMENTS


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize(
    ("lengths", "cut"),
    [
        ([1200] * 6, 6),
        ([1200, 1200, 1200, 700], 4),
        ([1200], 0),
        ([700, 1200], 0),
        ([1200, 700, 1200, 700], 4),
        ([1200, 700, 700, 700], 4),
        ([1161, 1161, 1160, 1160, 1160], 5),
        ([100] * (SEGMENTS + 1), SEGMENTS),
        ([1400] * 50, 50),
        ([1] * 3, 3),
    ],
    ids=str,
)
def test_those_of_one_length_and_a_shorter_one_share_a_message(host: str, lengths: list[int], cut: int) -> None:
    with open_sockets(host) as sockets:
        assert send(sockets, lengths, host) == (lengths, cut)


def test_a_message_is_never_longer_than_a_datagram_may_be() -> None:
    with open_sockets() as sockets:
        # 46 of 1400 bytes fit into 65,507: 50 leave as 46 and 4.
        _, cut = send(sockets, [1400] * 47)
        assert cut == 46
        assert sockets.tables.sockets["segments_refused"][0] == 0


def test_a_host_without_segments_sends_each_by_itself() -> None:
    with open_sockets(segments=1) as sockets:
        assert send(sockets, [1200] * 6) == ([1200] * 6, 0)


def test_rows_of_many_destinations_are_gathered_and_keep_their_order() -> None:
    randomness = random.Random(3)
    with open_sockets() as sockets, contextlib.ExitStack() as stack:
        receivers = [stack.enter_context(plain_socket("127.0.0.1")) for _ in range(40)]
        net = paths_to(*map(destination, receivers))
        for turn in range(3):  # what a batch leaves behind must not show in the next
            sent: list[list[bytes]] = [[] for _ in receivers]
            rows = []
            for number in range(1500):
                to = randomness.randrange(len(receivers))
                length = randomness.choice([1000, 1000, 1000, 600, 40])
                data = (turn * 1500 + number).to_bytes(4, "big").ljust(length, b"\0")
                sent[to].append(data)
                rows.append((to, data))
            sockets.send(outbound(rows), net.paths)
            assert [[receiver.recv(2048) for _ in sent[to]] for to, receiver in enumerate(receivers)] == sent
        assert sockets.tables.sockets[0].sent == 4500
        assert sockets.tables.sockets[0].segmented > 1500
        assert net.paths["sent_packets"].sum() == 4500


def kinds(batch: PacketBatch, *kinds: tuple[OutKind, bool]) -> PacketBatch:
    for row, (kind, is_audio) in zip(batch.rows, kinds, strict=True):
        row.kind, row.is_audio = kind, is_audio
    return batch


def test_pictures_leave_after_all_else() -> None:
    with open_sockets() as sockets, plain_socket("127.0.0.1") as receiver:
        net = paths_to(destination(receiver), destination(receiver))
        batch = outbound([(0, b"picture"), (0, b"voice"), (1, b"picture too"), (1, b"voice too"), (1, b"report")])
        rtp, rtcp = OutKind.RTP, OutKind.RTCP
        sockets.send(kinds(batch, (rtp, False), (rtp, True), (rtp, False), (rtp, True), (rtcp, False)), net.paths)
        received = [receiver.recv(100) for _ in range(5)]
    assert received == [b"voice", b"voice too", b"report", b"picture", b"picture too"]


def test_a_route_that_takes_no_segments_gets_the_same_datagrams_one_by_one() -> None:
    with open_sockets() as sockets, plain_socket("127.0.0.1") as first, plain_socket("127.0.0.1") as second:
        # Linux cuts no messages that leave without a checksum: EINVAL, as where a route's MTU is too small.
        sockets.sockets[0].setsockopt(socket.SOL_SOCKET, SO_NO_CHECK, 1)
        net = paths_to(destination(first), destination(second))
        burst = [(number % 2, number.to_bytes(2, "big") * 500) for number in range(20)]
        for _ in range(2):
            sockets.send(outbound(burst), net.paths)
            for to, receiver in enumerate((first, second)):
                assert [receiver.recv(2048) for _ in range(10)] == [data for path, data in burst if path == to]
        socket_row = sockets.tables.sockets[0]
        assert (socket_row.sent, socket_row.send_errors, socket_row.segmented) == (40, 0, 0)
        assert socket_row.segments_refused == 2, "each path was asked once"
        assert net.paths["refuses_segments"].tolist() == [1, 1]
        assert net.paths["sent_packets"].tolist() == [20, 20]


def test_a_new_peer_on_a_freed_path_is_asked_again() -> None:
    with plain_socket("127.0.0.1") as receiver:
        net = paths_to(destination(receiver))
        net.paths[0].refuses_segments = 1
        add(net, 0, 2, destination(receiver))
        assert net.paths[0].refuses_segments == 0


def test_where_the_probe_fails_it_is_said_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    segments_per_message.cache_clear()
    try:
        monkeypatch.setattr("visiomedia.net.segmentation.UDP_SEGMENT", 9999)  # an option that no system has
        with caplog.at_level("INFO"):
            assert segments_per_message() == 1
            assert segments_per_message() == 1
        assert [record.getMessage() for record in caplog.records if "UDP_SEGMENT" in record.getMessage()] == [
            "no UDP_SEGMENT, so every datagram is a message of its own: Invalid argument"
        ]
    finally:
        segments_per_message.cache_clear()

"""What a full receive buffer loses is counted by the system, and told."""

import socket
import time

import pytest

from tests.net.datagrams import contents, inbound, plain_socket
from visiomedia.net import BatchUdp
from visiomedia.net.sockets import kernels_available

pytestmark = pytest.mark.skipif(not kernels_available(), reason="kernels need numba on 64-bit Linux")

SENT = 500


def test_what_a_full_buffer_lost_is_told_with_the_next_datagram() -> None:
    sockets = BatchUdp(["127.0.0.1"], 0)
    try:
        port = sockets.local_addresses[0].port
        sockets.sockets[0].setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 20_000)
        with plain_socket("127.0.0.1") as sender:
            lost = 0
            for _ in range(2):  # it goes on counting
                for _ in range(SENT):
                    sender.sendto(bytes(1000), ("127.0.0.1", port))
                batch = inbound()
                received = sockets.receive(batch, time.monotonic_ns())
                lost += SENT - received
                sender.sendto(b"after", ("127.0.0.1", port))
                batch = inbound()
                assert sockets.receive(batch, time.monotonic_ns()) == 1
                assert contents(batch) == [b"after"]
                assert abs(int(batch.rows["arrival"][0]) - time.monotonic_ns()) < 1_000_000_000
                assert 0 < received < SENT
                assert sockets.tables.sockets[0].overflowed == lost
    finally:
        sockets.close()

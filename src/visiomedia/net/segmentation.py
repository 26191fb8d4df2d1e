"""Whether this host cuts one message into many datagrams (UDP_SEGMENT, Linux 4.18): asked once, by doing it."""

import logging
import socket
import struct
import sys
from functools import cache

from visiomedia.net.structures import SEGMENTS

logger = logging.getLogger(__name__)

UDP_SEGMENT = 103


@cache
def segments_per_message() -> int:
    """How many datagrams a message may carry: ``SEGMENTS``, or 1 where the host refuses; that is logged."""
    reason = "this is not Linux" if sys.platform != "linux" else _refusal()
    if reason is None:
        return SEGMENTS
    logger.info("no UDP_SEGMENT, so every datagram is a message of its own: %s", reason)
    return 1


def _refusal() -> str | None:
    """Why a segmented message over loopback did not arrive as two datagrams; None where it did."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
    ):
        try:
            receiver.bind(("127.0.0.1", 0))
            receiver.setblocking(False)  # loopback delivers before it returns
            segment = (socket.IPPROTO_UDP, UDP_SEGMENT, struct.pack("H", 8))
            sender.sendmsg([b"segment1", b"2"], [segment], 0, receiver.getsockname())
            if [receiver.recv(64), receiver.recv(64)] != [b"segment1", b"2"]:
                return "it arrived as something else"
        except OSError as error:
            return error.strerror or str(error)
    return None

"""PacketBatch: a batch of datagrams as a table. One row a datagram, bytes in an arena, no object per packet.

Inbound rows are filled stage by stage: the socket writes where a datagram came from, each kernel adds its columns.
Outbound rows are a prefix of the receiver's own and up to three slices of source bytes that the seal joins.
Rows are (offset, length) into the arena and never fixed slots: a socket that coalesces fills it unevenly.
"""

from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from visiomedia.jit import record

MAX_DATAGRAM = 2048
"""Bytes read of one datagram; a longer one is dropped and counted. Media fits a 1500-byte MTU."""

MAX_PREFIX = 256
"""Bytes of an out row that are its receiver's own: header, extensions, original sequence number, descriptor."""

MAX_EXPANSION = 160
"""Bytes that sealing may add: the largest trailer of SRTP and SRTCP that libsrtp asks room for."""

EXTENSION_KINDS = 16
"""Header-extension kinds have numbers below this (``rtp.extensions.ExtensionKind``)."""


class RowKind(IntEnum):
    """What a datagram is, by its first bytes (RFC 7983; RTP and RTCP by RFC 5761)."""

    UNKNOWN = 0
    STUN = 1
    DTLS = 2
    RTP = 3
    RTCP = 4


class Drop(IntEnum):
    """Why a row goes no further. One counter each."""

    NONE = 0
    UNKNOWN_KIND = 1
    UNKNOWN_FLOW = 2
    TRUNCATED = 3
    NO_KEYS = 4
    MALFORMED = 5
    AUTHENTICATION = 6
    REPLAYED = 7
    TOO_OLD = 8
    UNKNOWN_SSRC = 9
    UNKNOWN_PAYLOAD_TYPE = 10
    DUPLICATE = 11
    PADDING_ONLY = 12
    NOT_FORWARDED = 13
    NO_HISTORY = 14
    HELD = 15
    HANDED_UP_OVERFLOW = 16
    PENDING_OVERFLOW = 17
    NONCE_REFUSED = 18
    NO_PATH = 19
    TOO_LARGE = 20
    THROTTLED = 21
    FULL = 22


DROP_REASONS = 32
"""Length of a counter array by reason."""

ROW = record(
    [
        # the socket
        ("arrival", "<i8"),  # monotonic ns
        ("address", "u1", (16,)),  # remote, IPv4 mapped into IPv6
        ("offset", "<i4"),  # into the arena
        ("length", "<i4"),
        ("port", "<u2"),
        ("socket", "<u2"),
        # demux
        ("kind", "u1"),
        ("drop", "u1"),
        ("marker", "u1"),
        ("payload_type", "u1"),
        ("path", "<i4"),
        ("transport", "<i4"),
        ("source", "<i4"),
        # unprotect and parse
        ("ssrc", "<u4"),
        ("timestamp", "<u4"),
        ("index", "<i8"),  # 48-bit SRTP index: rollover counter and sequence number
        ("payload_offset", "<i4"),  # into the arena
        ("payload_length", "<i4"),  # padding not counted
        ("padding_length", "u1"),
        ("codec", "u1"),  # rtp.payload.Codec
        ("is_key_frame", "u1"),
        ("starts_frame", "u1"),
        ("is_recovered", "u1"),  # came as RTX
        ("audio_level", "u1"),  # RFC 6464: 0 loudest .. 127; 255 where absent
        ("has_voice", "u1"),
        ("reserved", "u1"),
        ("transport_sequence_number", "<i4"),  # transport-wide-cc, -1 where absent
        # header extensions by kind: where the element's bytes are in the arena; length 0 is absent
        ("extension_offset", "<i4", (EXTENSION_KINDS,)),
        ("extension_length", "u1", (EXTENSION_KINDS,)),
    ]
)
"""An inbound datagram."""


class OutKind(IntEnum):
    """What an out row becomes."""

    DATAGRAM = 0
    """Leaves as it is: STUN, DTLS."""
    RTP = 1
    RTCP = 2


OUT_ROW = record(
    [
        ("kind", "u1"),
        ("drop", "u1"),
        ("is_audio", "u1"),
        ("slices", "u1"),  # how many of the three are used
        ("prefix_length", "<u2"),
        ("header_length", "<u2"),  # of the prefix: RTP header and extensions, which stay clear
        ("payload_type", "u1"),
        ("reserved", "u1"),
        ("transport", "<i4"),
        ("path", "<i4"),
        ("stream", "<i4"),  # row of the SRTP send window; -1 for RTCP and datagrams
        ("subscription", "<i4"),
        ("ssrc", "<u4"),
        ("index", "<i8"),  # 48-bit SRTP index; SRTCP's is the seal's own
        ("slice_offset", "<i8", (3,)),  # into the history pool
        ("slice_length", "<i4", (3,)),
        ("offset", "<i4"),  # where the sealed datagram lies in the out arena
        ("length", "<i4"),
        ("next", "<i4"),  # the socket's, while it sends: 1 + the next row to the same destination, 0 for none
        ("prefix", "u1", (MAX_PREFIX,)),
    ]
)
"""An outbound datagram. RTP is assembled from prefix and slices by its seal, which sets offset and length; RTCP and
plain datagrams lie in the out arena from the start (with MAX_EXPANSION bytes free behind RTCP, sealed in place)."""


class PacketBatch(NamedTuple):
    """Rows and the bytes they point into.

    ``rows``: (capacity,) ROW or OUT_ROW; ``arena``: (bytes,) uint8; ``state``: (2,) int64: rows used, bytes used.
    """

    rows: NDArray[Any]
    arena: NDArray[np.uint8]
    state: NDArray[np.int64]


ROWS_USED = 0
BYTES_USED = 1


def make_batch(capacity: int, arena_bytes: int, dtype: np.dtype[Any] = ROW) -> PacketBatch:
    """An empty batch, allocated once."""
    return PacketBatch(np.zeros(capacity, dtype), np.zeros(arena_bytes, np.uint8), np.zeros(2, np.int64))


def append_datagram(
    batch: PacketBatch, data: bytes, *, arrival: int, address: bytes, port: int, socket: int = 0
) -> int:
    """Put a datagram into an inbound batch as a socket would; returns its row. ``address``: 16 bytes."""
    index, offset = int(batch.state[ROWS_USED]), int(batch.state[BYTES_USED])
    batch.arena[offset : offset + len(data)] = np.frombuffer(data, np.uint8)
    row = batch.rows[index]
    row.arrival, row.offset, row.length, row.port, row.socket = arrival, offset, len(data), port, socket
    row.address[:] = np.frombuffer(address, np.uint8)
    row.drop = Drop.TRUNCATED if len(data) > MAX_DATAGRAM else Drop.NONE
    batch.state[ROWS_USED] = index + 1
    batch.state[BYTES_USED] = offset + len(data)
    return index


def datagram(batch: PacketBatch, row: int) -> bytes:
    """A copy of a row's bytes."""
    record_ = batch.rows[row]
    return batch.arena[record_.offset : record_.offset + record_.length].tobytes()

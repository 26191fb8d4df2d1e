"""SRTP state of the packet plane: keys by transport, replay and sent windows by stream (RFC 3711 section
3.2)."""

from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from visiomedia.jit import record

WINDOW_BITS = 2048
"""Indices below the highest that are still told apart. RFC 3711 section 3.3.2 asks for at least 64."""

RTCP_SENDERS = 64
"""SSRCs whose SRTCP replay state one transport keeps; the longest idle gives way, but not within a minute."""


class Cipher(IntEnum):
    """How a session's packets are opened and sealed."""

    NONE = 0
    """No keys yet."""
    AES_GCM = 1
    """Pointers are EVP_CIPHER_CTX."""
    LIBSRTP = 2
    """AES-CM with HMAC-SHA1-80. Pointers are srtp_t, one session each."""
    LIBSRTP_GCM = 3
    """The same with AES-GCM, where there is no EVP. SRTCP's index lies behind the tag, not before it."""


STREAM = record(
    [
        ("highest", "<i8"),  # 48-bit index; -1 before the first packet
        ("window", "<u8", (WINDOW_BITS // 64,)),  # index i is bit i % 2048
    ]
)
"""What indices of one (key, SSRC) have been accepted or sealed. Receive rows: by source; send rows: by
stream."""

RTCP_STREAM = record([("ssrc", "<u4"), ("used", "u1"), ("highest", "<i8"), ("window", "<u8"), ("last", "<i8")])
"""Replay state of one SSRC's SRTCP; ``last``: monotonic ns of the last packet accepted."""

SESSION = record(
    [
        ("cipher", "u1"),
        ("receive_rtp", "<u8"),
        ("receive_rtcp", "<u8"),
        ("send_rtp", "<u8"),
        ("send_rtcp", "<u8"),
        ("receive_rtp_salt", "u1", (12,)),
        ("receive_rtcp_salt", "u1", (12,)),
        ("send_rtp_salt", "u1", (12,)),
        ("send_rtcp_salt", "u1", (12,)),
        (
            "rtcp_index",
            "<i8",
        ),  # next SRTCP index to seal with: one counter for all of our SSRCs under this key
        ("rtcp_streams", RTCP_STREAM, (RTCP_SENDERS,)),
    ]
)
"""One transport's keys."""


class SrtpTables(NamedTuple):
    """``sessions``: (transports,) SESSION; ``receive``: (sources,) STREAM; ``send``: (streams,) STREAM;
    ``scratch``: (4096,) uint8 for IVs, tags, lengths and trial openings."""

    sessions: NDArray[Any]
    receive: NDArray[Any]
    send: NDArray[Any]
    scratch: NDArray[np.uint8]


def make_srtp_tables(transports: int, sources: int, streams: int) -> SrtpTables:
    """Empty tables, allocated once."""
    tables = SrtpTables(
        np.zeros(transports, SESSION),
        np.zeros(sources, STREAM),
        np.zeros(streams, STREAM),
        np.zeros(4096, np.uint8),
    )
    tables.receive["highest"] = -1
    tables.send["highest"] = -1
    return tables

"""Transports in the packet plane: one row a peer's transport, packets held for SSRCs not bound yet, rows handed up."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from visiomedia.batch import DROP_REASONS, MAX_DATAGRAM
from visiomedia.jit import record
from visiomedia.lookup import Lookup, make_lookup

TRANSPORT = record(
    [
        ("in_use", "u1"),
        ("generation", "<i4"),
        ("path", "<i4"),  # where what we send goes; -1 before a pair is nominated
        ("rtcp_ssrc", "<u4"),  # the SSRC that our receiver reports and feedback speak as
        ("takes_reduced_size", "u1"),  # rtcp-rsize: RFC 5506
        ("held", "<i4"),  # packets held now
        ("report_at", "<i8"),  # monotonic ns of the next receiver report
        ("received_packets", "<i8"),
        ("received_bytes", "<i8"),
        ("sent_packets", "<i8"),
        ("sent_bytes", "<i8"),
        ("dropped", "<i8", (DROP_REASONS,)),
    ]
)

HELD_PER_TRANSPORT = 100
HELD_NS = 1_000_000_000
"""A packet of an SSRC that nothing has bound waits this long, at most a hundred a transport."""

HELD = record(
    [
        ("in_use", "u1"),
        ("released", "u1"),
        ("socket", "<u2"),
        ("port", "<u2"),
        ("address", "u1", (16,)),
        ("transport", "<i4"),
        ("ssrc", "<u4"),
        ("length", "<i4"),
        ("arrival", "<i8"),
        ("body", "u1", (MAX_DATAGRAM,)),
    ]
)
"""A sealed packet that waits for its SSRC to be bound."""

HANDED = record(
    [
        ("kind", "u1"),  # RowKind
        ("socket", "<u2"),
        ("port", "<u2"),
        ("address", "u1", (16,)),
        ("path", "<i4"),
        ("transport", "<i4"),
        ("generation", "<i4"),
        ("flow", "<i4"),  # whose share of the ring it counts to
        ("length", "<i4"),
        ("arrival", "<i8"),
        ("body", "u1", (MAX_DATAGRAM,)),
    ]
)
"""A row handed up: STUN and DTLS as they came, RTP of an unknown SSRC and RTCP opened."""

MAX_USERNAME = 96
"""A check whose username is longer is never answered in the turn."""

CHECK = record(
    [
        ("username_length", "<i4"),  # 0: not armed
        ("username", "u1", (MAX_USERNAME,)),
        ("inner", "u1", (64,)),  # HMAC-SHA1's key, padded and masked (RFC 2104)
        ("outer", "u1", (64,)),
        ("heard", "<i8"),  # monotonic ns of the last one that was answered here; 0 before
        ("answered", "<i8"),  # since the start, of every address that has had the row
    ]
)
"""What a path's connectivity checks say once its pair is selected."""

HANDED_FLOWS = 256

HANDED_WRITTEN, HANDED_READ, HANDED_SETTLED = 0, 1, 2
"""Places in ``TransportTables.handed_state``."""


class TransportTables(NamedTuple):
    """``transports``: (capacity,) TRANSPORT; ``ssrcs``: (transport, SSRC, 0) to source row; ``held``: (slots,) HELD;
    ``held_state``: (1,) how many are in use; ``handed``: (slots,) HANDED ring; ``handed_state``: (3,) rows
    written by the turn, read by the session plane, and of those read the ones whose place is free again;
    ``handed_flows``: (256,) rows in the ring by flow; ``drops``: (DROP_REASONS,) datagrams received since
    the start, by what became of them, a held one once it is let go; ``unsent``: (DROP_REASONS,) the same of out rows;
    ``checks``: (paths,) CHECK; ``check_scratch``: (1024,) for digests.
    """

    transports: NDArray[Any]
    ssrcs: Lookup
    held: NDArray[Any]
    held_state: NDArray[np.int64]
    handed: NDArray[Any]
    handed_state: NDArray[np.int64]
    handed_flows: NDArray[np.int64]
    drops: NDArray[np.int64]
    unsent: NDArray[np.int64]
    checks: NDArray[Any]
    check_scratch: NDArray[np.uint8]


def make_transport_tables(
    transports: int, sources: int, held: int = 1024, handed: int = 512, paths: int = 1
) -> TransportTables:
    """Empty tables, allocated once."""
    return TransportTables(
        np.zeros(transports, TRANSPORT),
        make_lookup(sources),
        np.zeros(held, HELD),
        np.zeros(1, np.int64),
        np.zeros(handed, HANDED),
        np.zeros(3, np.int64),
        np.zeros(HANDED_FLOWS, np.int64),
        np.zeros(DROP_REASONS, np.int64),
        np.zeros(DROP_REASONS, np.int64),
        np.zeros(paths, CHECK),
        np.zeros(1024, np.uint8),
    )

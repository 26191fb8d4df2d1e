"""RTP state of the packet plane: what ids and payload types mean to a transport, what a source has delivered."""

from enum import IntEnum

from visiomedia.batch import EXTENSION_KINDS
from visiomedia.jit import record

EXTENSION_MAP = record(
    [
        ("kind_of_id", "u1", (256,)),  # ExtensionKind of what the peer sends
        ("id_of_kind", "u1", (EXTENSION_KINDS,)),  # id under which the peer takes a kind; 0 where it does not
        ("takes_mixed", "u1"),  # extmap-allow-mixed: two-byte headers may be sent (RFC 8285 section 6)
    ]
)
"""Row: transport. BUNDLE gives one meaning to an id in all of a transport's sections (RFC 8843 section 9.2)."""

NO_PRIMARY = 255

PAYLOAD_TYPE = record(
    [
        ("codec", "u1"),  # rtp.payload.Codec, 0 where the payload type was not negotiated
        ("is_audio", "u1"),
        ("primary", "u1"),  # for RTX the payload type it repairs (apt), else NO_PRIMARY
        ("clock_rate", "<u4"),
    ]
)
"""(transports, 128): what a payload type that the peer sends means."""

RECEPTION = record(
    [
        ("highest", "<i8"),  # 48-bit index; -1 before the first packet
        ("first", "<i8"),
        ("received", "<i8"),
        ("bytes_received", "<i8"),
        ("expected_prior", "<i8"),
        ("received_prior", "<i8"),
        ("transit", "<i8"),  # RFC 3550 A.8, in RTP ticks
        ("jitter", "<f8"),  # RFC 3550 A.8, in RTP ticks
        ("last_arrival", "<i8"),
        ("sender_report_ntp", "<u8"),  # of the last SR; 0 before one
        ("sender_report_timestamp", "<u4"),
        ("sender_report_arrival", "<i8"),
        ("clock_rate", "<u4"),
    ]
)
"""Row: source. RFC 3550 appendix A."""

NACK_PENDING = 256
"""Lost packets that one source waits for; more at once asks for a key frame instead."""

NACK_LIST = record(
    [
        ("highest", "<i8"),  # -1 before the first packet
        ("count", "<i4"),
        ("overflowed", "u1"),  # since last asked: repair by NACK is hopeless, a key frame is wanted
        ("index", "<i8", (NACK_PENDING,)),
        ("noticed", "<i8", (NACK_PENDING,)),  # monotonic ns
        ("requested", "<i8", (NACK_PENDING,)),  # monotonic ns of the last request, 0 before the first
        ("tries", "u1", (NACK_PENDING,)),
    ]
)
"""Row: source. What is missing and when it was asked for."""


class FeedbackKind(IntEnum):
    """What one item of a received RTCP compound says. ``values`` by kind."""

    SENDER_REPORT = 1  # ntp, rtp timestamp, packet count, octet count
    REPORT_BLOCK = 2  # fraction lost (0-255), cumulative lost, extended highest, jitter, LSR, DLSR
    NACK = 3  # PID, BLP
    KEY_FRAME_REQUEST = 4  # PLI or FIR: 0 or 1, and FIR's sequence number
    GOODBYE = 5
    OTHER = 6  # packet type, format: somebody above may want the compound


FEEDBACK = record(
    [
        ("kind", "u1"),
        ("row", "<i4"),  # the batch row it came in
        ("transport", "<i4"),
        ("sender_ssrc", "<u4"),
        ("media_ssrc", "<u4"),
        ("values", "<i8", (6,)),
    ]
)
"""One item of an RTCP compound."""

COMPOUND_ITEMS = 128
"""Items taken of one compound, so that none crowds out those of others: a browser's NACK has a few dozen pairs."""

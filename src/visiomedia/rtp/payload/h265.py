"""H.265 payloads (RFC 7798): NAL units alone, aggregated (AP) or in fragments (FU); only what a forwarder asks."""

from enum import IntEnum


class H265NalType(IntEnum):
    """NAL unit types that matter here (H.265 table 7-1, RFC 7798 section 4.4)."""

    FIRST_RANDOM_ACCESS = 16
    LAST_RANDOM_ACCESS = 21
    VPS = 32
    SPS = 33
    PPS = 34
    AGGREGATION = 48
    FRAGMENTATION = 49


def _starts_key_frame(nal_type: int) -> bool:
    is_random_access = H265NalType.FIRST_RANDOM_ACCESS <= nal_type <= H265NalType.LAST_RANDOM_ACCESS
    return is_random_access or nal_type in (H265NalType.VPS, H265NalType.SPS)


def is_key_frame(payload: bytes) -> bool:
    """Whether a VPS, an SPS or a random access picture begins in a payload; False for garbage.

    An aggregate is told by the types inside it as far as they are there. DONL fields are not expected: they are used
    only with ``sprop-max-don-diff``, which browsers do not send.
    """
    if len(payload) < 3:
        return False
    nal_type = payload[0] >> 1 & 0x3F
    if nal_type == H265NalType.FRAGMENTATION:
        return payload[2] >= 0x80 and _starts_key_frame(payload[2] & 0x3F)
    if nal_type != H265NalType.AGGREGATION:
        return _starts_key_frame(nal_type)
    at = 2
    while at + 3 <= len(payload):
        size = payload[at] << 8 | payload[at + 1]
        if size and _starts_key_frame(payload[at + 2] >> 1 & 0x3F):
            return True
        at += 2 + size
    return False


def begins_unit(payload: bytes) -> bool:
    """Whether NAL units begin in a payload: it is no later fragment. Units of one frame are not told apart."""
    if len(payload) < 3:
        return False
    return payload[0] >> 1 & 0x3F != H265NalType.FRAGMENTATION or payload[2] >= 0x80

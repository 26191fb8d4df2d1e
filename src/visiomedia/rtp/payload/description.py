"""What a forwarder must know of a payload: does a frame begin here, and can decoding begin here?"""

from visiomedia.errors import ParseError
from visiomedia.rtp.payload import av1, h264, h265, vp8, vp9
from visiomedia.rtp.payload.codec import Codec


def starts_frame(codec: Codec, payload: bytes) -> bool:
    """Whether a payload is the first of a frame, as far as it tells; False for garbage.

    H.264 and H.265 tell only that a payload is no later fragment; of VP9 each spatial layer is a frame. Sound begins
    in every packet.
    """
    if not payload:
        return False
    match codec:
        case Codec.VP8:
            return _vp8_frame(payload) is not None
        case Codec.VP9:
            return vp9.starts_frame(payload)
        case Codec.H264:
            return h264.begins_unit(payload)
        case Codec.H265:
            return h265.begins_unit(payload)
        case Codec.AV1:
            # Z: the first element goes on from the packet before.
            return not payload[0] & 0x80
    return True


def is_key_frame(codec: Codec, payload: bytes) -> bool:
    """Whether a payload is the first of a frame that needs no other; False for garbage and for sound."""
    match codec:
        case Codec.VP8:
            frame = _vp8_frame(payload)
            return frame is not None and vp8.is_key_frame(frame)
        case Codec.VP9:
            return vp9.starts_key_frame(payload)
        case Codec.H264:
            return h264.is_key_frame(payload)
        case Codec.H265:
            return h265.is_key_frame(payload)
        case Codec.AV1:
            return av1.is_key_frame(payload)
    return False


def _vp8_frame(payload: bytes) -> bytes | None:
    """The frame's first bytes where it begins in this payload."""
    try:
        descriptor, rest = vp8.Vp8Descriptor.parse(payload)
    except ParseError:
        return None
    return rest if descriptor.starts_frame and rest else None

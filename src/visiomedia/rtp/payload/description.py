"""What a forwarder must know of a payload: does a frame begin here, and can decoding begin here?"""

from visiomedia.errors import ParseError
from visiomedia.rtp.payload import av1, h264, vp8, vp9
from visiomedia.rtp.payload.codec import Codec


def starts_frame(codec: Codec, payload: bytes) -> bool:
    """Whether a payload is the first of a frame, as far as it tells; False for garbage."""
    if not payload:
        return False
    try:
        match codec:
            case Codec.VP8:
                descriptor, rest = vp8.Vp8Descriptor.parse(payload)
                return descriptor.starts_frame and bool(rest)
            case Codec.VP9:
                return vp9.Vp9Descriptor.parse(payload)[0].starts_frame
            case Codec.H264:
                # Only a fragment can tell that it is not; units of one frame are not told apart.
                return h264.nal_type(payload) != h264.NalType.FU_A or (len(payload) > 1 and bool(payload[1] & 0x80))
            case Codec.AV1:
                return not av1.AggregationHeader.parse(payload).continues_previous
    except ParseError:
        return False
    return True


def is_key_frame(codec: Codec, payload: bytes) -> bool:
    """Whether a payload is the first of a frame that needs no other; False for garbage and for audio."""
    if not payload:
        return False
    try:
        match codec:
            case Codec.VP8:
                descriptor, rest = vp8.Vp8Descriptor.parse(payload)
                return descriptor.starts_frame and vp8.is_key_frame(rest)
            case Codec.VP9:
                return vp9.Vp9Descriptor.parse(payload)[0].starts_key_frame
            case Codec.H264:
                return _is_h264_key(payload)
            case Codec.AV1:
                header = av1.AggregationHeader.parse(payload)
                return header.starts_coded_video_sequence and not header.continues_previous
    except ParseError:
        return False
    return False


def _is_h264_key(payload: bytes) -> bool:
    match h264.nal_type(payload):
        case h264.NalType.STAP_A:
            return any(h264.nal_type(unit) in h264.STARTS_KEY_FRAME for unit in h264.aggregated_units(payload))
        case h264.NalType.FU_A:
            return len(payload) > 1 and bool(payload[1] & 0x80) and payload[1] & 0x1F in h264.STARTS_KEY_FRAME
        case kind:
            return kind in h264.STARTS_KEY_FRAME

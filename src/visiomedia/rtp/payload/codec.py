"""Codecs by number in the packet plane's columns, by name in SDP."""

from enum import IntEnum


class Codec(IntEnum):
    """What a payload type carries."""

    UNKNOWN = 0
    OPUS = 1
    VP8 = 2
    VP9 = 3
    H264 = 4
    AV1 = 5
    H265 = 6
    RED = 7
    PCMU = 8
    PCMA = 9
    RTX = 10

    @property
    def is_audio(self) -> bool:
        """Whether it is sound."""
        return self in (Codec.OPUS, Codec.RED, Codec.PCMU, Codec.PCMA)


def codec_from_name(name: str) -> Codec:
    """The codec of an ``a=rtpmap`` name, in any case; UNKNOWN for one that is not known."""
    try:
        return Codec[name.upper()]
    except KeyError:
        return Codec.UNKNOWN

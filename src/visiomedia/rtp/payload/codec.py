"""Codecs by number in the packet plane's columns, by name in SDP (RFC 3551, RFC 4588, RFC 7587)."""

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

    @property
    def encoding_name(self) -> str:
        """As ``a=rtpmap`` writes it; empty for UNKNOWN."""
        if self is Codec.UNKNOWN:
            return ""
        return self.name.lower() if self in (Codec.OPUS, Codec.RED, Codec.RTX) else self.name

    @property
    def clock_rate(self) -> int:
        """Ticks of the RTP timestamp a second, 0 for UNKNOWN. RED and RTX: of the audio and video of browsers."""
        if self in (Codec.OPUS, Codec.RED):
            # RFC 7587 section 4.1: 48 kHz whatever the sampling rate.
            return 48_000
        if self in (Codec.PCMU, Codec.PCMA):
            return 8_000
        return 0 if self is Codec.UNKNOWN else 90_000


def codec_from_name(name: str) -> Codec:
    """The codec of an ``a=rtpmap`` name, in any case; UNKNOWN for one that is not known."""
    return Codec.__members__.get(name.upper(), Codec.UNKNOWN)

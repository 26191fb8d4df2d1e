"""Opus packets: what the table-of-contents byte says (RFC 6716 section 3.1), and Opus over RTP (RFC 7587)."""

from dataclasses import dataclass
from enum import Enum

from visiomedia.errors import ParseError

CLOCK_RATE = 48_000
MAX_SAMPLES = 5760
"""120 ms: no packet is longer."""

_SILK_DURATIONS = (480, 960, 1920, 2880)
_HYBRID_DURATIONS = (480, 960)
_CELT_DURATIONS = (120, 240, 480, 960)


class OpusMode(Enum):
    """What codes the sound."""

    SILK = "silk"
    HYBRID = "hybrid"
    CELT = "celt"


class OpusBandwidth(Enum):
    """How much of the spectrum is coded: the highest frequency in Hz (RFC 6716 section 2, table 1)."""

    NARROW = 4_000
    MEDIUM = 6_000
    WIDE = 8_000
    SUPER_WIDE = 12_000
    FULL = 20_000


_SILK_BANDWIDTHS = (OpusBandwidth.NARROW, OpusBandwidth.MEDIUM, OpusBandwidth.WIDE)
_HYBRID_BANDWIDTHS = (OpusBandwidth.SUPER_WIDE, OpusBandwidth.FULL)
_CELT_BANDWIDTHS = (OpusBandwidth.NARROW, OpusBandwidth.WIDE, OpusBandwidth.SUPER_WIDE, OpusBandwidth.FULL)


@dataclass(frozen=True, slots=True)
class OpusPacket:
    """One packet's shape. Durations are samples at 48 kHz."""

    mode: OpusMode
    configuration: int
    is_stereo: bool
    frame_count: int
    frame_samples: int

    @property
    def samples(self) -> int:
        """Of the whole packet."""
        return self.frame_count * self.frame_samples

    @property
    def channels(self) -> int:
        """1 or 2."""
        return 2 if self.is_stereo else 1

    @property
    def bandwidth(self) -> OpusBandwidth:
        """What the configuration codes at most."""
        match self.mode:
            case OpusMode.SILK:
                return _SILK_BANDWIDTHS[self.configuration >> 2]
            case OpusMode.HYBRID:
                return _HYBRID_BANDWIDTHS[self.configuration - 12 >> 1]
            case OpusMode.CELT:
                return _CELT_BANDWIDTHS[self.configuration - 16 >> 2]

    @classmethod
    def parse(cls, data: bytes) -> "OpusPacket":
        """The shape that a packet's first bytes tell. Raises: ParseError."""
        if not data:
            raise ParseError("Opus packet", "empty")
        configuration = data[0] >> 3
        if configuration < 12:
            mode, samples = OpusMode.SILK, _SILK_DURATIONS[configuration & 3]
        elif configuration < 16:
            mode, samples = OpusMode.HYBRID, _HYBRID_DURATIONS[configuration & 1]
        else:
            mode, samples = OpusMode.CELT, _CELT_DURATIONS[configuration & 3]
        match data[0] & 3:
            case 0:
                count = 1
            case 3:
                if len(data) < 2:
                    raise ParseError("Opus packet", "frame count is cut short")
                count = data[1] & 0x3F
            case _:
                count = 2
        # RFC 6716 section 3.2.5: "the audio duration contained within a packet MUST NOT exceed 120 ms".
        if count == 0 or count * samples > MAX_SAMPLES:
            raise ParseError("Opus packet", f"{count} frames of {samples} samples")
        return cls(mode, configuration, bool(data[0] & 4), count, samples)


def is_silence(data: bytes) -> bool:
    """Whether a packet says that nothing is sent for now: DTX leaves two bytes at most (RFC 6716 section 2.1.9)."""
    return len(data) <= 2

"""What our side can do with media: codecs, feedback and header extensions, and whether two formats are the same."""

from dataclasses import dataclass

from visiomedia.sdp.attributes import Codec

URN = "urn:ietf:params:rtp-hdrext:"
MID = URN + "sdes:mid"
RID = URN + "sdes:rtp-stream-id"
REPAIRED_RID = URN + "sdes:repaired-rtp-stream-id"
AUDIO_LEVEL = URN + "ssrc-audio-level"
TRANSPORT_WIDE_CC = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
ABS_CAPTURE_TIME = "http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time"
VIDEO_ORIENTATION = "urn:3gpp:video-orientation"
PLAYOUT_DELAY = "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay"
DEPENDENCY_DESCRIPTOR = "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension"

FORWARDED = (AUDIO_LEVEL, ABS_CAPTURE_TIME, VIDEO_ORIENTATION, PLAYOUT_DELAY, DEPENDENCY_DESCRIPTOR)


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What we take. The order of the peer's codecs decides which is used, unless ``prefers_own_order``."""

    audio: tuple[Codec, ...]
    video: tuple[Codec, ...]
    receive_feedback: tuple[str, ...] = ("transport-cc", "ccm fir", "nack", "nack pli")
    """``a=rtcp-fb`` in sections that we receive in."""
    send_feedback: tuple[str, ...] = ("ccm fir", "nack", "nack pli")
    """In sections that we only send in. No transport-cc: what we send carries no transport-wide numbers."""
    receive_extensions: tuple[str, ...] = (MID, RID, REPAIRED_RID, TRANSPORT_WIDE_CC, *FORWARDED)
    send_extensions: tuple[str, ...] = (MID, *FORWARDED)
    takes_rtx: bool = True

    def codecs(self, kind: str) -> tuple[Codec, ...]:
        """Of ``audio`` or ``video``; none of anything else."""
        return {"audio": self.audio, "video": self.video}.get(kind, ())

    def supports(self, kind: str, codec: Codec) -> bool:
        """Whether an offered format is one of ours."""
        return any(is_same_format(own, codec) for own in self.codecs(kind))


def _video(name: str, **parameters: str) -> Codec:
    return Codec(0, name, 90000, 1, {key.replace("_", "-"): value for key, value in parameters.items()})


def _h264(profile: str, mode: str) -> Codec:
    return _video("H264", level_asymmetry_allowed="1", packetization_mode=mode, profile_level_id=profile)


SERVER_CAPABILITIES = Capabilities(
    audio=(Codec(0, "opus", 48000, 2, {"minptime": "10", "useinbandfec": "1"}),),
    video=(
        _video("VP8"),
        _video("VP9", profile_id="0"),
        _video("VP9", profile_id="2"),
        _h264("42e01f", "1"),
        _h264("42001f", "1"),
        _h264("4d001f", "1"),
        _h264("64001f", "1"),
        _h264("42e01f", "0"),
        _h264("42001f", "0"),
        _video("AV1"),
    ),
)
"""What a server that forwards takes: every codec whose key frames it can tell."""


def is_same_format(one: Codec, other: Codec) -> bool:
    """Whether two formats can carry the same stream, their payload types apart."""
    if one.name.lower() != other.name.lower() or one.clock_rate != other.clock_rate:
        return False
    if one.channels != other.channels:
        return False
    match one.name.upper():
        case "H264":
            same_mode = one.parameters.get("packetization-mode", "0") == other.parameters.get("packetization-mode", "0")
            return same_mode and _h264_profile(one) == _h264_profile(other)
        case "VP9":
            return one.parameters.get("profile-id", "0") == other.parameters.get("profile-id", "0")
        case "AV1":
            return one.parameters.get("profile", "0") == other.parameters.get("profile", "0")
    return True


def _h264_profile(codec: Codec) -> str:
    """The profile of profile-level-id (RFC 6184 section 8.1), its level apart; baseline where none is given."""
    value = codec.parameters.get("profile-level-id", "42000a").lower()
    try:
        profile, constraints = int(value[0:2], 16), int(value[2:4], 16)
    except ValueError:
        return "unknown"
    # Constraint set 1 makes baseline and extended the constrained baseline (table 5).
    if profile in (0x42, 0x58) and constraints & 0x40:
        return "constrained baseline"
    return f"{profile:02x}"

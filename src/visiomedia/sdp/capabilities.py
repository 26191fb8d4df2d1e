"""What our side can do with media: codecs, feedback and header extensions, for each kind and direction."""

from dataclasses import dataclass, field

from visiomedia.sdp.attributes import Codec
from visiomedia.sdp.formats import is_same_format

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

AUDIO_EXTENSIONS = (AUDIO_LEVEL, ABS_CAPTURE_TIME)
VIDEO_EXTENSIONS = (ABS_CAPTURE_TIME, VIDEO_ORIENTATION, PLAYOUT_DELAY, DEPENDENCY_DESCRIPTOR)


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaCapabilities:
    """What we do with audio, or with video. An empty one takes nothing."""

    codecs: tuple[Codec, ...] = ()
    """Best first; their payload types do not matter."""
    takes_rtx: bool = False
    receive_feedback: tuple[str, ...] = ()
    """``a=rtcp-fb`` in sections that we receive in."""
    send_feedback: tuple[str, ...] = ()
    """In sections that we only send in."""
    receive_extensions: tuple[str, ...] = ()
    """URIs of header extensions that we read."""
    send_extensions: tuple[str, ...] = ()
    """URIs of those that we write."""
    extended_reports: tuple[str, ...] = ()
    """``a=rtcp-xr`` formats (RFC 3611 section 5.1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What we take of an offer, and offer."""

    audio: MediaCapabilities = field(default_factory=MediaCapabilities)
    video: MediaCapabilities = field(default_factory=MediaCapabilities)
    prefers_own_order: bool = False
    """Whether the order of our codecs decides, and not that of the peer's."""

    def of(self, kind: str) -> MediaCapabilities:
        """Of ``audio`` or ``video``; nothing of anything else."""
        return {"audio": self.audio, "video": self.video}.get(kind, MediaCapabilities())

    def codecs(self, kind: str) -> tuple[Codec, ...]:
        """Our formats of ``audio`` or ``video``."""
        return self.of(kind).codecs

    def supports(self, kind: str, codec: Codec) -> bool:
        """Whether an offered format is one of ours."""
        return any(is_same_format(own, codec) for own in self.codecs(kind))


def _video(name: str, **parameters: str) -> Codec:
    return Codec(0, name, 90000, 1, {key.replace("_", "-"): value for key, value in parameters.items()})


def _h264(profile: str, mode: str) -> Codec:
    return _video("H264", level_asymmetry_allowed="1", packetization_mode=mode, profile_level_id=profile)


SERVER_CAPABILITIES = Capabilities(
    audio=MediaCapabilities(
        codecs=(Codec(0, "opus", 48000, 2, {"minptime": "10", "useinbandfec": "1"}),),
        receive_feedback=("transport-cc",),
        receive_extensions=(MID, TRANSPORT_WIDE_CC, *AUDIO_EXTENSIONS),
        send_extensions=(MID, *AUDIO_EXTENSIONS),
        extended_reports=("rcvr-rtt=all",),
    ),
    video=MediaCapabilities(
        codecs=(
            _video("VP8"),
            _video("VP9", profile_id="0"),
            _video("VP9", profile_id="2"),
            # The constrained baseline first: there is no receiver of H.264 that lacks it.
            _h264("42e01f", "1"),
            _h264("42001f", "1"),
            _h264("4d001f", "1"),
            _h264("64001f", "1"),
            _h264("42e01f", "0"),
            _h264("42001f", "0"),
            _video("AV1", profile="0"),
        ),
        takes_rtx=True,
        receive_feedback=("transport-cc", "ccm fir", "nack", "nack pli"),
        # No transport-cc, here and among the extensions: what we send carries no transport-wide numbers.
        send_feedback=("ccm fir", "nack", "nack pli"),
        receive_extensions=(MID, RID, REPAIRED_RID, TRANSPORT_WIDE_CC, *VIDEO_EXTENSIONS),
        send_extensions=(MID, *VIDEO_EXTENSIONS),
        extended_reports=("rcvr-rtt=all",),
    ),
)
"""What a server that forwards takes: every codec whose key frames it can tell."""

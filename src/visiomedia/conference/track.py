"""What a participant publishes, as the others are told of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from visiomedia.routing.router import Track as MediaTrack

if TYPE_CHECKING:
    from visiomedia.conference.participant import Participant


class Kind(Enum):
    """Of media."""

    AUDIO = "audio"
    VIDEO = "video"


class Source(Enum):
    """Where media comes from. The values are the words that access tokens use."""

    UNKNOWN = "unknown"
    CAMERA = "camera"
    MICROPHONE = "microphone"
    SCREEN_SHARE = "screen_share"
    SCREEN_SHARE_AUDIO = "screen_share_audio"


class Quality(Enum):
    """Of a video layer, lowest first."""

    LOW = 0
    MEDIUM = 1
    HIGH = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One encoding of a video track, as its publisher announced it."""

    quality: Quality
    width: int = 0
    height: int = 0
    bitrate: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackDescription:
    """What a publisher says of a track before its media come."""

    cid: str
    """The publisher's own name for it, which comes back as the track id of its SDP."""
    kind: Kind
    source: Source = Source.UNKNOWN
    name: str = ""
    stream: str = ""
    """Tracks of one stream are played together."""
    width: int = 0
    height: int = 0
    layers: tuple[Layer, ...] = ()
    """Lowest first."""
    encryption: int = 0
    """End-to-end encryption, in the numbers of whoever encrypts; 0 is none."""
    extras: Mapping[str, object] = field(default_factory=dict)
    """What only clients understand; handed on as it came."""


@dataclass(slots=True, eq=False)
class Track:
    """A track of a participant. It is announced first, and live once its media have a place in the session."""

    sid: str
    publisher: "Participant"
    description: TrackDescription
    is_muted: bool = False
    media: MediaTrack | None = None
    """None until it is live."""
    mid: str = ""
    mime_type: str = ""
    width: int = 0
    height: int = 0
    published_at: float = 0.0
    has_been_received: bool = False
    """Somebody has received it."""

    @property
    def kind(self) -> Kind:
        """Audio or video."""
        return self.description.kind

    @property
    def source(self) -> Source:
        """Where it comes from."""
        return self.description.source

    @property
    def is_live(self) -> bool:
        """Whether others may have it."""
        return self.media is not None

"""Someone in a room."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from visiomedia.conference.grants import Grants
from visiomedia.conference.quality import ConnectionQuality
from visiomedia.conference.track import Track


class ParticipantState(Enum):
    """Of the participant's connection."""

    JOINING = "told of the room; its media do not flow yet"
    ACTIVE = "its media flow"
    DISCONNECTED = "gone"


class ParticipantKind(Enum):
    """What sort of program or person it is. The values are the words that access tokens use."""

    STANDARD = "standard"
    INGRESS = "ingress"
    EGRESS = "egress"
    SIP = "sip"
    AGENT = "agent"


class LeaveReason(Enum):
    """Why a participant is gone."""

    CLIENT_INITIATED = "it left"
    DUPLICATE_IDENTITY = "it joined again from elsewhere"
    SERVER_SHUTDOWN = "the server ends"
    PARTICIPANT_REMOVED = "it was removed"
    ROOM_DELETED = "the room was deleted"
    STATE_MISMATCH = "client and server disagree"
    JOIN_FAILURE = "its media never flowed"
    SIGNAL_CLOSE = "its signalling ended and did not come back"
    CONNECTION_TIMEOUT = "its media connection ended"
    MEDIA_FAILURE = "its media could not be handled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """Who wants to join, as an access token and the client say."""

    identity: str
    grants: Grants
    name: str = ""
    metadata: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
    kind: ParticipantKind = ParticipantKind.STANDARD
    auto_subscribe: bool = True
    client_protocol: int = 0
    """What the client understands of messages between clients; the others are told."""
    capabilities: tuple[int, ...] = ()


@dataclass(slots=True, eq=False)
class Participant:
    """Someone in a room, under a sid that no other stay has."""

    sid: str
    identity: str
    grants: Grants
    joined_at: float
    """Monotonic seconds."""
    name: str = ""
    metadata: str = ""
    attributes: dict[str, str] = field(default_factory=dict)
    kind: ParticipantKind = ParticipantKind.STANDARD
    auto_subscribe: bool = True
    client_protocol: int = 0
    capabilities: tuple[int, ...] = ()
    state: ParticipantState = ParticipantState.JOINING
    version: int = 0
    """Of what the others are told: the higher is the newer."""
    leave_reason: LeaveReason | None = None
    announced: dict[str, Track] = field(default_factory=dict)
    """By cid: tracks without media so far."""
    tracks: dict[str, Track] = field(default_factory=dict)
    """By sid: live ones."""
    quality: ConnectionQuality | None = None
    """Of its connection; None before it was rated."""
    is_publisher: bool = False
    """It has published."""

    @property
    def is_present(self) -> bool:
        """Whether it is in the room."""
        return self.state is not ParticipantState.DISCONNECTED

    def track(self, sid: str) -> Track | None:
        """One of its tracks, live or announced."""
        if sid in self.tracks:
            return self.tracks[sid]
        return next((track for track in self.announced.values() if track.sid == sid), None)

    def may_see(self, other: "Participant") -> bool:
        """Whether it is told of another."""
        return other is self or not other.grants.hidden

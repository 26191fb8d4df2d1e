"""What a room tells: to participants, and to whoever runs it."""

from dataclasses import dataclass

from visiomedia.conference.participant import LeaveReason, Participant
from visiomedia.conference.track import Track


@dataclass(slots=True, eq=False)
class ParticipantsUpdated:
    """These have changed, come or gone; everyone who is told gets the same event."""

    recipients: tuple[Participant, ...]
    participants: tuple[Participant, ...]


@dataclass(slots=True, eq=False)
class RoomUpdated:
    """The room's own properties have changed."""

    recipients: tuple[Participant, ...]


@dataclass(slots=True, frozen=True)
class Speaker:
    """Someone who speaks, or has stopped."""

    participant: Participant
    level: float
    """0 (silent) to 1."""

    @property
    def is_active(self) -> bool:
        """Whether it speaks."""
        return self.level > 0


@dataclass(slots=True, eq=False)
class SpeakersChanged:
    """Who has begun, got louder or softer, or stopped. Those who are as they were are not named."""

    recipients: tuple[Participant, ...]
    speakers: tuple[Speaker, ...]


@dataclass(slots=True, eq=False)
class QualityChanged:
    """How well somebody's network carries media now."""

    recipients: tuple[Participant, ...]
    participant: Participant


@dataclass(slots=True, eq=False)
class DataSent:
    """A message that the recipients' programs understand."""

    recipients: tuple[Participant, ...]
    payload: bytes
    is_reliable: bool


@dataclass(slots=True, eq=False)
class SubscriptionPermissionChanged:
    """Whether the recipient may have a track that it wants."""

    recipient: Participant
    track: Track
    is_allowed: bool


@dataclass(slots=True, eq=False)
class SubscriptionStarted:
    """The recipient is to be sent a track. It has been told of the publisher before."""

    recipient: Participant
    track: Track


@dataclass(slots=True, eq=False)
class SubscriptionEnded:
    """The recipient is to be sent a track no longer."""

    recipient: Participant
    track: Track


@dataclass(slots=True, eq=False)
class TrackReceived:
    """Somebody receives the recipient's track for the first time."""

    recipient: Participant
    track: Track


@dataclass(slots=True, eq=False)
class TrackTaken:
    """The room has ended the recipient's track."""

    recipient: Participant
    track: Track


@dataclass(slots=True, eq=False)
class MuteAsked:
    """The recipient is asked to stop sending a track."""

    recipient: Participant
    track: Track


@dataclass(slots=True, eq=False)
class GrantsChanged:
    """The recipient's name, metadata, attributes or grants have changed: its token is out of date."""

    recipient: Participant


@dataclass(slots=True, eq=False)
class Removed:
    """The recipient is no longer in the room, and not by its own wish."""

    recipient: Participant
    reason: LeaveReason


@dataclass(slots=True, eq=False)
class ParticipantJoined:
    """For whoever runs the room: someone's media flow."""

    participant: Participant


@dataclass(slots=True, eq=False)
class ParticipantLeft:
    """For whoever runs the room: someone is gone."""

    participant: Participant


@dataclass(slots=True, eq=False)
class TrackPublished:
    """For whoever runs the room: a track is live."""

    track: Track


@dataclass(slots=True, eq=False)
class TrackUnpublished:
    """For whoever runs the room: a track that was live has ended."""

    track: Track


@dataclass(slots=True, eq=False)
class RoomClosed:
    """For whoever runs the room: it has ended."""


BroadcastEvent = ParticipantsUpdated | RoomUpdated | SpeakersChanged | QualityChanged | DataSent

PersonalEvent = (
    SubscriptionPermissionChanged
    | SubscriptionStarted
    | SubscriptionEnded
    | TrackReceived
    | TrackTaken
    | MuteAsked
    | GrantsChanged
    | Removed
)

ParticipantEvent = BroadcastEvent | PersonalEvent
"""What participants are told."""

HouseEvent = ParticipantJoined | ParticipantLeft | TrackPublished | TrackUnpublished | RoomClosed
"""What is told to whoever runs the room."""

RoomEvent = ParticipantEvent | HouseEvent

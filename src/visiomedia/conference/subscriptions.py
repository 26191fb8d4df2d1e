"""Subscriptions: who is sent which track. Wishes of subscribers, limits of publishers, grants of both."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from visiomedia.conference.events import (
    RoomEvent,
    SubscriptionEnded,
    SubscriptionPermissionChanged,
    SubscriptionStarted,
)
from visiomedia.conference.participant import Participant
from visiomedia.conference.refusals import Refusal, RefusedError
from visiomedia.conference.track import Quality, Track

MAX_WISHES = 4096
"""Tracks that one subscriber may have said something of: it may name those that do not exist yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackSettings:
    """What a subscriber wants of a track: it looks at it in a small window, or not at all."""

    is_disabled: bool = False
    quality: Quality | None = None
    width: int = 0
    height: int = 0
    frame_rate: int = 0
    priority: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionPolicy:
    """Whom a publisher lets have its tracks."""

    all_participants: bool = True
    all_tracks: frozenset[str] = frozenset()
    """Identities or sids of those who may have every track."""
    tracks: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """By identity or sid: the sids of the tracks that it may have."""

    def allows(self, subscriber: Participant, track: Track) -> bool:
        """Whether the subscriber may have the track."""
        names = (subscriber.identity, subscriber.sid)
        return self.all_participants or any(
            name in self.all_tracks or track.sid in self.tracks.get(name, ()) for name in names
        )


@dataclass(slots=True)
class _Subscriber:
    wishes: dict[str, bool] = field(default_factory=dict)
    settings: dict[str, TrackSettings] = field(default_factory=dict)
    active: set[Track] = field(default_factory=set)
    denied: set[Track] = field(default_factory=set)


class Subscriptions:
    """Of one room. Each change is followed by ``reconcile``, which says what begins and what ends."""

    __slots__ = ("_policies", "_subscribers")

    def __init__(self) -> None:
        self._subscribers: dict[Participant, _Subscriber] = {}
        self._policies: dict[Participant, SubscriptionPolicy] = {}

    def add(self, participant: Participant) -> None:
        """Someone is in the room."""
        self._subscribers[participant] = _Subscriber()

    def remove(self, participant: Participant) -> None:
        """Someone has left."""
        self._subscribers.pop(participant, None)
        self._policies.pop(participant, None)

    def wish(self, subscriber: Participant, sids: Iterable[str], wanted: bool) -> None:
        """The subscriber wants tracks, or does not; they need not exist yet. Raises RefusedError."""
        wishes = self._subscribers[subscriber].wishes
        for sid in sids:
            if sid not in wishes and len(wishes) >= MAX_WISHES:
                raise RefusedError(Refusal.LIMIT_EXCEEDED, "subscriptions of a participant")
            wishes[sid] = wanted

    def set_policy(self, publisher: Participant, policy: SubscriptionPolicy) -> None:
        """Whom the publisher lets have what."""
        self._policies[publisher] = policy

    def set_settings(self, subscriber: Participant, track: Track, settings: TrackSettings) -> None:
        """What the subscriber wants of a track."""
        self._subscribers[subscriber].settings[track.sid] = settings

    def settings(self, subscriber: Participant, track: Track) -> TrackSettings:
        """What the subscriber wants of a track."""
        return self._subscribers[subscriber].settings.get(track.sid, TrackSettings())

    def is_active(self, subscriber: Participant, track: Track) -> bool:
        """Whether the subscriber is to be sent the track."""
        return subscriber in self._subscribers and track in self._subscribers[subscriber].active

    def active(self, subscriber: Participant) -> set[Track]:
        """What the subscriber is to be sent."""
        return set(self._subscribers[subscriber].active)

    def end(self, track: Track) -> list[RoomEvent]:
        """A track has ended."""
        events: list[RoomEvent] = []
        for participant, subscriber in self._subscribers.items():
            subscriber.wishes.pop(track.sid, None)
            subscriber.settings.pop(track.sid, None)
            subscriber.denied.discard(track)
            if track in subscriber.active:
                subscriber.active.discard(track)
                events.append(SubscriptionEnded(participant, track))
        return events

    def reconcile(self, participant: Participant, track: Track) -> list[RoomEvent]:
        """What changes between one subscriber and one live track."""
        subscriber = self._subscribers[participant]
        publisher = track.publisher
        wanted = (
            publisher is not participant
            and participant.grants.can_subscribe
            and not publisher.grants.hidden
            and subscriber.wishes.get(track.sid, participant.auto_subscribe)
        )
        allowed = self._policies.get(publisher, SubscriptionPolicy()).allows(participant, track)
        events: list[RoomEvent] = []
        if wanted and not allowed and track not in subscriber.denied:
            subscriber.denied.add(track)
            events.append(SubscriptionPermissionChanged(participant, track, False))
        if not (wanted and allowed) and track in subscriber.active:
            subscriber.active.discard(track)
            events.append(SubscriptionEnded(participant, track))
        if wanted and allowed and track not in subscriber.active:
            subscriber.denied.discard(track)
            subscriber.active.add(track)
            events.append(SubscriptionPermissionChanged(participant, track, True))
            events.append(SubscriptionStarted(participant, track))
        return events

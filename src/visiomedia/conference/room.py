"""Room: who is there, what they publish, who is told and who is sent what. It knows no wire and no clock."""

import os
from collections.abc import Callable, Iterable, Mapping

from visiomedia.conference.events import (
    DataSent,
    GrantsChanged,
    MuteAsked,
    ParticipantJoined,
    ParticipantLeft,
    ParticipantsUpdated,
    QualityChanged,
    Removed,
    RoomClosed,
    RoomEvent,
    RoomUpdated,
    Speaker,
    SpeakersChanged,
    TrackPublished,
    TrackReceived,
    TrackTaken,
    TrackUnpublished,
)
from visiomedia.conference.grants import Grants
from visiomedia.conference.identifiers import new_identifier
from visiomedia.conference.pacing import Pacer
from visiomedia.conference.participant import Arrival, LeaveReason, Participant, ParticipantState
from visiomedia.conference.quality import ConnectionQuality
from visiomedia.conference.refusals import Refusal, RefusedError
from visiomedia.conference.settings import RoomSettings
from visiomedia.conference.speakers import ActiveSpeakers
from visiomedia.conference.subscriptions import SubscriptionPolicy, Subscriptions, TrackSettings
from visiomedia.conference.track import Kind, Source, Track, TrackDescription
from visiomedia.routing.router import Track as MediaTrack

SOURCE_LETTERS = {
    Source.CAMERA: "C",
    Source.MICROPHONE: "M",
    Source.SCREEN_SHARE: "S",
    Source.SCREEN_SHARE_AUDIO: "s",
    Source.UNKNOWN: "U",
}
"""In sids of tracks: people who read logs are glad of it."""


class Room:
    """A room. After each call its owner drains ``events()`` and re-arms one timer to ``next_timeout()``."""

    def __init__(
        self,
        name: str,
        now: float,
        *,
        settings: RoomSettings | None = None,
        entropy: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self.name = name
        self.sid = new_identifier("RM_", entropy)
        self.settings = settings or RoomSettings()
        self.created_at = now
        self.metadata = ""
        self.is_closed = False
        self.participants: dict[str, Participant] = {}
        """By identity."""
        self.subscriptions = Subscriptions()
        self._tracks: dict[str, Track] = {}
        self._entropy = entropy
        self._speakers = ActiveSpeakers(self.settings.speakers)
        self._events: list[RoomEvent] = []
        self._changed: dict[str, Participant] = {}
        self._starting: dict[Track, None] = {}
        self._participants_pacer = Pacer(self.settings.participant_interval)
        self._room_pacer = Pacer(self.settings.room_interval)
        self._closes_at: float | None = now + self.settings.empty_timeout

    # --- what others ask -----------------------------------------------------------------------------------------

    def events(self) -> list[RoomEvent]:
        """What happened, oldest first; the queue is empty afterwards."""
        events, self._events = self._events, []
        return events

    def next_timeout(self) -> float | None:
        """When ``handle_timeout`` wants to be called, or None."""
        deadlines = (
            self._closes_at,
            self._participants_pacer.next_timeout(),
            self._room_pacer.next_timeout(),
            self._speakers.next_timeout(),
        )
        return min((deadline for deadline in deadlines if deadline is not None), default=None)

    def handle_timeout(self, now: float) -> None:
        """Do what is due at ``now``. Harmless when nothing is."""
        if self._closes_at is not None and now >= self._closes_at:
            self.close(LeaveReason.ROOM_DELETED, now)
            return
        self._flush(now)
        self._tell_speakers(now)

    def visible(self, to: Participant) -> list[Participant]:
        """Everyone else whom a participant is told of."""
        return [other for other in self.participants.values() if other is not to and to.may_see(other)]

    @property
    def participant_count(self) -> int:
        """How many are there, the hidden ones left out."""
        return sum(not participant.grants.hidden for participant in self.participants.values())

    @property
    def publisher_count(self) -> int:
        """How many of those publish."""
        return sum(bool(one.tracks) and not one.grants.hidden for one in self.participants.values())

    @property
    def is_recorded(self) -> bool:
        """Whether somebody is there who records."""
        return any(participant.grants.recorder for participant in self.participants.values())

    def participant_of_sid(self, sid: str) -> Participant | None:
        """Who has a sid."""
        return next((one for one in self.participants.values() if one.sid == sid), None)

    def track(self, sid: str) -> Track | None:
        """A live track."""
        return self._tracks.get(sid)

    def audience(
        self, sender: Participant | None, identities: Iterable[str] = (), sids: Iterable[str] = ()
    ) -> list[Participant]:
        """Who gets a message: those named, or everybody where nobody is; never its sender."""
        named, named_sids = set(identities), set(sids)
        return [
            one
            for one in self.participants.values()
            if one is not sender and (not (named or named_sids) or one.identity in named or one.sid in named_sids)
        ]

    def check_capacity(self, identity: str) -> None:
        """Whether someone finds a place; who is there already has one. Raises RefusedError."""
        limit = self.settings.max_participants
        if limit and identity not in self.participants and len(self.participants) >= limit:
            raise RefusedError(Refusal.LIMIT_EXCEEDED, "participants of the room")

    # --- coming and going ------------------------------------------------------------------------------------------

    def join(self, arrival: Arrival, now: float) -> Participant:
        """Take someone in. An identity that is there already is replaced: the older stay ends.

        Others are told when its media flow. Raises RefusedError.
        """
        if self.is_closed:
            raise RefusedError(Refusal.NOT_FOUND, "room")
        self.check_capacity(arrival.identity)
        present = self.participants.get(arrival.identity)
        attributes = {key: value for key, value in arrival.attributes.items() if value}
        self._check_sizes(arrival.name, arrival.metadata, attributes)
        if present is not None:
            self.leave(present, LeaveReason.DUPLICATE_IDENTITY, now)
        participant = Participant(
            sid=new_identifier("PA_", self._entropy),
            identity=arrival.identity,
            grants=arrival.grants,
            joined_at=now,
            name=arrival.name,
            metadata=arrival.metadata,
            attributes=attributes,
            kind=arrival.kind,
            auto_subscribe=arrival.auto_subscribe,
            client_protocol=arrival.client_protocol,
            capabilities=arrival.capabilities,
        )
        self.participants[participant.identity] = participant
        self.subscriptions.add(participant)
        self._closes_at = None
        for other in self.visible(participant):
            for track in other.tracks.values():
                # Also those that are about to be told: this one learns of them by its welcome.
                self._events += self.subscriptions.reconcile(participant, track)
        if arrival.grants.recorder:
            self._tell_room()
        return participant

    def activate(self, participant: Participant, now: float) -> None:
        """Its media flow. Harmless when they did before."""
        if participant.state is not ParticipantState.JOINING:
            return
        participant.state = ParticipantState.ACTIVE
        self._events.append(ParticipantJoined(participant))
        self._room_pacer.want(now)
        self._change(participant, now)

    def leave(self, participant: Participant, reason: LeaveReason, now: float) -> None:
        """It is gone, with all it published. Harmless when it was."""
        if not participant.is_present:
            return
        for track in list(participant.tracks.values()):
            self._end(track)
        participant.announced.clear()
        was_active = participant.state is ParticipantState.ACTIVE
        participant.state = ParticipantState.DISCONNECTED
        participant.leave_reason = reason
        if self.participants.get(participant.identity) is participant:
            del self.participants[participant.identity]
        self.subscriptions.remove(participant)
        if reason is not LeaveReason.CLIENT_INITIATED:
            self._events.append(Removed(participant, reason))
        if was_active:
            self._events.append(ParticipantLeft(participant))
        if not self.participants and not self.is_closed:
            self._closes_at = now + self.settings.departure_timeout
        if participant.grants.recorder:
            self._tell_room()
        self._room_pacer.want(now)
        if reason is LeaveReason.DUPLICATE_IDENTITY:
            # The others are told of the new stay instead, which takes this one's place under the identity.
            self._changed.pop(participant.identity, None)
        else:
            self._change(participant, now)

    def close(self, reason: LeaveReason, now: float) -> None:
        """End the room: everybody leaves it. Harmless when it has ended."""
        if self.is_closed:
            return
        self.is_closed = True
        for participant in list(self.participants.values()):
            self.leave(participant, reason, now)
        self._closes_at = None
        self._participants_pacer = Pacer(self.settings.participant_interval)
        self._room_pacer = Pacer(self.settings.room_interval)
        self._events.append(RoomClosed())

    # --- tracks ------------------------------------------------------------------------------------------------------

    def announce(self, participant: Participant, description: TrackDescription, *, is_muted: bool = False) -> Track:
        """A participant is about to publish. Nobody is told before the media are there. Raises RefusedError."""
        if not participant.grants.may_publish(description.source):
            raise RefusedError(Refusal.NOT_ALLOWED, f"publishing {description.source.value}")
        known = (track.description.cid for track in participant.tracks.values())
        if description.cid in participant.announced or description.cid in known:
            raise RefusedError(Refusal.DUPLICATE, "track")
        if len(participant.tracks) + len(participant.announced) >= self.settings.max_tracks_of_one:
            raise RefusedError(Refusal.LIMIT_EXCEEDED, "tracks of a participant")
        total = sum(len(one.tracks) + len(one.announced) for one in self.participants.values())
        if self.settings.max_tracks and total >= self.settings.max_tracks:
            raise RefusedError(Refusal.LIMIT_EXCEEDED, "tracks of the room")
        letters = ("A" if description.kind is Kind.AUDIO else "V") + SOURCE_LETTERS[description.source]
        sid = new_identifier(f"TR_{letters}", self._entropy)
        track = Track(sid, participant, description, is_muted, width=description.width, height=description.height)
        participant.announced[description.cid] = track
        return track

    def publish(self, track: Track, media: MediaTrack, now: float, *, mid: str = "", mime_type: str = "") -> None:
        """An announced track's media have a place: it is live, and whoever may have it is sent it."""
        participant = track.publisher
        assert participant.announced.get(track.description.cid) is track, "announced once, published once"
        del participant.announced[track.description.cid]
        track.media, track.mid, track.mime_type, track.published_at = media, mid, mime_type, now
        participant.tracks[track.sid] = self._tracks[track.sid] = track
        participant.is_publisher = True
        self._starting[track] = None
        self._events.append(TrackPublished(track))
        self._room_pacer.want(now)
        self._change(participant, now)

    def unpublish(self, track: Track, now: float) -> None:
        """A track has ended, or its announcement is taken back. Harmless when it had ended."""
        participant = track.publisher
        if participant.announced.get(track.description.cid) is track:
            del participant.announced[track.description.cid]
        elif track.sid in participant.tracks:
            self._end(track)
            self._room_pacer.want(now)
            self._change(participant, now)

    def take(self, track: Track, now: float) -> None:
        """The room ends a track, and tells its publisher."""
        is_known = track.publisher.track(track.sid) is track
        self.unpublish(track, now)
        if is_known:
            self._events.append(TrackTaken(track.publisher, track))

    def set_muted(self, track: Track, is_muted: bool, now: float) -> None:
        """The publisher has stopped sending, or sends again."""
        if track.is_muted == is_muted:
            return
        track.is_muted = is_muted
        if is_muted:
            self._speakers.forget(track)
        if track.is_live:
            self._change(track.publisher, now)

    def ask_to_mute(self, track: Track, now: float) -> None:
        """Somebody else wants a track muted: it counts as muted, and its publisher is asked to stop sending."""
        if not track.is_muted:
            self._events.append(MuteAsked(track.publisher, track))
            self.set_muted(track, True, now)

    def resize(self, track: Track, width: int, height: int, now: float) -> None:
        """A video's size has changed."""
        if (track.width, track.height) != (width, height):
            track.width, track.height = width, height
            if track.is_live:
                self._change(track.publisher, now)

    def _end(self, track: Track) -> None:
        del track.publisher.tracks[track.sid], self._tracks[track.sid]
        self._starting.pop(track, None)
        self._speakers.forget(track)
        self._events += self.subscriptions.end(track)
        self._events.append(TrackUnpublished(track))
        track.media = None

    # --- who is sent what --------------------------------------------------------------------------------------------

    def subscribe(self, participant: Participant, sids: Iterable[str], wanted: bool, now: float) -> None:
        """A participant wants tracks, or does not. Those that do not exist yet begin when they do.

        Raises RefusedError where it names too many.
        """
        wanted_sids = list(sids)
        self.subscriptions.wish(participant, wanted_sids, wanted)
        for sid in wanted_sids:
            track = self.track(sid)
            if track is not None and track not in self._starting:
                self._events += self.subscriptions.reconcile(participant, track)

    def set_subscription_policy(self, publisher: Participant, policy: SubscriptionPolicy) -> None:
        """Whom a publisher lets have its tracks."""
        self.subscriptions.set_policy(publisher, policy)
        for participant in self.participants.values():
            self._reconcile(participant, publisher)

    def set_track_settings(self, participant: Participant, sids: Iterable[str], settings: TrackSettings) -> None:
        """What a subscriber wants of tracks. Those that it is not sent are passed over."""
        for sid in sids:
            track = self.track(sid)
            if track is not None:
                self.subscriptions.set_settings(participant, track, settings)

    def received(self, participant: Participant, track: Track) -> None:
        """A subscriber receives a track."""
        if track.is_live and self.subscriptions.is_active(participant, track) and not track.has_been_received:
            track.has_been_received = True
            self._events.append(TrackReceived(track.publisher, track))

    def send(
        self,
        sender: Participant | None,
        payload: bytes,
        *,
        is_reliable: bool,
        identities: Iterable[str] = (),
        sids: Iterable[str] = (),
    ) -> None:
        """Send a message to those named, or to everybody where nobody is; never back to its sender.

        ``sender``: None is the server itself. Raises RefusedError.
        """
        if sender is not None and not sender.grants.can_publish_data:
            raise RefusedError(Refusal.NOT_ALLOWED, "publishing data")
        recipients = tuple(self.audience(sender, identities, sids))
        if recipients:
            self._events.append(DataSent(recipients, payload, is_reliable))

    # --- properties ------------------------------------------------------------------------------------------------

    def set_metadata(self, metadata: str) -> None:
        """The room's metadata; everybody is told at once. Raises RefusedError."""
        if len(metadata.encode()) > self.settings.max_metadata:
            raise RefusedError(Refusal.LIMIT_EXCEEDED, "metadata of the room")
        self.metadata = metadata
        self._tell_room()

    def update_participant(
        self,
        participant: Participant,
        now: float,
        *,
        name: str | None = None,
        metadata: str | None = None,
        attributes: Mapping[str, str] | None = None,
        grants: Grants | None = None,
    ) -> None:
        """Change what is given. An attribute that becomes empty is deleted; tracks that are no longer allowed end.

        Raises RefusedError.
        """
        merged = dict(participant.attributes) | dict(attributes or {})
        merged = {key: value for key, value in merged.items() if value}
        self._check_sizes(name or "", metadata or "", merged)
        if name is not None:
            participant.name = name
        if metadata is not None:
            participant.metadata = metadata
        participant.attributes = merged
        if grants is not None:
            participant.grants = grants
            self._apply_grants(participant, now)
        self._events.append(GrantsChanged(participant))
        self._change(participant, now)

    def _apply_grants(self, participant: Participant, now: float) -> None:
        for track in (*participant.tracks.values(), *participant.announced.values()):
            if not participant.grants.may_publish(track.source):
                self.take(track, now)
        for other in self.participants.values():
            self._reconcile(participant, other)
            self._reconcile(other, participant)

    def _reconcile(self, subscriber: Participant, publisher: Participant) -> None:
        for track in publisher.tracks.values():
            if track not in self._starting:
                self._events += self.subscriptions.reconcile(subscriber, track)

    def _check_sizes(self, name: str, metadata: str, attributes: Mapping[str, str]) -> None:
        settings = self.settings
        if len(name) > settings.max_name:
            raise RefusedError(Refusal.LIMIT_EXCEEDED, "name of a participant")
        if len(metadata.encode()) > settings.max_metadata:
            raise RefusedError(Refusal.LIMIT_EXCEEDED, "metadata of a participant")
        if sum(len(key.encode()) + len(value.encode()) for key, value in attributes.items()) > settings.max_attributes:
            raise RefusedError(Refusal.LIMIT_EXCEEDED, "attributes of a participant")

    # --- telling -----------------------------------------------------------------------------------------------------

    def hear(self, levels: Mapping[Track, int | None], now: float) -> None:
        """Audio levels of tracks, 0 (loudest) to 127 in -dBov; None where nothing came."""
        for track, level in levels.items():
            if track.is_live and not track.is_muted:
                self._speakers.sample(track, level, now)
        self._tell_speakers(now)

    def speakers(self) -> tuple[Speaker, ...]:
        """Who speaks, as it was last told."""
        return tuple(Speaker(track.publisher, level) for track, level in self._speakers.levels().items())

    def _tell_speakers(self, now: float) -> None:
        loudest: dict[Participant, float] = {}
        changed = self._speakers.decide(now)
        told = self._speakers.levels()
        for track in changed:
            publisher = track.publisher
            own = [level for other, level in told.items() if other.publisher is publisher]
            loudest[publisher] = max(own, default=0.0)
        speakers = tuple(
            Speaker(publisher, level)
            for publisher, level in loudest.items()
            if publisher.is_present and not publisher.grants.hidden
        )
        if speakers:
            self._events.append(SpeakersChanged(tuple(self.participants.values()), speakers))

    def rate(self, participant: Participant, quality: ConnectionQuality) -> None:
        """How well somebody's network carries media; told where it has changed."""
        if participant.is_present and participant.quality is not quality:
            participant.quality = quality
            recipients = tuple(one for one in self.participants.values() if one.may_see(participant))
            self._events.append(QualityChanged(recipients, participant))

    def _tell_room(self) -> None:
        self._events.append(RoomUpdated(tuple(self.participants.values())))

    def _change(self, participant: Participant, now: float) -> None:
        participant.version += 1
        # By identity: of two stays of one person only the later is news.
        self._changed[participant.identity] = participant
        self._participants_pacer.want(now)
        self._flush(now)

    def _flush(self, now: float) -> None:
        if self._participants_pacer.take(now):
            changed, self._changed = tuple(self._changed.values()), {}
            self._tell_participants(changed)
            # Only now: a client drops a track of someone whom it does not know.
            starting, self._starting = self._starting, {}
            for track in starting:
                for participant in self.participants.values():
                    self._events += self.subscriptions.reconcile(participant, track)
        if self._room_pacer.take(now):
            self._tell_room()

    def _tell_participants(self, changed: tuple[Participant, ...]) -> None:
        present = tuple(self.participants.values())
        for_all = tuple(one for one in changed if not one.grants.hidden)
        if for_all and present:
            self._events.append(ParticipantsUpdated(present, for_all))
        for one in changed:
            if one.grants.hidden and one.is_present:
                self._events.append(ParticipantsUpdated((one,), (one,)))

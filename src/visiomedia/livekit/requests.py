"""Requests of a client that touch the room only: tracks, subscriptions, its own metadata."""

from collections import Counter

from livekit.protocol import rtc

from visiomedia.conference.participant import Participant
from visiomedia.conference.refusals import Refusal, RefusedError
from visiomedia.conference.room import Room
from visiomedia.conference.subscriptions import SubscriptionPolicy, TrackSettings
from visiomedia.errors import ParseError
from visiomedia.livekit.messages import QUALITY_OF, Messages, description

REASONS = {
    Refusal.NOT_ALLOWED: rtc.RequestResponse.NOT_ALLOWED,
    Refusal.NOT_FOUND: rtc.RequestResponse.NOT_FOUND,
    Refusal.LIMIT_EXCEEDED: rtc.RequestResponse.LIMIT_EXCEEDED,
    Refusal.DUPLICATE: rtc.RequestResponse.QUEUED,
    Refusal.UNSUPPORTED: rtc.RequestResponse.UNSUPPORTED_TYPE,
}


class Requests:
    """Carries out one participant's requests."""

    __slots__ = ("_counters", "_messages", "_participant", "_room")

    def __init__(self, room: Room, participant: Participant, messages: Messages, counters: Counter[str]) -> None:
        self._room = room
        self._participant = participant
        self._messages = messages
        self._counters = counters

    def handle(self, request: rtc.SignalRequest, now: float) -> rtc.SignalResponse | None:
        """Carry out a request; returns the answer, where there is one. What is unknown is passed over.

        Raises ParseError where it makes no sense.
        """
        refused = rtc.RequestResponse()
        try:
            match request.WhichOneof("message"):
                case "add_track":
                    refused.add_track.CopyFrom(request.add_track)
                    return self._add_track(request.add_track)
                case "mute":
                    refused.mute.CopyFrom(request.mute)
                    self._mute(request.mute, now)
                case "update_metadata":
                    refused.request_id = request.update_metadata.request_id
                    refused.update_metadata.CopyFrom(request.update_metadata)
                    return self._update_metadata(request.update_metadata, now)
                case "update_video_track":
                    refused.update_video_track.CopyFrom(request.update_video_track)
                    self._resize(request.update_video_track, now)
                case "subscription":
                    self._subscribe(request.subscription, now)
                case "track_setting":
                    self._set_track_settings(request.track_setting)
                case "subscription_permission":
                    self._restrict(request.subscription_permission)
                case "sync_state":
                    self._synchronize(request.sync_state, now)
        except RefusedError as error:
            self._counters["requests_refused"] += 1
            if refused.WhichOneof("request") is not None:
                refused.reason = REASONS[error.refusal]
                refused.message = str(error)
                return rtc.SignalResponse(request_response=refused)
        return None

    def _add_track(self, request: rtc.AddTrackRequest) -> rtc.SignalResponse:
        if not request.cid:
            raise ParseError("AddTrackRequest", "cid is missing")
        if request.sid:
            raise RefusedError(Refusal.UNSUPPORTED, "a second encoding of a track")
        track = self._room.announce(self._participant, description(request), is_muted=request.muted)
        published = rtc.TrackPublishedResponse(cid=request.cid, track=self._messages.track(track))
        return rtc.SignalResponse(track_published=published)

    def _mute(self, request: rtc.MuteTrackRequest, now: float) -> None:
        track = self._participant.track(request.sid)
        if track is None:
            raise RefusedError(Refusal.NOT_FOUND, "track")
        self._room.set_muted(track, request.muted, now)

    def _update_metadata(self, request: rtc.UpdateParticipantMetadata, now: float) -> rtc.SignalResponse:
        if not self._participant.grants.can_update_own_metadata:
            raise RefusedError(Refusal.NOT_ALLOWED, "updating one's own metadata")
        # Clients send the whole of it, what has not changed as well; an empty text leaves things as they are.
        self._room.update_participant(
            self._participant,
            now,
            name=request.name or None,
            metadata=request.metadata or None,
            attributes=dict(request.attributes),
        )
        # The Rust SDK waits for a yes as well.
        done = rtc.RequestResponse(request_id=request.request_id, update_metadata=request)
        return rtc.SignalResponse(request_response=done)

    def _resize(self, request: rtc.UpdateLocalVideoTrack, now: float) -> None:
        track = self._participant.track(request.track_sid)
        if track is None:
            raise RefusedError(Refusal.NOT_FOUND, "track")
        self._room.resize(track, request.width, request.height, now)

    def _subscribe(self, request: rtc.UpdateSubscription, now: float) -> None:
        # Clients write the same sids in both places; older ones in the first only.
        sids = dict.fromkeys(request.track_sids)
        for tracks in request.participant_tracks:
            sids |= dict.fromkeys(tracks.track_sids)
        self._room.subscribe(self._participant, sids, request.subscribe, now)

    def _set_track_settings(self, request: rtc.UpdateTrackSettings) -> None:
        settings = TrackSettings(
            is_disabled=request.disabled,
            quality=QUALITY_OF.get(request.quality),
            width=request.width,
            height=request.height,
            frame_rate=request.fps,
            priority=request.priority,
        )
        self._room.set_track_settings(self._participant, request.track_sids, settings)

    def _restrict(self, request: rtc.SubscriptionPermission) -> None:
        named = [(one.participant_identity or one.participant_sid, one) for one in request.track_permissions]
        policy = SubscriptionPolicy(
            all_participants=request.all_participants,
            all_tracks=frozenset(name for name, one in named if one.all_tracks),
            tracks={name: frozenset(one.track_sids) for name, one in named if not one.all_tracks},
        )
        self._room.set_subscription_policy(self._participant, policy)

    def _synchronize(self, state: rtc.SyncState, now: float) -> None:
        """After a resume: what the client thinks. Its descriptions are ours still; its wishes may be newer."""
        disabled = TrackSettings(is_disabled=True)
        self._room.set_track_settings(self._participant, state.track_sids_disabled, disabled)
        self._subscribe(state.subscription, now)

"""One client's session of signalling (``/rtc``: two peer connections). Requests go in, responses come out; it knows
neither sockets nor a clock. It outlives its websocket: a client may come back and go on."""

import json
import logging
import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from livekit.protocol import rtc

from visiomedia.conference.events import (
    DataSent,
    GrantsChanged,
    MuteAsked,
    ParticipantEvent,
    ParticipantsUpdated,
    QualityChanged,
    Removed,
    RoomUpdated,
    SpeakersChanged,
    SubscriptionEnded,
    SubscriptionPermissionChanged,
    SubscriptionStarted,
    TrackReceived,
    TrackTaken,
)
from visiomedia.conference.participant import LeaveReason, Participant, ParticipantState
from visiomedia.conference.quality import ConnectionQuality, quality_of
from visiomedia.conference.room import Room
from visiomedia.conference.track import Kind
from visiomedia.errors import ParseError, VisiomediaError
from visiomedia.livekit import messages
from visiomedia.livekit.client import Client
from visiomedia.livekit.data import DataExchange
from visiomedia.livekit.messages import Messages
from visiomedia.livekit.peers import OfferingPeer, PeerFactory
from visiomedia.livekit.publishing import Publishing
from visiomedia.livekit.requests import Requests
from visiomedia.livekit.settings import LiveKitSettings
from visiomedia.livekit.subscribing import Subscribing
from visiomedia.livekit.tokens import AccessToken, refresh
from visiomedia.sdp.description import SessionDescription

logger = logging.getLogger(__name__)

KEPT = {"mute", "track_unpublished"}
"""Responses that a client needs even where its websocket was cut when they were made."""

MAX_KEPT = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """What all sessions of a service share."""

    settings: LiveKitSettings
    messages: Messages
    peers: PeerFactory
    secrets: dict[str, str]
    """By API key."""
    counters: Counter[str]
    entropy: Callable[[int], bytes] = os.urandom


@dataclass(slots=True)
class _Deadlines:
    """Monotonic seconds; None is never."""

    media: float | None = None
    answer: float | None = None
    heard: float | None = None
    resume: float | None = None
    refresh: float | None = None

    def earliest(self) -> float | None:
        every = (self.media, self.answer, self.heard, self.resume, self.refresh)
        return min((deadline for deadline in every if deadline is not None), default=None)


class SignalSession:
    """After each call its owner sends ``messages_to_send()`` and re-arms one timer to ``next_timeout()``."""

    def __init__(
        self,
        house: House,
        room: Room,
        participant: Participant,
        token: AccessToken,
        client: Client,
        *,
        now: float,
        monotonic: Callable[[], float],
        changed: Callable[[], None],
    ) -> None:
        """Args:
        monotonic: the clock, for what peer connections say of themselves.
        changed: is called when something has happened that no call of the owner's has caused.
        """
        self.room = room
        self.participant = participant
        self.is_over = False
        """It has said goodbye: its last message is a leave, and nothing follows."""
        self.is_attached = True
        """A websocket is there."""
        self._house = house
        self._token = token
        self._monotonic = monotonic
        self._changed = changed
        self._outbox: list[rtc.SignalResponse] = []
        self._kept: list[rtc.SignalResponse] = []
        self._trickled: set[int] = set()
        self._connected: set[int] = set()
        self._quality_at = 0.0
        self._is_primary_subscriber = participant.grants.can_subscribe and client.takes_subscriber_first
        self._deadlines = _Deadlines(media=now + house.settings.join_timeout)
        publisher = house.peers.publisher(self._publisher_connected, self._peer_closed)
        subscriber = house.peers.subscriber(self._subscriber_connected, self._peer_closed)
        self._publishing = Publishing(room, participant, publisher)
        self._subscribing = Subscribing(subscriber, int.from_bytes(house.entropy(1), "big"))
        self._data = DataExchange(
            room,
            participant,
            house.counters,
            max_buffered=house.settings.max_buffered,
            max_lossy_buffered=house.settings.max_lossy_buffered,
            after=changed,
        )
        self._requests = Requests(room, participant, house.messages, house.counters)
        publisher.on_data_channel = self._data.accept_channel
        self._welcome(now)
        if self._is_primary_subscriber:
            self._open_channels(subscriber, now)
        # Channels for data only: tracks that are there follow once it is answered, as clients are used to.
        self._offer()

    # --- what the owner calls ---------------------------------------------------------------------

    def messages_to_send(self) -> list[rtc.SignalResponse]:
        """What wants to leave, oldest first; the queue is empty afterwards."""
        if self.is_attached and not self.is_over:
            self._offer()
        outbox, self._outbox = self._outbox, []
        return outbox

    def next_timeout(self) -> float | None:
        """When ``handle_timeout`` wants to be called, or None."""
        return None if self.is_over else self._deadlines.earliest()

    def handle_timeout(self, now: float) -> None:
        """Do what is due at ``now``. Harmless when nothing is."""
        due = self._deadlines
        if self.is_over:
            return
        if due.media is not None and now >= due.media:
            self._end(LeaveReason.JOIN_FAILURE, now)
        elif due.answer is not None and now >= due.answer:
            self._count("answer_timeouts")
            self._end(LeaveReason.STATE_MISMATCH, now)
        elif due.resume is not None and now >= due.resume:
            self._end(LeaveReason.SIGNAL_CLOSE, now)
        if due.refresh is not None and now >= due.refresh:
            self._refresh_token(now)

    def has_lost_signal(self, now: float) -> bool:
        """Whether a client that used to ping has been silent for too long: its websocket is worth nothing."""
        return self.is_attached and self._deadlines.heard is not None and now >= self._deadlines.heard

    def detach(self, now: float) -> None:
        """The websocket has ended. While media flow the participant stays for some time."""
        if self.is_over or not self.is_attached:
            return
        self.is_attached = False
        self._outbox.clear()
        self._deadlines.heard = self._deadlines.answer = self._deadlines.refresh = None
        if self._connected:
            self._deadlines.resume = now + self._house.settings.resume_timeout
        else:
            self._end(LeaveReason.SIGNAL_CLOSE, now)

    def resume(self, token: AccessToken, now: float) -> None:
        """The client is back with another websocket: tell it all that may have changed."""
        self._token = token
        self._outbox.clear()
        self.is_attached = True
        self._deadlines.resume = None
        self._send(self._house.messages.reconnect(self._data.last_sequence))
        everyone = (self.participant, *self.room.visible(self.participant))
        self._send(self._house.messages.participants(everyone))
        self._send_room()
        self._refresh_token(now)
        self._outbox += self._kept
        self._kept.clear()
        speakers = self.room.speakers()
        if speakers:
            self._send(messages.speakers(speakers))
        self._quality_at = 0.0  # what it has missed
        self._subscribing.restart()

    def close(self) -> None:
        """Let the peer connections go. Harmless when they are gone."""
        self.is_over = True
        self._publishing.peer.close()
        self._subscribing.peer.close()

    def sample_audio_levels(self, now: float) -> None:
        """Tell the room how loud the participant's microphones are."""
        tracks = {track.media: track for track in self._publishing.tracks if track.kind is Kind.AUDIO}
        if tracks:
            levels = self._publishing.peer.audio_levels()
            self.room.hear({track: levels.get(media) for media, track in tracks.items() if media is not None}, now)

    def sample_quality(self, now: float) -> None:
        """Tell the room how well the participant's network carries media, from time to time."""
        if self.participant.state is not ParticipantState.ACTIVE or now < self._quality_at:
            return
        if not self._quality_at:
            self._send(messages.quality((self.participant, *self.room.visible(self.participant))))
        self._quality_at = now + self._house.settings.quality_interval
        losses = [peer.loss() for peer in (self._publishing.peer, self._subscribing.peer)]
        worst = max((loss for loss in losses if loss is not None), default=None)
        self.room.rate(self.participant, quality_of(worst) if self.is_attached else ConnectionQuality.LOST)

    # --- what the client says ---------------------------------------------------------------------

    def receive(self, request: rtc.SignalRequest, now: float) -> None:
        """A request of the client's. Raises ParseError where it makes no sense: the owner ends the websocket."""
        if self.is_over:
            return
        if self._deadlines.heard is not None:
            self._deadlines.heard = now + self._house.settings.ping_timeout
        match request.WhichOneof("message"):
            case "offer":
                self._receive_offer(request.offer, now)
            case "answer":
                self._receive_answer(request.answer, now)
            case "ping":
                self._heard_ping(now)
                self._send(rtc.SignalResponse(pong=self._unix_ms(now)))
            case "ping_req":
                self._heard_ping(now)
                pong = rtc.Pong(last_ping_timestamp=request.ping_req.timestamp, timestamp=self._unix_ms(now))
                self._send(rtc.SignalResponse(pong_resp=pong))
            case "leave":
                self._leave(now)
            case "simulate":
                self._simulate(request.simulate, now)
            case "trickle":
                # We are ICE-lite: the client's checks bring its addresses (RFC 8445 section 2.5).
                pass
            case _:
                response = self._requests.handle(request, now)
                if response is not None:
                    self._send(response)
                if self.participant.announced:
                    self._publishing.match(now)

    def _receive_offer(self, offered: rtc.SessionDescription, now: float) -> None:
        try:
            sdp = self._publishing.receive_offer(offered.sdp, now)
        except ParseError:
            raise
        except VisiomediaError as error:
            self._fail(error, now)
            return
        # JavaScript waits for the answer with the offer's number.
        answer = rtc.SessionDescription(type="answer", sdp=sdp, id=offered.id)
        self._send(rtc.SignalResponse(answer=answer))
        self._trickle(rtc.SignalTarget.PUBLISHER, sdp, self._publishing.peer.local_candidates)

    def _receive_answer(self, answered: rtc.SessionDescription, now: float) -> None:
        try:
            fresh = self._subscribing.receive_answer(answered.sdp, answered.id)
        except ParseError:
            raise
        except VisiomediaError as error:
            self._fail(error, now)
            return
        if not self._subscribing.peer.is_negotiating:
            self._deadlines.answer = None
        for track in fresh:
            self.room.received(self.participant, track)

    def _leave(self, now: float) -> None:
        self._send(messages.leave(LeaveReason.CLIENT_INITIATED))
        self._end(LeaveReason.CLIENT_INITIATED, now)

    def _simulate(self, scenario: rtc.SimulateScenario, now: float) -> None:
        """What clients' own tests ask for."""
        if scenario.WhichOneof("scenario") == "server_leave":
            self._end(LeaveReason.SERVER_SHUTDOWN, now)

    def _heard_ping(self, now: float) -> None:
        self._deadlines.heard = now + self._house.settings.ping_timeout

    # --- what the conference says ---------------------------------------------------------------------

    def handle_event(self, event: ParticipantEvent) -> None:
        """Something that the participant is told."""
        match event:
            case ParticipantsUpdated():
                self._send(self._house.messages.update(event))
            case RoomUpdated():
                self._send_room()
            case SpeakersChanged(speakers=changed):
                self._send(messages.speakers(changed))
            case QualityChanged(participant=participant):
                self._send(messages.quality([participant]))
            case DataSent(payload=payload, is_reliable=is_reliable):
                self._data.send(payload, is_reliable)
            case SubscriptionPermissionChanged(track=track, is_allowed=is_allowed):
                permission = rtc.SubscriptionPermissionUpdate(
                    participant_sid=track.publisher.sid, track_sid=track.sid, allowed=is_allowed
                )
                self._send(rtc.SignalResponse(subscription_permission_update=permission))
            case SubscriptionStarted(track=track):
                self._subscribing.start(track)
            case SubscriptionEnded(track=track):
                self._subscribing.stop(track)
            case TrackReceived(track=track):
                self._send(rtc.SignalResponse(track_subscribed=rtc.TrackSubscribed(track_sid=track.sid)))
            case TrackTaken(track=track):
                gone = rtc.TrackUnpublishedResponse(track_sid=track.sid)
                self._send(rtc.SignalResponse(track_unpublished=gone))
            case MuteAsked(track=track):
                self._send(rtc.SignalResponse(mute=rtc.MuteTrackRequest(sid=track.sid, muted=True)))
            case GrantsChanged():
                self._refresh_token(self._monotonic())
            case Removed(reason=reason):
                self._send(messages.leave(reason))
                self.close()

    # --- what the peer connections say ---------------------------------------------------------------------

    def _publisher_connected(self) -> None:
        self._connect(rtc.SignalTarget.PUBLISHER)

    def _subscriber_connected(self) -> None:
        self._connect(rtc.SignalTarget.SUBSCRIBER)

    def _connect(self, target: int) -> None:
        if self.is_over:
            return
        self._connected.add(target)
        primary = rtc.SignalTarget.SUBSCRIBER if self._is_primary_subscriber else rtc.SignalTarget.PUBLISHER
        if target == primary:
            self._deadlines.media = None
            self.room.activate(self.participant, self._monotonic())
        self._changed()

    def _peer_closed(self, reason: str) -> None:
        if self.is_over:
            return
        logger.info("a peer connection has ended: %s", reason)
        self._end(LeaveReason.CONNECTION_TIMEOUT, self._monotonic())
        self._changed()

    # --- telling ---------------------------------------------------------------------

    def _welcome(self, now: float) -> None:
        others = self.room.visible(self.participant)
        primary = self._is_primary_subscriber
        self._send(self._house.messages.join(self.room, self.participant, others, subscriber_primary=primary))
        self._refresh_token(now)

    def _open_channels(self, subscriber: OfferingPeer, now: float) -> None:
        try:
            self._data.open_channels(subscriber)
        except VisiomediaError as error:
            logger.warning("a participant finds no place: %s", error)
            self._count("joins_failed")
            self._end(LeaveReason.JOIN_FAILURE, now)
            return
        self._subscribing.begin()

    def _send(self, response: rtc.SignalResponse) -> None:
        if self.is_attached:
            self._outbox.append(response)
        elif response.WhichOneof("message") in KEPT and len(self._kept) < MAX_KEPT:
            self._kept.append(response)

    def _send_room(self) -> None:
        self._send(rtc.SignalResponse(room_update=rtc.RoomUpdate(room=self._house.messages.room(self.room))))

    def _refresh_token(self, now: float) -> None:
        unix_now = self._house.messages.unix_ns(now) / 1e9
        secret = self._house.secrets[self._token.key]
        self._deadlines.refresh = now + self._house.settings.refresh_interval
        token = refresh(self._token, self.participant, secret, unix_now)
        self._send(rtc.SignalResponse(refresh_token=token))

    def _offer(self) -> None:
        if not self._subscribing.wants_to_offer:
            return
        now = self._monotonic()
        try:
            sdp = self._subscribing.offer()
        except VisiomediaError as error:
            self._fail(error, now)
            return
        self._deadlines.answer = now + self._house.settings.negotiation_timeout
        offer = rtc.SessionDescription(
            type="offer", sdp=sdp, id=self._subscribing.offer_id, mid_to_track_id=self._subscribing.track_ids()
        )
        self._send(rtc.SignalResponse(offer=offer))
        self._trickle(rtc.SignalTarget.SUBSCRIBER, sdp, self._subscribing.peer.local_candidates)

    def _trickle(self, target: rtc.SignalTarget, sdp: str, candidates: Sequence[str]) -> None:
        """Once a connection: clients that trickle look for candidates here as well as in the description."""
        if target in self._trickled or not candidates:
            return
        self._trickled.add(target)
        mid = SessionDescription.parse(sdp).media[0].mid
        for number, candidate in enumerate(candidates, 1):
            # The Rust SDK ends its process where one of these three is missing, null or empty.
            init = json.dumps({"candidate": candidate, "sdpMid": mid, "sdpMLineIndex": 0})
            is_last = number == len(candidates)
            trickle = rtc.TrickleRequest(candidateInit=init, target=target, final=is_last)
            self._send(rtc.SignalResponse(trickle=trickle))

    def _fail(self, error: VisiomediaError, now: float) -> None:
        logger.warning("negotiation with a client failed: %s", error)
        self._count("negotiations_failed")
        self._end(LeaveReason.STATE_MISMATCH, now)

    def _end(self, reason: LeaveReason, now: float) -> None:
        """Leave the room; where the client did not ask for it, the room's own event brings the goodbye."""
        self.room.leave(self.participant, reason, now)
        if reason is LeaveReason.CLIENT_INITIATED:
            self.close()

    def _count(self, what: str) -> None:
        self._house.counters[what] += 1

    def _unix_ms(self, now: float) -> int:
        return self._house.messages.unix_ns(now) // 1_000_000

"""Runs a conference on an event loop: hands its events to those they are for, and wakes it in time."""

import asyncio
import logging
from collections.abc import Callable

from visiomedia.clock import Clock
from visiomedia.conference.conference import Conference
from visiomedia.conference.events import (
    DataSent,
    HouseEvent,
    ParticipantEvent,
    ParticipantJoined,
    ParticipantLeft,
    ParticipantsUpdated,
    QualityChanged,
    RoomClosed,
    RoomEvent,
    RoomUpdated,
    SpeakersChanged,
    TrackPublished,
    TrackUnpublished,
)
from visiomedia.conference.participant import LeaveReason, Participant
from visiomedia.conference.room import Room

logger = logging.getLogger(__name__)

ParticipantHandler = Callable[[ParticipantEvent], None]


class ConferenceDriver:
    """A conference with its timer. Whoever calls a room's method calls ``pump`` afterwards."""

    def __init__(
        self,
        conference: Conference,
        *,
        clock: Clock | None = None,
        on_event: Callable[[Room, HouseEvent], None] | None = None,
    ) -> None:
        self.conference = conference
        self.clock = clock or Clock()
        self._on_event = on_event
        self._handlers: dict[Participant, ParticipantHandler] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._armed: float | None = None
        self._is_pumping = False
        self._is_closed = False

    def attach(self, participant: Participant, handler: ParticipantHandler) -> None:
        """What a participant is told goes to ``handler``, until it is detached."""
        self._handlers[participant] = handler

    def detach(self, participant: Participant) -> None:
        """Nobody listens for the participant any longer. Harmless when nobody did."""
        self._handlers.pop(participant, None)

    def pump(self) -> None:
        """Hand out what has happened, and what happens meanwhile; then re-arm the timer."""
        if self._is_pumping:
            return
        self._is_pumping = True
        try:
            while happened := self.conference.events():
                for room, event in happened:
                    self._hand_out(room, event)
        finally:
            self._is_pumping = False
        self._arm()

    def _hand_out(self, room: Room, event: RoomEvent) -> None:
        match event:
            case ParticipantsUpdated() | RoomUpdated() | SpeakersChanged() | QualityChanged() | DataSent():
                for recipient in event.recipients:
                    self._tell(room, recipient, event)
            case ParticipantJoined() | ParticipantLeft() | TrackPublished() | TrackUnpublished() | RoomClosed():
                if self._on_event is not None:
                    self._on_event(room, event)
            case _:
                self._tell(room, event.recipient, event)

    def _tell(self, room: Room, recipient: Participant, event: ParticipantEvent) -> None:
        handler = self._handlers.get(recipient)
        if handler is None:
            return
        try:
            handler(event)
        except Exception:
            # A fault in one participant's session must not keep the others from being told.
            logger.exception("a participant's session failed")
            self.detach(recipient)
            room.leave(recipient, LeaveReason.MEDIA_FAILURE, self.clock.monotonic())

    def _arm(self) -> None:
        deadline = None if self._is_closed else self.conference.next_timeout()
        if deadline == self._armed:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._armed = deadline
        if deadline is not None:
            self._timer = asyncio.get_running_loop().call_at(deadline, self._timed_out)

    def _timed_out(self) -> None:
        self._timer = None
        self._armed = None
        self.conference.handle_timeout(self.clock.monotonic())
        self.pump()

    def close(self, reason: LeaveReason = LeaveReason.SERVER_SHUTDOWN) -> None:
        """End every room, and tell everybody."""
        self._is_closed = True
        self.conference.close(reason, self.clock.monotonic())
        self.pump()

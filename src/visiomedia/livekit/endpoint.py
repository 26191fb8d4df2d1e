"""Endpoint: a session on the event loop, with the websocket that it has at the moment, and its timer."""

import asyncio
import logging
from collections import Counter

from aiohttp import WSCloseCode

from visiomedia.clock import Clock
from visiomedia.conference.driver import ConferenceDriver
from visiomedia.conference.events import ParticipantEvent
from visiomedia.conference.participant import LeaveReason
from visiomedia.errors import ParseError
from visiomedia.livekit.connection import Connection
from visiomedia.livekit.signal import SignalSession
from visiomedia.livekit.tokens import AccessToken

logger = logging.getLogger(__name__)


class Endpoint:
    """One participant's. It lives as long as its session, through any number of websockets."""

    def __init__(self, driver: ConferenceDriver, counters: Counter[str], clock: Clock) -> None:
        self._driver = driver
        self._counters = counters
        self._clock = clock
        self._session: SignalSession | None = None
        self._connection: Connection | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._is_due = False

    @property
    def session(self) -> SignalSession:
        """The session, which ``begin`` brings."""
        assert self._session is not None, "begun before anything else"
        return self._session

    def begin(self, session: SignalSession, connection: Connection) -> None:
        """A session has begun, on a websocket."""
        self._session = session
        self._connection = connection
        self._driver.attach(session.participant, self.handle_event)
        self.wake()

    def resume(self, connection: Connection, token: AccessToken) -> None:
        """The client is back on another websocket; an older one that is still open ends."""
        if self._connection is not None:
            self._connection.close()
        self._connection = connection
        self.session.resume(token, self._clock.monotonic())
        self.wake()

    async def serve(self, connection: Connection) -> None:
        """Read what comes by a websocket, until it ends."""
        try:
            while (request := await connection.read()) is not None:
                if connection is not self._connection:
                    break
                if self.session.is_over:
                    # It has said more before it heard our goodbye, which must not be lost for that.
                    self._drain()
                    break
                self.session.receive(request, self._clock.monotonic())
                self._driver.pump()
                self.wake()
        except ParseError as error:
            # What it sent may hold addresses and passwords.
            logger.warning("a client sent what cannot be understood: no %s", error.what)
            logger.debug("it is refused because %s", error)
            self._counters["garbage"] += 1
            # No second chance: it would send the same again.
            self.session.room.leave(self.session.participant, LeaveReason.STATE_MISMATCH, self._clock.monotonic())
            connection.close(WSCloseCode.INVALID_TEXT)
            self._driver.pump()
        except Exception:
            # A fault of ours ends this session, and no other.
            logger.exception("a client's request was not handled")
            self._counters["faults"] += 1
            self.session.room.leave(self.session.participant, LeaveReason.MEDIA_FAILURE, self._clock.monotonic())
            self._drain()

    def detach(self, connection: Connection) -> None:
        """A websocket has ended. Harmless when the session has another, or has ended."""
        if connection is not self._connection:
            return
        self._connection = None
        if connection.has_overflowed:
            self._counters["slow_clients"] += 1
        self.session.detach(self._clock.monotonic())
        self._driver.pump()
        self.wake()

    def handle_event(self, event: ParticipantEvent) -> None:
        """See ``ConferenceDriver.attach``."""
        self.session.handle_event(event)
        self.wake()

    def wake(self) -> None:
        """Something may want to leave. It does so once the loop's turn is over: what happens together is said, and
        negotiated, together."""
        if not self._is_due:
            self._is_due = True
            asyncio.get_running_loop().call_soon(self._drain)

    def _drain(self) -> None:
        self._is_due = False
        self._driver.pump()
        session, connection = self.session, self._connection
        for message in session.messages_to_send():
            if connection is not None:
                connection.send(message)
        # An offer that could not be made has ended the session.
        self._driver.pump()
        if session.is_over:
            for message in session.messages_to_send():
                if connection is not None:
                    connection.send(message)
            self._finish()
        else:
            self._arm()

    def _finish(self) -> None:
        self._driver.detach(self.session.participant)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _arm(self) -> None:
        deadline = self.session.next_timeout()
        if self._timer is not None:
            if self._timer.when() == deadline:
                return
            self._timer.cancel()
            self._timer = None
        if deadline is not None:
            self._timer = asyncio.get_running_loop().call_at(deadline, self._timed_out)

    def _timed_out(self) -> None:
        self._timer = None
        now = self._clock.monotonic()
        if self.session.has_lost_signal(now):
            self._counters["ping_timeouts"] += 1
            if self._connection is not None:
                self._connection.close(WSCloseCode.GOING_AWAY)
                self.detach(self._connection)
        self.session.handle_timeout(now)
        self._driver.pump()
        self.wake()

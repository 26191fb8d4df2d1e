"""The service: who comes in, who comes back, and the sessions of those who are there."""

import asyncio
import logging
import os
from collections import Counter
from collections.abc import Mapping

from visiomedia.clock import Clock
from visiomedia.conference.conference import Conference
from visiomedia.conference.driver import ConferenceDriver
from visiomedia.conference.grants import Grants
from visiomedia.conference.participant import Arrival, LeaveReason, Participant
from visiomedia.errors import ConfigurationError
from visiomedia.livekit.access import admit
from visiomedia.livekit.client import Client
from visiomedia.livekit.connection import Connection
from visiomedia.livekit.endpoint import Endpoint
from visiomedia.livekit.messages import Messages
from visiomedia.livekit.peers import PeerFactory
from visiomedia.livekit.settings import LiveKitSettings
from visiomedia.livekit.signal import House, SignalSession
from visiomedia.livekit.tokens import AccessToken

logger = logging.getLogger(__name__)

SECURE_SECRET = 32
"""Bytes: RFC 7518 section 3.2 wants a key as long as the hash."""

LEVEL_INTERVAL = 0.1
"""Seconds between two looks at audio levels."""


class LiveKitService:
    """Rooms and sessions. ``close`` ends them all."""

    def __init__(
        self,
        peers: PeerFactory,
        keys: Mapping[str, str],
        settings: LiveKitSettings | None = None,
        *,
        conference: ConferenceDriver | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Args:
        conference: rooms that other services share; by default its own.
        """
        if not keys or not all(keys) or not all(keys.values()):
            raise ConfigurationError("keys", sorted(keys), "at least one API key, each with a secret")
        for key, secret in keys.items():
            if len(secret.encode()) < SECURE_SECRET:
                logger.warning("the secret of API key %r is shorter than %d bytes", key, SECURE_SECRET)
        self.settings = settings or LiveKitSettings()
        self.clock = clock or (conference.clock if conference is not None else Clock())
        self.counters: Counter[str] = Counter()
        self.keys = dict(keys)
        self.driver = conference or ConferenceDriver(
            Conference(self.settings.room, max_rooms=self.settings.max_rooms), clock=self.clock
        )
        messages = Messages(self.settings, self.clock, os.urandom(48))
        self._house = House(
            settings=self.settings, messages=messages, peers=peers, secrets=self.keys, counters=self.counters
        )
        self._endpoints: dict[Participant, Endpoint] = {}
        self._ticker: asyncio.TimerHandle | None = None

    def admit(self, token: str) -> tuple[AccessToken, Grants]:
        """Who comes with a token. Raises AccessRefusedError."""
        unix_now = (self.clock.monotonic_ns() + self.clock.wall_offset_ns) / 1e9
        return admit(token, self.keys, self.settings, self.driver.conference, unix_now)

    def join(self, token: AccessToken, grants: Grants, client: Client, connection: Connection) -> Endpoint:
        """A participant comes in. Raises RefusedError."""
        now = self.clock.monotonic()
        room = self.driver.conference.open(grants.room, now)
        arrival = Arrival(
            identity=token.identity,
            grants=grants,
            name=token.name,
            metadata=token.metadata,
            attributes={**token.attributes, **(client.attributes if grants.can_update_own_metadata else {})},
            kind=token.kind,
            auto_subscribe=client.auto_subscribe,
            client_protocol=client.client_protocol,
            capabilities=client.capabilities,
        )
        participant = room.join(arrival, now)
        endpoint = Endpoint(self.driver, self.counters, self.clock)
        try:
            session = SignalSession(
                self._house,
                room,
                participant,
                token,
                client,
                now=now,
                monotonic=self.clock.monotonic,
                changed=endpoint.wake,
            )
        except BaseException:
            room.leave(participant, LeaveReason.JOIN_FAILURE, now)
            raise
        self._endpoints[participant] = endpoint
        endpoint.begin(session, connection)
        self.counters["joins"] += 1
        self.driver.pump()
        self._tick()
        return endpoint

    def resume(self, token: AccessToken, grants: Grants, client: Client, connection: Connection) -> Endpoint | None:
        """A participant's signalling is back; None where there is nothing to go on with."""
        room = self.driver.conference.rooms.get(grants.room)
        participant = room.participants.get(token.identity) if room is not None else None
        endpoint = self._endpoints.get(participant) if participant is not None else None
        if participant is None or endpoint is None or client.sid != participant.sid:
            self.counters["resumes_refused"] += 1
            return None
        self.counters["resumes"] += 1
        endpoint.resume(connection, token)
        return endpoint

    def _tick(self) -> None:
        """Look at audio levels while anybody is there."""
        if self._ticker is None and self._endpoints:
            self._ticker = asyncio.get_running_loop().call_later(LEVEL_INTERVAL, self._sample)

    def _sample(self) -> None:
        self._ticker = None
        now = self.clock.monotonic()
        self._endpoints = {one: endpoint for one, endpoint in self._endpoints.items() if not endpoint.session.is_over}
        for endpoint in self._endpoints.values():
            endpoint.session.sample_audio_levels(now)
            endpoint.session.sample_quality(now)
        self.driver.pump()
        self._tick()

    def close(self) -> None:
        """Tell everybody that the server ends, and let their peer connections go."""
        self.driver.close(LeaveReason.SERVER_SHUTDOWN)
        if self._ticker is not None:
            self._ticker.cancel()
            self._ticker = None
        self._endpoints.clear()

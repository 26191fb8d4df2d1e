"""Drives one transport's engine on the plane: its events become commands, its deadlines one timer."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict

from visiomedia.batch import RowKind
from visiomedia.engine import Address
from visiomedia.errors import CapacityError
from visiomedia.ice.credentials import Credentials
from visiomedia.peer.full_agent import FullAgent
from visiomedia.plane import Plane
from visiomedia.rows import Handle
from visiomedia.srtp.certificate import Fingerprint
from visiomedia.srtp.crypto import SessionKeys, make_session_keys
from visiomedia.srtp.dtls import DtlsRole, HandshakeCompleted
from visiomedia.transport.reference import classify
from visiomedia.transport.webrtc import (
    PathForgotten,
    PathSelected,
    PathValidated,
    TransportEvent,
    TransportState,
    UfragWithdrawn,
    WebRtcSettings,
    WebRtcTransport,
)

logger = logging.getLogger(__name__)


class TransportDriver:
    """A WebRtcTransport with its rows in the plane. What it does not handle itself goes to ``handle_event``."""

    def __init__(
        self,
        plane: Plane,
        *,
        handle_event: Callable[[TransportEvent], None],
        handle_unknown_media: Callable[[bytes], None],
        handle_rtcp: Callable[[bytes], None],
        takes_reduced_size: bool,
        settings: WebRtcSettings | None = None,
        agent: FullAgent | None = None,
    ) -> None:
        self.plane = plane
        self.agent = agent
        """Who holds the ICE conversation instead of the engine's lite agent, for a peer that is dialled."""
        local = None if agent is None else agent.credentials
        self.engine = WebRtcTransport(plane.identity, plane.limiter, local=local, settings=settings)
        self._handle_event = handle_event
        self._handle_unknown_media = handle_unknown_media
        self._handle_rtcp = handle_rtcp
        self._paths: dict[Address, Handle] = {}
        self._keys: SessionKeys | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._armed: float | None = None
        self._is_closed = False
        self.handle = plane.add_transport(self, takes_reduced_size=takes_reduced_size)
        self._ufrags: set[str] = set()
        self._register(self.engine.local_credentials)

    def _register(self, credentials: Credentials) -> None:
        self.plane.directory.register(credentials.ufrag, self)
        self._ufrags.add(credentials.ufrag)

    def set_remote(
        self, remote: Credentials, role: DtlsRole, fingerprints: tuple[Fingerprint, ...], now: float
    ) -> None:
        """See ``WebRtcTransport.set_remote``."""
        self.engine.set_remote(remote, role, fingerprints, now)
        self.pump(now)

    def use_address(self, address: Address) -> None:
        """See ``WebRtcTransport.use_address``."""
        now = self.plane.clock.monotonic()
        self.engine.use_address(address, now)
        self.pump(now)

    def send_application_data(self, data: bytes) -> None:
        """Encrypt one packet of the data channels and send it; dropped where nothing can be sent any more."""
        if self.engine.state is not TransportState.CONNECTED:
            return
        now = self.plane.clock.monotonic()
        self.engine.send_application_data(data, now)
        self.pump(now)

    def restart_ice(self, remote: Credentials | None) -> Credentials:
        """Begin an ICE restart; returns our new credentials."""
        now = self.plane.clock.monotonic()
        credentials = self.engine.restart_ice(remote, now)
        self._register(credentials)
        self.pump(now)
        return credentials

    # --- what the plane hands up --------------------------------------------------------------------------------

    def receive_datagram(self, data: bytes, address: Address, now: float) -> None:
        """See ``plane.TransportOwner``."""
        if self.agent is not None and classify(data) is RowKind.STUN:
            self.agent.receive_datagram(data, address)
            return
        self.engine.receive_datagram(data, address, now)
        self.pump(now)

    def receive_unknown_media(self, packet: bytes) -> None:
        """See ``plane.TransportOwner``."""
        self._handle_unknown_media(packet)

    def receive_rtcp(self, compound: bytes) -> None:
        """See ``plane.TransportOwner``."""
        self._handle_rtcp(compound)

    def path_lost(self, address: Address) -> None:
        """See ``plane.TransportOwner``."""
        self._paths.pop(address, None)

    def counters(self) -> Mapping[str, int]:
        """See ``plane.TransportOwner``."""
        engine = self.engine
        counted = {f"ice_{name}": count for name, count in asdict(engine.agent.counters).items()}
        counted |= {f"dtls_{name}": count for name, count in engine.dtls_counters.items()}
        return counted | {f"transport_{name}": count for name, count in engine.counters.items()}

    # --- draining ------------------------------------------------------------------------------------------------

    def pump(self, now: float) -> None:
        """Drain the engine and re-arm its timer. Paths come before the datagrams that leave by them."""
        for event in self.engine.events():
            self._apply(event)
        for data, address in self.engine.datagrams_to_send():
            path = self._paths.get(address)
            if path is None:
                self.plane.send_unproven(data, address)
            else:
                self.plane.send_datagram(path, data)
        self._arm()

    def _apply(self, event: TransportEvent) -> None:
        match event:
            case PathValidated(address):
                try:
                    self._paths[address] = self.plane.add_path(self.handle, address)
                except CapacityError as error:
                    logger.warning("a peer's address is ignored: %s", error)
            case PathSelected(address, username, password):
                path = self._paths.get(address)
                self.plane.select_path(self.handle, path)
                if path is not None and username:
                    self.plane.set_check(path, username, password)
            case PathForgotten(address):
                path = self._paths.pop(address, None)
                if path is not None:
                    self.plane.remove_path(path, address)
            case UfragWithdrawn(ufrag):
                self._ufrags.discard(ufrag)
                self.plane.directory.unregister(ufrag)
            case HandshakeCompleted(profile, local_key, local_salt, remote_key, remote_salt):
                self._keys = make_session_keys(profile, local_key, local_salt, remote_key, remote_salt)
                self.plane.set_keys(self.handle, self._keys)
                self._handle_event(event)
            case _:
                self._handle_event(event)

    def _arm(self) -> None:
        deadline = None if self._is_closed else self.engine.next_timeout()
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
        now = self.plane.clock.monotonic()
        for address, path in self._paths.items():
            self.engine.agent.hear(address, self.plane.heard(path))
        self.engine.handle_timeout(now)
        self.pump(now)

    def close(self) -> None:
        """Say goodbye and give back every row. Harmless when closed."""
        if self._is_closed:
            return
        self.engine.close(self.plane.clock.monotonic())
        self.pump(self.plane.clock.monotonic())
        self._is_closed = True
        self._arm()
        for ufrag in self._ufrags:
            self.plane.directory.unregister(ufrag)
        if self.agent is not None:
            self.plane.directory.forget_answers(self)
        for address, path in self._paths.items():
            self.plane.remove_path(path, address)
        self._paths.clear()
        self.plane.remove_transport(self.handle, self._keys)

    @property
    def state(self) -> TransportState:
        """The engine's."""
        return self.engine.state

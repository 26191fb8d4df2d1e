"""WebRtcTransport: ICE-lite and DTLS-SRTP of one peer as one engine (RFC 8445, RFC 5764, RFC 8842).

It turns STUN and DTLS datagrams into paths, keys and application data. Media never comes here: the packet plane
opens and seals it with the keys this engine reports.
"""

from collections import Counter
from dataclasses import dataclass, field
from enum import Enum

from visiomedia.batch import RowKind
from visiomedia.engine import Address, Datagram
from visiomedia.errors import ConfigurationError, InvalidStateError
from visiomedia.ice.agent import (
    CandidatePairForgotten,
    CandidatePairNominated,
    CandidatePairValidated,
    ConsentExpired,
    CredentialsWithdrawn,
    IceEvent,
    LiteAgent,
    Restarted,
)
from visiomedia.ice.credentials import Credentials
from visiomedia.srtp.certificate import Certificate, Fingerprint
from visiomedia.srtp.dtls import (
    ApplicationDataReceived,
    Closed,
    DtlsContext,
    DtlsEndpoint,
    DtlsEvent,
    DtlsRole,
    HandshakeCompleted,
    HandshakeFailed,
)
from visiomedia.srtp.handshake_limiter import HandshakeLimiter
from visiomedia.transport.reference import classify

HELLO_RETRY = 0.5
"""Seconds until a client that the limiter refused tries again. A server needs none: its peer repeats its hello."""


class TransportState(Enum):
    """As a page sees it in ``RTCPeerConnection.connectionState``."""

    NEW = "new"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    FAILED = "failed"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class WebRtcSettings:
    """Limits of one transport."""

    connect_timeout: float = 30.0
    """Seconds from the peer's description to keys; then the transport has failed."""

    def __post_init__(self) -> None:
        if not 0 < self.connect_timeout < float("inf"):
            raise ConfigurationError("connect_timeout", self.connect_timeout, "seconds above 0")


class DtlsIdentity:
    """Our certificate and the two DTLS contexts made from it. One a node: making it costs milliseconds."""

    __slots__ = ("_contexts", "certificate")

    def __init__(self, certificate: Certificate) -> None:
        self.certificate = certificate
        self._contexts = {role: DtlsContext(role, certificate) for role in DtlsRole}

    @classmethod
    def generate(cls) -> "DtlsIdentity":
        """A fresh ECDSA P-256 certificate."""
        return cls(Certificate.generate())

    def make_endpoint(self, role: DtlsRole, fingerprints: tuple[Fingerprint, ...]) -> DtlsEndpoint:
        """A DTLS endpoint for one peer, which must show a certificate with one of these fingerprints."""
        return self._contexts[role].make_endpoint(fingerprints)


@dataclass(slots=True)
class PathValidated:
    """Datagrams from this address are the peer's."""

    address: Address


@dataclass(slots=True)
class PathForgotten:
    """Datagrams from this address count no longer."""

    address: Address


@dataclass(slots=True)
class PathSelected:
    """What we send goes here from now on; ``username`` and ``password``: see ``ice.CandidatePairNominated``."""

    address: Address
    username: str = field(default="", compare=False)
    password: str = field(default="", compare=False, repr=False)


@dataclass(slots=True)
class UfragWithdrawn:
    """Checks for this ufrag of ours are not answered any more."""

    ufrag: str


@dataclass(slots=True)
class Failed:
    """The transport will carry nothing more."""

    reason: str


TransportEvent = (
    PathValidated
    | PathForgotten
    | PathSelected
    | UfragWithdrawn
    | HandshakeCompleted
    | ApplicationDataReceived
    | Failed
    | Closed
)


class WebRtcTransport:
    """One peer's transport: an Engine whose events are ``TransportEvent``.

    Call ``set_remote`` with the peer's description, then pass it datagrams. ``counters``: input dropped, by reason.
    """

    __slots__ = (
        "_connect_by",
        "_dtls",
        "_events",
        "_fingerprints",
        "_handshaking",
        "_hello_at",
        "_identity",
        "_limiter",
        "_local",
        "_outgoing",
        "_role",
        "_selected",
        "_settings",
        "_validated",
        "agent",
        "counters",
        "state",
    )

    def __init__(
        self,
        identity: DtlsIdentity,
        limiter: HandshakeLimiter,
        *,
        local: Credentials | None = None,
        settings: WebRtcSettings | None = None,
    ) -> None:
        self._identity = identity
        self._limiter = limiter
        self._settings = settings or WebRtcSettings()
        self._local = local or Credentials.generate()
        self.agent = LiteAgent(self._local)
        self._dtls: DtlsEndpoint | None = None
        self._role: DtlsRole | None = None
        self._fingerprints: tuple[Fingerprint, ...] = ()
        self._handshaking: str | None = None
        self._selected: Address | None = None
        self._validated: set[Address] = set()
        self._connect_by: float | None = None
        self._hello_at: float | None = None
        self._outgoing: list[Datagram] = []
        self._events: list[TransportEvent] = []
        self.state = TransportState.NEW
        self.counters: Counter[str] = Counter()

    @property
    def local_credentials(self) -> Credentials:
        """Our ufrag and password of the latest description."""
        return self._local

    @property
    def fingerprint(self) -> Fingerprint:
        """Our certificate's, for the description."""
        return self._identity.certificate.fingerprint

    @property
    def dtls_counters(self) -> Counter[str]:
        """The DTLS endpoint's, empty before there is one."""
        return Counter() if self._dtls is None else self._dtls.counters

    @property
    def role(self) -> DtlsRole | None:
        """Our DTLS role, once the peer's description has settled it."""
        return self._role

    # --- verbs -------------------------------------------------------------------------------------------------

    def set_remote(
        self, remote: Credentials, role: DtlsRole, fingerprints: tuple[Fingerprint, ...], now: float
    ) -> None:
        """Tell the peer's credentials and fingerprints, and which DTLS role is ours.

        Raises:
            InvalidStateError: the peer changed its credentials without ``restart``, its certificate, or the role.
        """
        if self.state in (TransportState.FAILED, TransportState.CLOSED):
            raise InvalidStateError(f"the transport has {self.state.value}")
        if self._role is not None and (self._role is not role or set(self._fingerprints) != set(fingerprints)):
            raise InvalidStateError("another certificate or DTLS role needs a new transport")
        if self._role is None:
            self._role = role
            self._fingerprints = fingerprints
            self._dtls = self._identity.make_endpoint(role, fingerprints)
            self._connect_by = now + self._settings.connect_timeout
            self.state = TransportState.CONNECTING
        self.agent.set_remote(remote)
        self._drain(now)

    def restart_ice(self, remote: Credentials | None, now: float) -> Credentials:
        """Begin an ICE restart; returns our new credentials. The keys stay (RFC 8842 section 4)."""
        self._local = Credentials.generate()
        self.agent.restart(self._local, remote, now)
        return self._local

    def use_address(self, address: Address, now: float) -> None:
        """A full agent elsewhere has nominated this address: what we send goes there, and DTLS begins."""
        if self.state in (TransportState.FAILED, TransportState.CLOSED):
            return
        if address not in self._validated:
            self._handle_ice(CandidatePairValidated(address, 0), now)
        self._handle_ice(CandidatePairNominated(address), now)
        self._drain(now)

    def send_application_data(self, data: bytes, now: float) -> None:
        """Encrypt and queue one message of the data channel's transport (RFC 8261)."""
        if self._dtls is None:
            raise InvalidStateError("no DTLS association yet")
        self._dtls.send_application_data(data)
        self._drain(now)

    def close(self, now: float) -> None:
        """Say goodbye where there is somebody to hear it. No event follows."""
        if self.state is TransportState.CLOSED:
            return
        if self._dtls is not None:
            self._dtls.close()
            self._outgoing.extend(self._dtls.datagrams_to_send())
        self._release_handshake()
        self.state = TransportState.CLOSED

    # --- the five doors ------------------------------------------------------------------------------------------

    def receive_datagram(self, data: bytes, address: Address, now: float) -> None:
        """Take in one STUN or DTLS datagram; anything else is counted and dropped."""
        if self.state in (TransportState.FAILED, TransportState.CLOSED):
            self.counters["after_end"] += 1
            return
        kind = classify(data)
        if kind is RowKind.STUN:
            self.agent.receive_datagram(data, address, now)
        elif kind is RowKind.DTLS:
            self._receive_dtls(data, address, now)
        else:
            self.counters["not_for_the_session_plane"] += 1
            return
        self._drain(now)

    def handle_timeout(self, now: float) -> None:
        """Do what is due."""
        if self.state in (TransportState.FAILED, TransportState.CLOSED):
            return
        self.agent.handle_timeout(now)
        if self._dtls is not None:
            self._dtls.handle_timeout(now)
        if self._hello_at is not None and now >= self._hello_at:
            self._say_hello(now)
        self._drain(now)
        if self._connect_by is not None and now >= self._connect_by:
            reason = "no DTLS handshake" if self._selected is not None else "no connectivity check arrived"
            self._fail(f"{reason} within {self._settings.connect_timeout:g} s")

    def next_timeout(self) -> float | None:
        """The earliest of ICE's, DTLS's, the next try to begin it and the whole connection's."""
        if self.state in (TransportState.FAILED, TransportState.CLOSED):
            return None
        deadlines = [self.agent.next_timeout(), self._connect_by, self._hello_at]
        if self._dtls is not None:
            deadlines.append(self._dtls.next_timeout())
        return min((deadline for deadline in deadlines if deadline is not None), default=None)

    def datagrams_to_send(self) -> list[Datagram]:
        """What wants to leave."""
        outgoing, self._outgoing = self._outgoing, []
        return outgoing

    def events(self) -> list[TransportEvent]:
        """What happened."""
        events, self._events = self._events, []
        return events

    # --- inside ----------------------------------------------------------------------------------------------------

    def _receive_dtls(self, data: bytes, address: Address, now: float) -> None:
        if self._dtls is None:
            self.counters["dtls_before_description"] += 1
            return
        if address not in self._validated:
            # RFC 8445 section 12: data from an address that no check has proven is not the peer's for us.
            self.counters["dtls_from_unvalidated_address"] += 1
            return
        # A client's begins with its own hello: what comes before takes no place.
        if self._role is DtlsRole.SERVER and not self._begin_handshake(address):
            return
        self._dtls.receive_datagram(data, address, now)

    def _begin_handshake(self, address: Address) -> bool:
        """Whether handshake messages may be worked on: one place of the limiter is held while they are."""
        if self.state is not TransportState.CONNECTING or self._handshaking is not None:
            return True
        if not self._limiter.acquire(address.host):
            self.counters["handshake_refused"] += 1
            return False
        self._handshaking = address.host
        return True

    def _release_handshake(self) -> None:
        if self._handshaking is not None:
            self._limiter.release(self._handshaking)
            self._handshaking = None

    def _drain(self, now: float) -> None:
        """Take over what the two engines inside have to say; what one says may move the other."""
        self._outgoing.extend(self.agent.datagrams_to_send())
        for event in self.agent.events():
            self._handle_ice(event, now)
        if self._dtls is not None:
            for dtls_event in self._dtls.events():
                self._handle_dtls(dtls_event)
            self._outgoing.extend(self._dtls.datagrams_to_send())

    def _handle_ice(self, event: IceEvent, now: float) -> None:
        match event:
            case CandidatePairValidated(address):
                self._validated.add(address)
                self._events.append(PathValidated(address))
            case CandidatePairNominated(address, username, password):
                self._selected = address
                self._events.append(PathSelected(address, username, password))
                self._use_path(address, now)
            case CandidatePairForgotten(address):
                self._validated.discard(address)
                if address == self._selected:
                    self._selected = self._hello_at = None
                self._events.append(PathForgotten(address))
            case CredentialsWithdrawn(ufrag):
                self._events.append(UfragWithdrawn(ufrag))
            case ConsentExpired():
                self._fail("consent expired: nothing heard from the peer (RFC 7675)")
            case Restarted():
                pass

    def _use_path(self, address: Address, now: float) -> None:
        assert self._dtls is not None, "pairs are proven only once the description is known"
        if self._role is DtlsRole.CLIENT and self._handshaking is None and self.state is TransportState.CONNECTING:
            self._say_hello(now)
        else:
            self._dtls.set_remote_address(address)

    def _say_hello(self, now: float) -> None:
        """A client's handshake begins, or is put off while the limiter has no place."""
        assert self._dtls is not None and self._selected is not None, "a pair is selected first"
        if self._begin_handshake(self._selected):
            self._hello_at = None
            self._dtls.start(self._selected, now)
        else:
            self._hello_at = now + HELLO_RETRY

    def _handle_dtls(self, event: DtlsEvent) -> None:
        match event:
            case HandshakeCompleted():
                self._release_handshake()
                self._connect_by = None
                self.state = TransportState.CONNECTED
                self._events.append(event)
            case HandshakeFailed(reason):
                self._fail(f"DTLS: {reason}")
            case Closed():
                self._release_handshake()
                self.state = TransportState.CLOSED
                self._events.append(event)
            case ApplicationDataReceived():
                self._events.append(event)

    def _fail(self, reason: str) -> None:
        if self.state in (TransportState.FAILED, TransportState.CLOSED):
            return
        self._release_handshake()
        self._connect_by = None
        self.state = TransportState.FAILED
        self._events.append(Failed(reason))

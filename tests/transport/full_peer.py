"""A full ICE agent with DTLS at the other end of a transport: checks, nominates and shakes hands when it is told to."""

from dataclasses import dataclass, field
from functools import cache

from visiomedia.engine import Address
from visiomedia.ice.credentials import Credentials
from visiomedia.ice.stun import Message, MessageClass
from visiomedia.srtp.certificate import Certificate, Fingerprint
from visiomedia.srtp.dtls import DtlsContext, DtlsEndpoint, DtlsEvent, DtlsRole, HandshakeCompleted
from visiomedia.srtp.handshake_limiter import HandshakeLimiter
from visiomedia.transport import DtlsIdentity, WebRtcSettings, WebRtcTransport
from visiomedia.transport.webrtc import TransportEvent

WIFI = Address(0, "192.0.2.1", 50000)
MOBILE = Address(0, "198.51.100.7", 61000)
SERVER = Address(0, "203.0.113.1", 7882)


@cache
def identity() -> DtlsIdentity:
    """One of ours for all tests: making it costs."""
    return DtlsIdentity.generate()


@cache
def peer_context(role: DtlsRole) -> DtlsContext:
    """The peer's, of either role, with one certificate."""
    return DtlsContext(role, peer_certificate())


@cache
def peer_certificate() -> Certificate:
    """What the peer shows."""
    return Certificate.generate()


@dataclass(slots=True)
class Call:
    """A transport of ours and a peer that it is connected to by hand. Time stands until a test moves it."""

    transport: WebRtcTransport
    peer: DtlsEndpoint
    credentials: Credentials
    now: float = 100.0
    address: Address = WIFI
    checks: int = 0
    role: DtlsRole = DtlsRole.SERVER
    expected: Fingerprint = field(default_factory=lambda: peer_certificate().fingerprint)
    events: list[TransportEvent] = field(default_factory=list)
    peer_events: list[DtlsEvent] = field(default_factory=list)
    answers: list[Message] = field(default_factory=list)

    @classmethod
    def open(
        cls,
        *,
        limiter: HandshakeLimiter | None = None,
        settings: WebRtcSettings | None = None,
        role: DtlsRole = DtlsRole.SERVER,
        peer_expects: Fingerprint | None = None,
    ) -> "Call":
        """Nothing has been said yet. ``role``: ours."""
        theirs = DtlsRole.CLIENT if role is DtlsRole.SERVER else DtlsRole.SERVER
        transport = WebRtcTransport(identity(), limiter or HandshakeLimiter(), settings=settings)
        endpoint = peer_context(theirs).make_endpoint([peer_expects or transport.fingerprint])
        return cls(transport, endpoint, Credentials.generate(), role=role)

    def describe(self) -> None:
        """Our side hears the peer's description."""
        self.transport.set_remote(self.credentials, self.role, (self.expected,), self.now)
        self.take()

    def check(self, *, nominate: bool = True, ours: Credentials | None = None) -> None:
        """The peer sends one connectivity check from where it is."""
        local = ours or self.transport.local_credentials
        self.checks += 1
        request = Message(
            message_class=MessageClass.REQUEST,
            transaction_id=self.checks.to_bytes(12, "big"),
            username=f"{local.ufrag}:{self.credentials.ufrag}",
            priority=1853693695,
            use_candidate=nominate,
            ice_controlling=7,
        )
        data = request.serialize(local.password.encode())
        self.transport.receive_datagram(data, self.address, self.now)
        self.take()

    def connect(self) -> None:
        """Description, check, handshake."""
        self.describe()
        self.check()
        self.shake_hands()

    def shake_hands(self) -> None:
        """The peer says hello where it is the client; both talk until they are silent."""
        if self.peer.role is DtlsRole.CLIENT:
            self.peer.start(SERVER, self.now)
        self.talk()

    def talk(self) -> None:
        """Carry DTLS both ways until nobody has anything to say."""
        while True:
            spoken = self.peer.datagrams_to_send()
            for datagram in spoken:
                self.transport.receive_datagram(datagram.data, self.address, self.now)
            if not self.take() and not spoken:
                break
        self.peer_events += self.peer.events()

    def take(self) -> int:
        """Drain our side: answers to checks are kept, DTLS goes to the peer. Returns how many datagrams."""
        self.events += self.transport.events()
        sent = self.transport.datagrams_to_send()
        for datagram in sent:
            if datagram.data[0] < 4:
                self.answers.append(Message.parse(datagram.data))
            else:
                assert datagram.address == self.address, "DTLS goes where the peer is"
                self.peer.receive_datagram(datagram.data, SERVER, self.now)
        return len(sent)

    def pass_time(self, seconds: float) -> None:
        """Move the clock, serving our timer whenever it is due."""
        end = self.now + seconds
        while (due := self.transport.next_timeout()) is not None and due <= end:
            self.now = max(self.now, due)
            self.transport.handle_timeout(self.now)
            self.take()
        self.now = end

    def keys(self) -> tuple[HandshakeCompleted, HandshakeCompleted]:
        """What both sides derived: ours, the peer's. Each said it once."""
        (ours,) = (event for event in self.events if isinstance(event, HandshakeCompleted))
        (theirs,) = (event for event in self.peer_events if isinstance(event, HandshakeCompleted))
        return ours, theirs

"""Two DTLS sides with a link between them that tests may cut, and a side that is not ours."""

import time
from collections.abc import Callable
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from OpenSSL import SSL

from visiomedia.engine import Address
from visiomedia.srtp.certificate import Certificate, Fingerprint, PrivateKey
from visiomedia.srtp.dtls import DtlsContext, DtlsEndpoint, DtlsEvent, DtlsRole

CLIENT_ADDRESS = Address(0, "192.0.2.1", 1111)
SERVER_ADDRESS = Address(0, "192.0.2.2", 2222)

Passes = Callable[[bytes], bool]


@cache
def ecdsa_certificate(number: int = 0) -> Certificate:
    """A certificate of ours; ``number`` tells several apart."""
    return Certificate.generate()


@cache
def rsa_certificate() -> Certificate:
    """A certificate as GStreamer shows it."""
    return signed(rsa.generate_private_key(65537, 2048))


def signed(private_key: PrivateKey) -> Certificate:
    """A certificate for any key, by the shortest way."""
    template = ecdsa_certificate().certificate
    builder = x509.CertificateBuilder().subject_name(template.subject).issuer_name(template.issuer)
    builder = builder.public_key(private_key.public_key()).serial_number(template.serial_number)
    builder = builder.not_valid_before(template.not_valid_before_utc)
    builder = builder.not_valid_after(template.not_valid_after_utc)
    return Certificate(private_key, builder.sign(private_key, hashes.SHA256()))


@cache
def context(role: DtlsRole, certificate: Certificate | None = None) -> DtlsContext:
    """One context for all tests of a role: as servers do it."""
    return DtlsContext(role, certificate or ecdsa_certificate(0 if role is DtlsRole.CLIENT else 1))


class Association:
    """A client and a server of ours, and the events that each has seen."""

    def __init__(
        self,
        client: DtlsContext | None = None,
        server: DtlsContext | None = None,
        *,
        client_expects: list[Fingerprint] | None = None,
        server_expects: list[Fingerprint] | None = None,
    ) -> None:
        client_context = client or context(DtlsRole.CLIENT)
        server_context = server or context(DtlsRole.SERVER)
        self.client = client_context.make_endpoint(
            [server_context.certificate.fingerprint] if client_expects is None else client_expects
        )
        self.server = server_context.make_endpoint(
            [client_context.certificate.fingerprint] if server_expects is None else server_expects
        )
        self.client_events: list[DtlsEvent] = []
        self.server_events: list[DtlsEvent] = []

    def start(self, now: float = 0.0) -> None:
        self.client.start(SERVER_ADDRESS, now)

    def run(self, now: float = 0.0, passes: Passes = lambda _: True) -> None:
        """Carry datagrams both ways until nobody has anything to say."""
        while self.step(self.client, self.server, CLIENT_ADDRESS, now, passes) or self.step(
            self.server, self.client, SERVER_ADDRESS, now, passes
        ):
            pass
        self.client_events += self.client.events()
        self.server_events += self.server.events()

    def step(self, sender: DtlsEndpoint, receiver: DtlsEndpoint, source: Address, now: float, passes: Passes) -> bool:
        sent = sender.datagrams_to_send()
        for datagram in sent:
            assert len(datagram.data) <= 1200
            if passes(datagram.data):
                receiver.receive_datagram(datagram.data, source, now)
        return bool(sent)


def run_in_real_time(associations: dict[Association, Passes], seconds: float) -> None:
    """Carry datagrams by the machine's clock, for OpenSSL's own timer, until every handshake has ended."""
    end = time.monotonic() + seconds
    for association in associations:
        association.start(time.monotonic())
    waiting = list(associations)
    while waiting and time.monotonic() < end:
        for association in waiting:
            now = time.monotonic()
            for endpoint in (association.client, association.server):
                timeout = endpoint.next_timeout()
                if timeout is not None and timeout <= now:
                    endpoint.handle_timeout(now)
            association.run(now, associations[association])
        waiting = [a for a in waiting if not (a.client_events and a.server_events)]
        time.sleep(0.005)


class PlainPeer:
    """The other side by OpenSSL alone, in the way aiortc drives it."""

    def __init__(self, certificate: Certificate, *, is_client: bool, profiles: bytes, ciphers: bytes = b"") -> None:
        self.context = SSL.Context(SSL.DTLS_METHOD)
        self.context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, lambda *_: True)
        self.context.use_certificate(certificate.certificate)
        self.context.use_privatekey(certificate.private_key)
        if ciphers:
            self.context.set_cipher_list(ciphers)
        if profiles:
            self.context.set_tlsext_use_srtp(profiles)
        self.connection = SSL.Connection(self.context, None)
        if is_client:
            self.connection.set_connect_state()
        else:
            self.connection.set_accept_state()
        self.is_connected = False
        self.error: SSL.Error | None = None
        self.received: list[bytes] = []

    def work(self) -> bytes:
        """Handshake or read; returns what was written."""
        try:
            if not self.is_connected:
                self.connection.do_handshake()
                self.is_connected = True
            self.received.append(self.connection.recv(4096))
        except SSL.WantReadError:
            pass
        except SSL.Error as error:
            self.error = error
        try:
            return self.connection.bio_read(65536)
        except SSL.WantReadError:
            return b""

    def run(self, ours: DtlsEndpoint, now: float = 0.0) -> list[DtlsEvent]:
        """Talk with an endpoint of ours until both are silent; returns its events."""
        events: list[DtlsEvent] = []
        written = self.work()
        while True:
            if written:
                ours.receive_datagram(written, CLIENT_ADDRESS, now)
            datagrams = ours.datagrams_to_send()
            events += ours.events()
            if not datagrams:
                return events
            written = b""
            for datagram in datagrams:
                self.connection.bio_write(datagram.data)
                written += self.work()


def p256() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())

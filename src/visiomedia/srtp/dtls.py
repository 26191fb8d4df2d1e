"""DTLS 1.2 over memory buffers: the handshake that gives SRTP its keys (RFC 6347, RFC 5764), and the data it
carries afterwards (SCTP, RFC 8261). OpenSSL does the protocol; its retransmission timer runs on the machine's
clock."""

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

from OpenSSL import SSL, crypto

from visiomedia.engine import Address, Datagram
from visiomedia.errors import ConfigurationError, InvalidStateError, NegotiationError, ParseError
from visiomedia.srtp.certificate import Certificate, Fingerprint, matches_fingerprints
from visiomedia.srtp.key_derivation import EXPORTER_LABEL, keying_material_length, split_keying_material
from visiomedia.srtp.profiles import PREFERENCE, ProtectionProfile, profile_from_openssl_name
from visiomedia.srtp.records import pack_records, records

logger = logging.getLogger(__name__)

MAX_DATAGRAM_SENT = 1200
"""Bytes: what fits every path that browsers assume."""

HANDSHAKE_TIMEOUT = 30.0
"""Seconds after which a handshake is given up."""

_READ_SIZE = 16_384
_BIO_SIZE = 65_536
_DTLS_1_2 = 0xFEFD

# RFC 8827 section 6.5 wants ECDHE-ECDSA-AES128-GCM; ECDHE-RSA is for GStreamer, whose certificate is RSA.
_CIPHERS = ":".join(
    f"ECDHE-{signature}-{cipher}"
    for cipher in ("AES128-GCM-SHA256", "CHACHA20-POLY1305", "AES256-GCM-SHA384", "AES128-SHA", "AES256-SHA")
    for signature in ("ECDSA", "RSA")
)


class DtlsRole(Enum):
    """Who says ClientHello. As SDP's ``a=setup`` (RFC 5763 section 5): the client is the active side."""

    CLIENT = "active"
    SERVER = "passive"


class DtlsState(Enum):
    """Where an endpoint stands."""

    NEW = "new"
    HANDSHAKING = "handshaking"
    UNVERIFIED = "unverified"
    """The handshake is done, and the description with the peer's fingerprints has not come yet."""
    CONNECTED = "connected"
    FAILED = "failed"
    CLOSED = "closed"


_TRANSITIONS = {
    DtlsState.NEW: {DtlsState.HANDSHAKING, DtlsState.CLOSED},
    DtlsState.HANDSHAKING: {DtlsState.UNVERIFIED, DtlsState.FAILED, DtlsState.CLOSED},
    DtlsState.UNVERIFIED: {DtlsState.CONNECTED, DtlsState.FAILED, DtlsState.CLOSED},
    DtlsState.CONNECTED: {DtlsState.CLOSED},
    DtlsState.FAILED: {DtlsState.CLOSED},
    DtlsState.CLOSED: set(),
}


@dataclass(slots=True)
class HandshakeCompleted:
    """Keys are there and the peer is who its description says. ``fingerprint``: the peer's SHA-256."""

    profile: ProtectionProfile
    local_key: bytes = field(repr=False)
    local_salt: bytes = field(repr=False)
    remote_key: bytes = field(repr=False)
    remote_salt: bytes = field(repr=False)
    fingerprint: Fingerprint


@dataclass(slots=True)
class HandshakeFailed:
    """There will be no keys; the endpoint is of no further use."""

    reason: str


@dataclass(slots=True)
class ApplicationDataReceived:
    """One record's data, decrypted: an SCTP packet (RFC 8261)."""

    data: bytes = field(repr=False)


@dataclass(slots=True)
class Closed:
    """The peer has closed the association. ``reason``: "close_notify", or the error that ended it."""

    reason: str


DtlsEvent = HandshakeCompleted | HandshakeFailed | ApplicationDataReceived | Closed


class _PeerIdentity:
    """The certificate a peer has shown, and the fingerprints that it must have one of."""

    __slots__ = ("certificate_der", "expected", "is_mismatched")

    def __init__(self, expected: Sequence[Fingerprint] | None) -> None:
        self.expected = None if expected is None else tuple(expected)
        self.certificate_der: bytes | None = None
        self.is_mismatched = False

    def accepts(self) -> bool:
        """Whether the certificate matches; True also while nothing is known to compare it with."""
        if self.expected is None or self.certificate_der is None:
            return True
        self.is_mismatched = not matches_fingerprints(self.certificate_der, self.expected)
        return not self.is_mismatched


def _verify(connection: SSL.Connection, shown: crypto.X509, error: int, depth: int, ok: int) -> bool:
    """OpenSSL asks about each certificate of the peer's chain; only the peer's own counts.

    A certificate is trusted by its fingerprint alone (RFC 8827 section 6.5), so that what OpenSSL finds wrong
    with the chain, self-signed, expired, is no matter.
    """
    if depth != 0:
        return True
    identity: _PeerIdentity = connection.get_app_data()
    if identity.certificate_der is None:
        identity.certificate_der = crypto.dump_certificate(crypto.FILETYPE_ASN1, shown)
    return identity.accepts()


class DtlsContext:
    """What the endpoints of one role and certificate share. Make one at start: it is costly, an endpoint is
    not."""

    __slots__ = ("_context", "certificate", "handshake_timeout", "maximum_datagram", "profiles", "role")

    def __init__(
        self,
        role: DtlsRole,
        certificate: Certificate,
        *,
        profiles: Sequence[ProtectionProfile] = PREFERENCE,
        maximum_datagram: int = MAX_DATAGRAM_SENT,
        handshake_timeout: float = HANDSHAKE_TIMEOUT,
    ) -> None:
        """``profiles``: best first; as server our order decides, as client it is what we offer.

        Raises:
            ConfigurationError: no profile, or a datagram size that DTLS cannot work with.
        """
        if not profiles:
            raise ConfigurationError("profiles", profiles, "at least one")
        if not 548 <= maximum_datagram <= 65_507:
            raise ConfigurationError("maximum_datagram", maximum_datagram, "548 to 65507 bytes")
        self.role = role
        self.certificate = certificate
        self.profiles = tuple(profiles)
        self.maximum_datagram = maximum_datagram
        self.handshake_timeout = handshake_timeout
        self._context = self._make_context()

    def _make_context(self) -> SSL.Context:
        context = SSL.Context(SSL.DTLS_METHOD)
        # An OpenSSL that speaks 1.3 too would offer it, and has no SRTP there.
        context.set_min_proto_version(_DTLS_1_2)
        context.set_max_proto_version(_DTLS_1_2)
        context.set_options(
            SSL.OP_NO_QUERY_MTU
            | SSL.OP_NO_TICKET
            | SSL.OP_NO_RENEGOTIATION
            | SSL.OP_NO_COMPRESSION
            | SSL.OP_CIPHER_SERVER_PREFERENCE
        )
        # Nobody resumes a session: a cache would only grow.
        context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
        context.set_mode(SSL.MODE_RELEASE_BUFFERS)
        context.set_cipher_list(_CIPHERS.encode())
        # RFC 5763 section 5: both sides show a certificate.
        context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, _verify)
        context.use_certificate(self.certificate.certificate)
        context.use_privatekey(self.certificate.private_key)
        context.set_tlsext_use_srtp(":".join(profile.openssl_name for profile in self.profiles).encode())
        return context

    def make_endpoint(self, fingerprints: Sequence[Fingerprint] | None = None) -> "DtlsEndpoint":
        """An endpoint for one peer. ``fingerprints``: of the peer's description, or None while it is not
        known."""
        identity = _PeerIdentity(fingerprints)
        connection = SSL.Connection(self._context, None)
        connection.set_ciphertext_mtu(self.maximum_datagram)
        connection.set_app_data(identity)
        if self.role is DtlsRole.CLIENT:
            connection.set_connect_state()
        else:
            connection.set_accept_state()
        return DtlsEndpoint(self, connection, identity)


class DtlsEndpoint:
    """DTLS with one peer: an Engine. Made by ``DtlsContext.make_endpoint``; ``start`` it, then pass it
    datagrams.

    ``counters``: input dropped, by reason. Answers go where the peer's last datagram came from until the
    handshake is done, and then to ``set_remote_address``'s.
    """

    __slots__ = (
        "_connection",
        "_context",
        "_events",
        "_gives_up_at",
        "_identity",
        "_outgoing",
        "_remote_address",
        "_retransmits_at",
        "_state",
        "counters",
    )

    def __init__(self, context: DtlsContext, connection: SSL.Connection, identity: _PeerIdentity) -> None:
        self._context = context
        self._connection = connection
        self._identity = identity
        self._state = DtlsState.NEW
        self._remote_address: Address | None = None
        self._retransmits_at: float | None = None
        self._gives_up_at: float | None = None
        self._outgoing: list[Datagram] = []
        self._events: list[DtlsEvent] = []
        self.counters: Counter[str] = Counter()

    @property
    def role(self) -> DtlsRole:
        """Client or server."""
        return self._context.role

    @property
    def state(self) -> DtlsState:
        """Where it stands."""
        return self._state

    @property
    def maximum_application_data(self) -> int:
        """Bytes that fit one datagram's record. Only meaningful once connected."""
        return self._connection.get_cleartext_mtu()

    # --- the five doors -------------------------------------------------------------------------------------

    def receive_datagram(self, data: bytes, address: Address, now: float) -> None:
        """Take in one datagram. A server's handshake starts with the first."""
        if self._state in (DtlsState.FAILED, DtlsState.CLOSED):
            self.counters["after_end"] += 1
            return
        if self._state is DtlsState.NEW and self.role is DtlsRole.CLIENT:
            self.counters["before_start"] += 1
            return
        accepted = bytearray()
        try:
            for record in records(data):
                accepted += record
        except ParseError as error:
            self.counters["malformed"] += 1
            logger.debug("DTLS input dropped: %s", error)
        if not accepted:
            return
        if self._state is DtlsState.NEW:
            self.start(address, now)
        if self._state is DtlsState.HANDSHAKING:
            self._remote_address = address
        # OpenSSL takes what lies in the memory BIO for one datagram: it must have read one before the next
        # comes.
        self._connection.bio_write(bytes(accepted))
        was_connected = self._state is DtlsState.CONNECTED
        said, sent = len(self._events), len(self._outgoing)
        self._advance(now)
        if was_connected and (said, sent) == (len(self._events), len(self._outgoing)):
            # RFC 6347 section 4.1.2.7: "invalid records SHOULD be silently discarded", and OpenSSL tells nobody.
            self.counters["discarded"] += 1

    def handle_timeout(self, now: float) -> None:
        """Retransmit a flight, or give the handshake up, when that is due."""
        if self._state is not DtlsState.HANDSHAKING:
            return
        if self._gives_up_at is not None and now >= self._gives_up_at:
            self._fail("timed out")
            return
        if self._retransmits_at is not None and now >= self._retransmits_at:
            try:
                if self._connection.DTLSv1_handle_timeout():
                    self.counters["retransmitted_flights"] += 1
            except SSL.Error as error:
                self._flush()
                self._fail(_reason(error))
                return
            self._flush()
            self._arm(now)

    def next_timeout(self) -> float | None:
        """When the next retransmission or the end of patience is due; None outside a handshake."""
        if self._state is not DtlsState.HANDSHAKING:
            return None
        return min(moment for moment in (self._retransmits_at, self._gives_up_at) if moment is not None)

    def datagrams_to_send(self) -> list[Datagram]:
        """What wants to leave; each at most the context's ``maximum_datagram`` bytes."""
        outgoing, self._outgoing = self._outgoing, []
        return outgoing

    def events(self) -> list[DtlsEvent]:
        """What happened."""
        events, self._events = self._events, []
        return events

    # --- verbs ----------------------------------------------------------------------------------------------

    def start(self, address: Address, now: float) -> None:
        """Begin the handshake with a peer at ``address``: a client says hello, a server starts to wait.

        Raises:
            InvalidStateError: started before.
        """
        if self._state is not DtlsState.NEW:
            raise InvalidStateError("the handshake was started before")
        self._enter(DtlsState.HANDSHAKING)
        self._remote_address = address
        self._gives_up_at = now + self._context.handshake_timeout
        if self.role is DtlsRole.CLIENT:
            self._advance(now)

    def set_remote_address(self, address: Address) -> None:
        """Send to another address from now on: ICE has chosen another pair."""
        self._remote_address = address

    def expect_fingerprints(self, fingerprints: Sequence[Fingerprint]) -> None:
        """Say, when the description comes after the handshake began, which certificates the peer may have.

        Raises:
            InvalidStateError: they were known before; another certificate needs another association.
        """
        if self._identity.expected is not None:
            raise InvalidStateError("the peer's fingerprints are known already")
        self._identity.expected = tuple(fingerprints)
        if self._state is DtlsState.UNVERIFIED:
            self._verify_peer()
            self._read()

    def send_application_data(self, data: bytes) -> None:
        """Encrypt and queue one message.

        Raises:
            InvalidStateError: not connected.
            ConfigurationError: empty, or longer than ``maximum_application_data``.
        """
        if self._state is not DtlsState.CONNECTED:
            raise InvalidStateError(f"cannot send data while {self._state.value}")
        if not 0 < len(data) <= self.maximum_application_data:
            raise ConfigurationError("length of data", len(data), f"1 to {self.maximum_application_data} bytes")
        try:
            self._connection.send(data)
        except SSL.Error as error:
            self._end(_reason(error))
        self._flush()

    def close(self) -> None:
        """Say goodbye where there is somebody to hear it. No event follows."""
        if self._state is DtlsState.CLOSED:
            return
        if self._state in (DtlsState.CONNECTED, DtlsState.UNVERIFIED):
            self._say_goodbye()
        self._enter(DtlsState.CLOSED)

    # --- inside ---------------------------------------------------------------------------------------------

    def _enter(self, state: DtlsState) -> None:
        assert state in _TRANSITIONS[self._state], f"no way from {self._state} to {state}"
        self._state = state

    def _advance(self, now: float) -> None:
        """Let OpenSSL work on what has come."""
        if self._state is DtlsState.HANDSHAKING:
            try:
                self._connection.do_handshake()
            except SSL.WantReadError:
                pass
            except SSL.Error as error:
                self._flush()  # the alert that tells the peer
                self._fail("fingerprint mismatch" if self._identity.is_mismatched else _reason(error))
                return
            else:
                self._enter(DtlsState.UNVERIFIED)
                self._verify_peer()
        # Reading also makes OpenSSL repeat its last flight when the peer repeats its own (RFC 6347 section
        # 4.2.4). Data from a peer that is not verified yet is thrown away.
        if self._state in (DtlsState.CONNECTED, DtlsState.UNVERIFIED):
            self._read()
        self._flush()
        self._arm(now)

    def _verify_peer(self) -> None:
        """After the handshake: is the peer who it should be, and what are the keys?"""
        if self._identity.expected is None:
            return
        certificate_der = self._identity.certificate_der
        if certificate_der is None or not self._identity.accepts():
            self._say_goodbye()
            self._fail("fingerprint mismatch")
            return
        try:
            profile = profile_from_openssl_name(self._connection.get_selected_srtp_profile().decode())
        except NegotiationError as error:
            self._say_goodbye()
            self._fail(str(error))
            return
        material = self._connection.export_keying_material(EXPORTER_LABEL, keying_material_length(profile), None)
        client, server = split_keying_material(profile, material)
        local, remote = (client, server) if self.role is DtlsRole.CLIENT else (server, client)
        self._enter(DtlsState.CONNECTED)
        self._events.append(
            HandshakeCompleted(profile, local.key, local.salt, remote.key, remote.salt, Fingerprint.of(certificate_der))
        )

    def _read(self) -> None:
        """Take the data out of what has come, and see whether the peer has closed."""
        while self._state in (DtlsState.CONNECTED, DtlsState.UNVERIFIED):
            try:
                data = self._connection.recv(_READ_SIZE)
            except SSL.WantReadError:
                return
            except SSL.ZeroReturnError:
                self._say_goodbye()
                self._end("close_notify")
            except SSL.Error as error:
                self._end(_reason(error))
            else:
                if self._state is DtlsState.CONNECTED:
                    self._events.append(ApplicationDataReceived(data))
                else:
                    self.counters["data_before_verification"] += 1

    def _fail(self, reason: str) -> None:
        self._enter(DtlsState.FAILED)
        self._events.append(HandshakeFailed(reason))

    def _end(self, reason: str) -> None:
        """The association has ended on its own."""
        if self._state is DtlsState.UNVERIFIED:
            self._fail(f"closed before it was verified: {reason}")
        else:
            self._enter(DtlsState.CLOSED)
            self._events.append(Closed(reason))

    def _say_goodbye(self) -> None:
        try:
            self._connection.shutdown()
        except SSL.Error as error:
            logger.debug("DTLS close_notify not sent: %s", _reason(error))
        self._flush()

    def _flush(self) -> None:
        """Move what OpenSSL wrote into the queue, as datagrams."""
        written = bytearray()
        while True:
            try:
                written += self._connection.bio_read(_BIO_SIZE)
            except SSL.Error:
                break
        if not written:
            return
        assert self._remote_address is not None, "nothing is written before somebody is there to read it"
        for data in pack_records(bytes(written), self._context.maximum_datagram):
            self._outgoing.append(Datagram(data, self._remote_address))

    def _arm(self, now: float) -> None:
        remaining = self._connection.DTLSv1_get_timeout()
        self._retransmits_at = None if remaining is None else now + remaining


def _reason(error: SSL.Error) -> str:
    """OpenSSL's words for what went wrong."""
    stack = error.args[0] if error.args else None
    if isinstance(stack, list) and stack:
        return str(stack[-1][-1]) or "unknown error"
    return str(stack or type(error).__name__)

"""What a peer's description says of its side of the transport (RFC 8839, RFC 8842)."""

from dataclasses import dataclass

from visiomedia.errors import ConfigurationError, NegotiationError, ParseError
from visiomedia.ice.credentials import Credentials
from visiomedia.sdp.attributes import Setup
from visiomedia.sdp.description import SessionDescription
from visiomedia.srtp.certificate import Fingerprint
from visiomedia.srtp.dtls import DtlsRole


@dataclass(frozen=True, slots=True)
class RemoteTransport:
    """Whom ICE and DTLS are to meet, and which DTLS role that leaves us."""

    credentials: Credentials
    role: DtlsRole
    fingerprints: tuple[Fingerprint, ...]

    @classmethod
    def of(cls, description: SessionDescription) -> "RemoteTransport":
        """Raises NegotiationError where the description lacks what a transport needs."""
        live = [section for section in description.media if not section.is_rejected]
        if not live:
            raise NegotiationError("the description has no section to accept")
        mids = [section.mid for section in description.media]
        if len(set(mids)) != len(mids) or "" in mids:
            raise NegotiationError("every section needs a mid of its own (a=mid, RFC 5888)")
        transport = live[0].transport
        if transport.ice_ufrag is None or transport.ice_password is None:
            raise NegotiationError("the description lacks ICE credentials (a=ice-ufrag, a=ice-pwd)")
        if not transport.fingerprints:
            raise NegotiationError("the description lacks a certificate's fingerprint (a=fingerprint)")
        try:
            credentials = Credentials(transport.ice_ufrag, transport.ice_password)
            fingerprints = tuple(Fingerprint.parse(value) for value in transport.fingerprints)
        except (ParseError, ConfigurationError) as error:
            raise NegotiationError(f"the description's transport: {error}") from error
        setup = transport.setup or Setup.ACTPASS
        role = DtlsRole.CLIENT if setup is Setup.PASSIVE else DtlsRole.SERVER
        return cls(credentials, role, fingerprints)

    def check_follows(self, before: "RemoteTransport") -> None:
        """Raises NegotiationError where it would be another DTLS association (RFC 8842 section 4)."""
        if before.role is not self.role or set(before.fingerprints) != set(self.fingerprints):
            raise NegotiationError("another certificate or DTLS role needs a new transport")

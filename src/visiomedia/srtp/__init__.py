"""SRTP and the DTLS handshake that keys it: certificates, profiles, key derivation, endpoints, and packets in
batches (RFC 3711, RFC 5764, RFC 6347, RFC 7714, RFC 8122)."""

from visiomedia.srtp.certificate import Certificate, Fingerprint, matches_fingerprints
from visiomedia.srtp.crypto import SessionKeys, evp_library, make_session_keys, native_available
from visiomedia.srtp.dtls import (
    ApplicationDataReceived,
    Closed,
    DtlsContext,
    DtlsEndpoint,
    DtlsEvent,
    DtlsRole,
    DtlsState,
    HandshakeCompleted,
    HandshakeFailed,
)
from visiomedia.srtp.handshake_limiter import HandshakeLimiter
from visiomedia.srtp.key_derivation import MasterKey, TransformKeys, derive_rtcp_keys, derive_rtp_keys
from visiomedia.srtp.profiles import PREFERENCE, ProtectionProfile
from visiomedia.srtp.session import SrtpSession
from visiomedia.srtp.tables import Cipher, SrtpTables, make_srtp_tables

__all__ = [
    "PREFERENCE",
    "ApplicationDataReceived",
    "Certificate",
    "Cipher",
    "Closed",
    "DtlsContext",
    "DtlsEndpoint",
    "DtlsEvent",
    "DtlsRole",
    "DtlsState",
    "Fingerprint",
    "HandshakeCompleted",
    "HandshakeFailed",
    "HandshakeLimiter",
    "MasterKey",
    "ProtectionProfile",
    "SessionKeys",
    "SrtpSession",
    "SrtpTables",
    "TransformKeys",
    "derive_rtcp_keys",
    "derive_rtp_keys",
    "evp_library",
    "make_session_keys",
    "make_srtp_tables",
    "matches_fingerprints",
    "native_available",
]

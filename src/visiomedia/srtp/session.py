"""SRTP and SRTCP of one peer through libsrtp, one packet a call (RFC 3711, RFC 7714): the portable path."""

from collections.abc import Callable

import pylibsrtp

from visiomedia.errors import AuthenticationError, ParseError
from visiomedia.srtp.profiles import ProtectionProfile
from visiomedia.srtp.tables import WINDOW_BITS

LIBSRTP_PROFILES = {
    ProtectionProfile.AES128_CM_SHA1_80: pylibsrtp.Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
    ProtectionProfile.AEAD_AES_128_GCM: pylibsrtp.Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
    ProtectionProfile.AEAD_AES_256_GCM: pylibsrtp.Policy.SRTP_PROFILE_AEAD_AES_256_GCM,
}

MAX_SEALED = 1500
"""Bytes of pylibsrtp's buffer."""

MAX_CLEAR = MAX_SEALED - 160
"""It wants room for its largest trailer."""


_MALFORMED = {"unsupported parameter", "error parsing data"}
"""libsrtp's words for a packet that is none; for the rest it is a question of keys and indices."""


def make_libsrtp_session(
    profile: ProtectionProfile, master_key: bytes, master_salt: bytes, *, is_inbound: bool
) -> pylibsrtp.Session:
    """A libsrtp session for every SSRC of one direction. No index is sealed twice."""
    policy = pylibsrtp.Policy(
        key=master_key + master_salt,
        ssrc_type=pylibsrtp.Policy.SSRC_ANY_INBOUND if is_inbound else pylibsrtp.Policy.SSRC_ANY_OUTBOUND,
        srtp_profile=LIBSRTP_PROFILES[profile],
    )
    policy.window_size = WINDOW_BITS
    policy.allow_repeat_tx = False
    return pylibsrtp.Session(policy)


class SrtpSession:
    """Seals what we send and opens what the peer sent. Keys as ``HandshakeCompleted`` has them."""

    __slots__ = ("_inbound", "_outbound", "profile")

    def __init__(
        self,
        profile: ProtectionProfile,
        local_key: bytes,
        local_salt: bytes,
        remote_key: bytes,
        remote_salt: bytes,
    ) -> None:
        self.profile = profile
        self._outbound = make_libsrtp_session(profile, local_key, local_salt, is_inbound=False)
        self._inbound = make_libsrtp_session(profile, remote_key, remote_salt, is_inbound=True)

    def protect(self, packet: bytes) -> bytes:
        """A sealed RTP packet.

        Raises:
            ParseError: not RTP, or too long.
            AuthenticationError: its index was sealed before, or lies behind the window.
        """
        return self._process(self._outbound.protect, packet, MAX_CLEAR, "RTP packet")

    def protect_rtcp(self, packet: bytes) -> bytes:
        """A sealed RTCP compound. Raises as ``protect`` does."""
        return self._process(self._outbound.protect_rtcp, packet, MAX_CLEAR, "RTCP packet")

    def unprotect(self, packet: bytes) -> bytes:
        """The clear RTP packet.

        Raises:
            ParseError: not SRTP, or too long.
            AuthenticationError: forged, replayed or too old.
        """
        return self._process(self._inbound.unprotect, packet, MAX_SEALED, "SRTP packet")

    def unprotect_rtcp(self, packet: bytes) -> bytes:
        """The clear RTCP compound. Raises as ``unprotect`` does."""
        return self._process(self._inbound.unprotect_rtcp, packet, MAX_SEALED, "SRTCP packet")

    def _process(self, function: Callable[[bytes], bytes], packet: bytes, limit: int, what: str) -> bytes:
        if not 8 <= len(packet) <= limit:
            raise ParseError(what, f"{len(packet)} bytes")
        try:
            return function(packet)
        except pylibsrtp.Error as error:
            if str(error) in _MALFORMED:
                raise ParseError(what, str(error)) from error
            raise AuthenticationError(f"{what}: {error}") from error

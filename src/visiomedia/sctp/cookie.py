"""The state cookie: what an INIT taught us, given to the peer to keep (RFC 9260 section 5.1.3)."""

import hmac
import struct
from typing import NamedTuple

from visiomedia.errors import AuthenticationError, ParseError

_FIELDS = struct.Struct("!dIIIIIHHBx")
_DIGEST_SIZE = 32

FORWARD_TSN, RE_CONFIG, ZERO_CHECKSUM = 1, 2, 4
"""What the peer has said it supports."""


class StateCookie(NamedTuple):
    """All that is needed to make the association when the cookie comes back. ``created``: our monotonic seconds."""

    created: float
    local_tag: int
    remote_tag: int
    initial_tsn: int
    remote_initial_tsn: int
    remote_window: int
    outbound_streams: int
    inbound_streams: int
    extensions: int

    @classmethod
    def open(cls, data: bytes, secret: bytes) -> "StateCookie":
        """The cookie.

        Raises:
            ParseError: it has another length than ours.
            AuthenticationError: it is not ours.
        """
        if len(data) != _FIELDS.size + _DIGEST_SIZE:
            raise ParseError("state cookie", f"{len(data)} bytes")
        fields, digest = data[: _FIELDS.size], data[_FIELDS.size :]
        if not hmac.compare_digest(hmac.digest(secret, fields, "sha256"), digest):
            raise AuthenticationError("state cookie is not ours")
        return cls(*_FIELDS.unpack(fields))

    def seal(self, secret: bytes) -> bytes:
        """Its bytes, signed with HMAC-SHA256."""
        fields = _FIELDS.pack(*self)
        return fields + hmac.digest(secret, fields, "sha256")

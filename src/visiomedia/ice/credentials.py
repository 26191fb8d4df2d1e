"""ICE credentials: the ufrag and password of one side (RFC 8445 section 5.3, RFC 8839 section 5.4)."""

import base64
import os
from collections.abc import Callable
from dataclasses import dataclass, field

from visiomedia.errors import ConfigurationError

SHORTEST_UFRAG = 4
SHORTEST_PASSWORD = 22
LONGEST = 256
"""Characters (RFC 8839 section 5.4: 4*256ice-char and 22*256ice-char)."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """A ufrag and its password, checked when built.

    Raises:
        ConfigurationError: a length or a character that cannot stand in a username or in SDP.
    """

    ufrag: str
    password: str = field(repr=False)

    def __post_init__(self) -> None:
        if not (SHORTEST_UFRAG <= len(self.ufrag) <= LONGEST and _is_writable(self.ufrag)):
            raise ConfigurationError("ufrag", self.ufrag, "4 to 256 ASCII characters without colon or space")
        if not (SHORTEST_PASSWORD <= len(self.password) <= LONGEST and _is_writable(self.password)):
            raise ConfigurationError(
                "password", f"{len(self.password)} characters", "22 to 256 ASCII without colon or space"
            )

    @classmethod
    def generate(cls, entropy: Callable[[int], bytes] = os.urandom) -> "Credentials":
        """Fresh credentials: a ufrag of 48 random bits, which also finds the session, and a password of 144.

        RFC 8445 section 5.3 asks for at least 24 and 128 bits.
        """
        return cls(base64.b64encode(entropy(6)).decode(), base64.b64encode(entropy(18)).decode())


def _is_writable(text: str) -> bool:
    # Departs from RFC 8839 section 5.4: because clients use "-", "_", "=" and "#" beside the ice-chars.
    return text.isascii() and ":" not in text and all("!" <= character <= "~" for character in text)

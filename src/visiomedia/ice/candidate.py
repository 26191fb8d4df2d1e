"""ICE candidates (RFC 8445 section 5.1) and their attribute in SDP (RFC 8839 section 5.1)."""

import zlib
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from visiomedia.errors import ParseError

LONGEST_ATTRIBUTE: Final = 1024
"""Characters of a candidate attribute that are looked at; real ones have about a hundred."""

HIGHEST_LOCAL_PREFERENCE: Final = 65535


class CandidateType(StrEnum):
    """Candidate types (RFC 8839 section 5.1); unknown ones stay strings."""

    HOST = "host"
    SERVER_REFLEXIVE = "srflx"
    PEER_REFLEXIVE = "prflx"
    RELAYED = "relay"


_TYPE_PREFERENCE: Final[dict[str, int]] = {
    CandidateType.HOST: 126,
    CandidateType.PEER_REFLEXIVE: 110,
    CandidateType.SERVER_REFLEXIVE: 100,
    CandidateType.RELAYED: 0,
}
"""Recommended values of RFC 8445 section 5.1.2.2."""


def candidate_priority(
    candidate_type: CandidateType, *, local_preference: int = HIGHEST_LOCAL_PREFERENCE, component: int = 1
) -> int:
    """The priority of a candidate by the formula of RFC 8445 section 5.1.2.1.

    ``local_preference`` (0 to 65535) ranks the addresses of one agent; an agent with one address uses 65535.
    """
    return (_TYPE_PREFERENCE[candidate_type] << 24) + (local_preference << 8) + (256 - component)


def candidate_foundation(candidate_type: str, transport: str, base_host: str, server_host: str = "") -> str:
    """A foundation, equal for candidates that are equal in these four (RFC 8445 section 5.1.1.3)."""
    return str(zlib.crc32("|".join((candidate_type, transport.lower(), base_host, server_host)).encode()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One candidate: where an agent may be reached. ``host`` is an IP address, or a name (mDNS) to resolve.

    ``extensions`` holds the attribute's name and value pairs that are not fields, in their order.
    """

    foundation: str
    component: int
    transport: str
    priority: int
    host: str
    port: int
    type: str
    related_host: str | None = None
    related_port: int | None = None
    tcptype: str | None = None
    extensions: tuple[tuple[str, str], ...] = ()

    @classmethod
    def parse(cls, value: str) -> "Candidate":
        """The candidate in ``a=candidate:``'s value; a trickled one's ``candidate:`` may stand before it.

        Raises:
            ParseError: the words do not make a candidate.
        """
        if len(value) > LONGEST_ATTRIBUTE:
            raise ParseError("candidate", f"{len(value)} characters")
        words = value.strip().removeprefix("candidate:").split()
        if len(words) < 8 or words[6] != "typ":
            raise ParseError("candidate", "fewer than its eight words")
        if len(words) % 2:
            raise ParseError("candidate", f"{words[-1]!r} has no value")
        # RFC 8839 section 5.1: foundation = 1*32ice-char
        if len(words[0]) > 32:
            raise ParseError("candidate", "foundation longer than 32 characters")
        extensions = list(zip(words[8::2], words[9::2], strict=True))
        named = dict(reversed(extensions))
        related_port = named.get("rport")
        return cls(
            foundation=words[0],
            component=_number("component", words[1], 1, 256),
            transport=words[2].lower(),
            priority=_number("priority", words[3], 0, 0xFFFF_FFFF),
            host=words[4],
            port=_number("port", words[5], 0, 65535),
            type=words[7],
            related_host=named.get("raddr"),
            related_port=None if related_port is None else _number("rport", related_port, 0, 65535),
            tcptype=named.get("tcptype"),
            extensions=tuple(pair for pair in extensions if pair[0] not in _NAMED),
        )

    def serialize(self) -> str:
        """The value of ``a=candidate:``, as RFC 8839 section 5.1 writes it."""
        words = [
            f"{self.foundation} {self.component} {self.transport} {self.priority}",
            f"{self.host} {self.port} typ {self.type}",
        ]
        if self.related_host is not None:
            words.append(f"raddr {self.related_host}")
        if self.related_port is not None:
            words.append(f"rport {self.related_port}")
        if self.tcptype is not None:
            words.append(f"tcptype {self.tcptype}")
        words.extend(f"{name} {value}" for name, value in self.extensions)
        return " ".join(words)


_NAMED: Final = frozenset({"raddr", "rport", "tcptype"})


def host_candidate(
    host: str, port: int, *, local_preference: int = HIGHEST_LOCAL_PREFERENCE, component: int = 1
) -> Candidate:
    """The UDP host candidate of a bound socket: the only type of an ICE-lite agent (RFC 8445 section 5.2)."""
    return Candidate(
        foundation=candidate_foundation(CandidateType.HOST, "udp", host),
        component=component,
        transport="udp",
        priority=candidate_priority(CandidateType.HOST, local_preference=local_preference, component=component),
        host=host,
        port=port,
        type=CandidateType.HOST,
    )


def _number(what: str, word: str, lowest: int, highest: int) -> int:
    # int() takes signs, underscores and foreign digits; RFC 8839 takes at most ten ASCII digits.
    if not (word.isascii() and word.isdigit() and len(word) <= 10):
        raise ParseError("candidate", f"{what} is no number")
    number = int(word)
    if not lowest <= number <= highest:
        raise ParseError("candidate", f"{what} {number} is not in {lowest} to {highest}")
    return number

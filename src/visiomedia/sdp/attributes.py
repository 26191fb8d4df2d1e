"""Values of single SDP attributes, each with ``parse`` and ``serialize``."""

from dataclasses import dataclass, field
from enum import Enum

from visiomedia.errors import ParseError


class Direction(Enum):
    """Who sends in a section (RFC 8866 section 6.7)."""

    SENDRECV = "sendrecv"
    SENDONLY = "sendonly"
    RECVONLY = "recvonly"
    INACTIVE = "inactive"

    @property
    def sends(self) -> bool:
        """Whether whoever says it sends."""
        return self in (Direction.SENDRECV, Direction.SENDONLY)

    @property
    def receives(self) -> bool:
        """Whether whoever says it receives."""
        return self in (Direction.SENDRECV, Direction.RECVONLY)

    @classmethod
    def of(cls, *, sends: bool, receives: bool) -> "Direction":
        """The direction of somebody who does this."""
        if sends:
            return cls.SENDRECV if receives else cls.SENDONLY
        return cls.RECVONLY if receives else cls.INACTIVE

    @property
    def reversed(self) -> "Direction":
        """The same section as the other side says it."""
        return Direction.of(sends=self.receives, receives=self.sends)


class Setup(Enum):
    """Who says ClientHello (RFC 8842 section 5)."""

    ACTIVE = "active"
    PASSIVE = "passive"
    ACTPASS = "actpass"
    HOLDCONN = "holdconn"


def number(text: str, what: str, most: int = 0xFFFFFFFF) -> int:
    """A decimal number. Raises ParseError."""
    if not (text.isascii() and text.isdigit() and len(text) <= 20) or int(text) > most:
        raise ParseError(what, f"{text[:40]!r} is no number up to {most}")
    return int(text)


@dataclass(slots=True)
class Codec:
    """One format of a section: its payload type, ``a=rtpmap``, ``a=fmtp`` and ``a=rtcp-fb``."""

    payload_type: int
    name: str
    clock_rate: int
    channels: int = 1
    parameters: dict[str, str] = field(default_factory=dict)
    """fmtp as key and value; what has no ``=`` stands as key with an empty value."""
    feedback: tuple[str, ...] = ()

    @property
    def apt(self) -> int | None:
        """For RTX the payload type it repairs (RFC 4588 section 8.1)."""
        value = self.parameters.get("apt", "")
        return int(value) if self.name.lower() == "rtx" and value.isascii() and value.isdigit() else None

    @property
    def fmtp(self) -> str:
        """The parameters as they stand in ``a=fmtp``."""
        return ";".join(f"{key}={value}" if value else key for key, value in self.parameters.items())

    @property
    def rtpmap(self) -> str:
        """The value of ``a=rtpmap`` behind the payload type."""
        return f"{self.name}/{self.clock_rate}" + (f"/{self.channels}" if self.channels != 1 else "")


def parse_parameters(text: str) -> dict[str, str]:
    """The parameters of ``a=fmtp``."""
    parameters: dict[str, str] = {}
    for part in text.split(";"):
        key, _, value = part.strip().partition("=")
        if key:
            parameters[key.strip()] = value.strip()
    return parameters


@dataclass(frozen=True, slots=True)
class HeaderExtension:
    """``a=extmap`` (RFC 8285 section 8)."""

    identifier: int
    uri: str
    direction: Direction | None = None

    @classmethod
    def parse(cls, value: str) -> "HeaderExtension":
        """Raises ParseError."""
        head, _, rest = value.partition(" ")
        identifier, _, direction = head.partition("/")
        uri = rest.split(" ")[0]
        if not uri:
            raise ParseError("a=extmap", "no URI")
        try:
            return cls(number(identifier, "a=extmap", 4351), uri, Direction(direction) if direction else None)
        except ValueError as error:
            raise ParseError("a=extmap", f"direction {direction[:20]!r}") from error

    def serialize(self) -> str:
        """The attribute's value."""
        direction = f"/{self.direction.value}" if self.direction else ""
        return f"{self.identifier}{direction} {self.uri}"


@dataclass(frozen=True, slots=True)
class Rid:
    """``a=rid`` (RFC 8851)."""

    identifier: str
    direction: str
    restrictions: str = ""

    @classmethod
    def parse(cls, value: str) -> "Rid":
        """Raises ParseError."""
        identifier, _, rest = value.partition(" ")
        direction, _, restrictions = rest.partition(" ")
        if not identifier or direction not in ("send", "recv"):
            raise ParseError("a=rid", f"{value[:60]!r}")
        return cls(identifier, direction, restrictions)

    def serialize(self) -> str:
        """The attribute's value."""
        return f"{self.identifier} {self.direction}" + (f" {self.restrictions}" if self.restrictions else "")


@dataclass(frozen=True, slots=True)
class Simulcast:
    """``a=simulcast`` (RFC 8853): rids of each direction in order; of alternatives only the first is kept."""

    send: tuple[str, ...] = ()
    receive: tuple[str, ...] = ()

    @classmethod
    def parse(cls, value: str) -> "Simulcast":
        """Raises ParseError."""
        words = value.split()
        if len(words) not in (2, 4) or any(word not in ("send", "recv") for word in words[::2]):
            raise ParseError("a=simulcast", f"{value[:60]!r}")
        streams = dict(zip(words[::2], words[1::2], strict=True))

        def rids(direction: str) -> tuple[str, ...]:
            if direction not in streams:
                return ()
            return tuple(stream.split(",")[0].lstrip("~") for stream in streams[direction].split(";"))

        return cls(rids("send"), rids("recv"))

    def serialize(self) -> str:
        """The attribute's value."""
        parts = []
        if self.send:
            parts.append(f"send {';'.join(self.send)}")
        if self.receive:
            parts.append(f"recv {';'.join(self.receive)}")
        return " ".join(parts)


@dataclass(frozen=True, slots=True)
class Candidate:
    """``a=candidate`` (RFC 8839 section 5.1), related address and extensions kept as text."""

    foundation: str
    component: int
    transport: str
    priority: int
    host: str
    port: int
    kind: str
    extensions: str = ""

    @classmethod
    def parse(cls, value: str) -> "Candidate":
        """Raises ParseError."""
        words = value.split(" ", 8)
        if len(words) < 8 or words[6] != "typ":
            raise ParseError("a=candidate", f"{value[:80]!r}")
        foundation, component, transport, priority, host, port, _, kind = words[:8]
        return cls(
            foundation,
            number(component, "a=candidate component", 256),
            transport,
            number(priority, "a=candidate priority"),
            host,
            number(port, "a=candidate port", 65535),
            kind,
            words[8] if len(words) > 8 else "",
        )

    def serialize(self) -> str:
        """The attribute's value."""
        head = f"{self.foundation} {self.component} {self.transport} {self.priority} {self.host} {self.port}"
        return f"{head} typ {self.kind}" + (f" {self.extensions}" if self.extensions else "")


@dataclass(frozen=True, slots=True)
class SsrcGroup:
    """``a=ssrc-group`` (RFC 5576 section 4.2)."""

    semantics: str
    ssrcs: tuple[int, ...]

    @classmethod
    def parse(cls, value: str) -> "SsrcGroup":
        """Raises ParseError."""
        semantics, *ssrcs = value.split()[:65] or [""]
        if not semantics:
            raise ParseError("a=ssrc-group", "empty")
        return cls(semantics, tuple(number(ssrc, "a=ssrc-group") for ssrc in ssrcs))

    def serialize(self) -> str:
        """The attribute's value."""
        return " ".join([self.semantics, *(str(ssrc) for ssrc in self.ssrcs)])

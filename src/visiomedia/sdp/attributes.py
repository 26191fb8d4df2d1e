"""Values of single SDP attributes, each with ``parse`` and ``serialize``. Each class names its RFC."""

import re
from dataclasses import dataclass, field
from enum import Enum

from visiomedia.errors import ParseError
from visiomedia.sdp.grammar import parse_number

MOST_GROUPED = 64
"""SSRCs in one group: more are no group that anybody sends."""

_RID = re.compile("[A-Za-z0-9_-]{1,255}")


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


DIRECTIONS = {direction.value: direction for direction in Direction}


class Setup(Enum):
    """Who says ClientHello (RFC 8842 section 5.2)."""

    ACTIVE = "active"
    PASSIVE = "passive"
    ACTPASS = "actpass"
    HOLDCONN = "holdconn"


@dataclass(frozen=True, slots=True)
class Codec:
    """One format of a section: its payload type, ``a=rtpmap``, ``a=fmtp`` and ``a=rtcp-fb``."""

    payload_type: int
    name: str
    """Empty where the payload type is neither static nor explained by an rtpmap: nothing matches it."""
    clock_rate: int
    """Hz."""
    channels: int = 1
    parameters: dict[str, str] = field(default_factory=dict)
    """fmtp as key and value, in order; what has no ``=`` stands as key with an empty value."""
    feedback: tuple[str, ...] = ()

    @property
    def is_rtx(self) -> bool:
        """Whether it repairs another format (RFC 4588)."""
        return self.name.lower() == "rtx"

    @property
    def apt(self) -> int | None:
        """For RTX the payload type it repairs (RFC 4588 section 8.1)."""
        value = self.parameters.get("apt", "") if self.is_rtx else ""
        return int(value) if value.isascii() and value.isdigit() and len(value) <= 3 else None

    @property
    def fmtp(self) -> str:
        """The parameters as they stand in ``a=fmtp``."""
        return ";".join(f"{key}={value}" if value else key for key, value in self.parameters.items())

    @property
    def rtpmap(self) -> str:
        """The value of ``a=rtpmap`` behind the payload type."""
        return f"{self.name}/{self.clock_rate}" + (f"/{self.channels}" if self.channels != 1 else "")


def parse_rtpmap(value: str) -> tuple[str, int, int]:
    """Name, clock rate and channels of ``a=rtpmap`` (RFC 8866 section 6.6). Raises ParseError."""
    name, _, rest = value.strip().partition("/")
    clock_rate, _, channels = rest.partition("/")
    if not name:
        raise ParseError("a=rtpmap", f"{value[:60]!r}")
    return (
        name,
        parse_number(clock_rate, "a=rtpmap clock rate"),
        parse_number(channels, "a=rtpmap channels", 255) if channels else 1,
    )


def parse_parameters(text: str) -> dict[str, str]:
    """The parameters of ``a=fmtp`` (RFC 8866 section 6.15)."""
    parameters: dict[str, str] = {}
    for part in text.split(";"):
        key, _, value = part.partition("=")
        if key.strip():
            parameters[key.strip()] = value.strip()
    return parameters


@dataclass(frozen=True, slots=True)
class HeaderExtension:
    """``a=extmap`` (RFC 8285 section 8)."""

    identifier: int
    uri: str
    direction: Direction | None = None
    """Who sends it, where that is not who sends in the section."""
    attributes: str = ""

    @classmethod
    def parse(cls, value: str) -> "HeaderExtension":
        """Raises ParseError."""
        head, _, rest = value.partition(" ")
        identifier, _, direction = head.partition("/")
        uri, _, attributes = rest.partition(" ")
        if not uri:
            raise ParseError("a=extmap", "no URI")
        if direction and direction not in DIRECTIONS:
            raise ParseError("a=extmap", f"direction {direction[:20]!r}")
        # RFC 8285 section 5: 1 to 14, to 255 with two-byte headers, 4096 to 4351 where the answer shall choose.
        number = parse_number(identifier, "a=extmap", 4351)
        return cls(number, uri, DIRECTIONS.get(direction), attributes)

    def serialize(self) -> str:
        """The attribute's value."""
        direction = f"/{self.direction.value}" if self.direction else ""
        return f"{self.identifier}{direction} {self.uri}" + (f" {self.attributes}" if self.attributes else "")


@dataclass(frozen=True, slots=True)
class Rid:
    """``a=rid`` (RFC 8851): one encoding."""

    identifier: str
    direction: str
    """``send`` or ``recv``, of whoever says it."""
    payload_types: tuple[int, ...] = ()
    """Formats that it may use; empty allows all."""
    restrictions: dict[str, str] = field(default_factory=dict)
    """``max-width`` and the like, in order."""

    @classmethod
    def parse(cls, value: str) -> "Rid":
        """Raises ParseError."""
        identifier, _, rest = value.partition(" ")
        direction, _, restrictions = rest.partition(" ")
        if not _RID.fullmatch(identifier) or direction not in ("send", "recv"):
            raise ParseError("a=rid", f"{value[:60]!r}")
        parameters = parse_parameters(restrictions)
        formats = parameters.pop("pt", "")
        payload_types = [parse_number(number, "a=rid pt", 127) for number in formats.split(",") if formats]
        return cls(identifier, direction, tuple(payload_types), parameters)

    def serialize(self) -> str:
        """The attribute's value."""
        parts = [f"{key}={value}" if value else key for key, value in self.restrictions.items()]
        if self.payload_types:
            parts.insert(0, f"pt={','.join(map(str, self.payload_types))}")
        return f"{self.identifier} {self.direction}" + (f" {';'.join(parts)}" if parts else "")


@dataclass(frozen=True, slots=True)
class Simulcast:
    """``a=simulcast`` (RFC 8853 section 5.1): streams in order of preference, each a choice of rids, best first."""

    send: tuple[tuple[str, ...], ...] = ()
    receive: tuple[tuple[str, ...], ...] = ()
    paused: frozenset[str] = frozenset()
    """Rids that begin paused (``~``)."""

    @classmethod
    def parse(cls, value: str) -> "Simulcast":
        """Raises ParseError."""
        words = value.split()
        if len(words) not in (2, 4) or {*words[::2]} - {"send", "recv"} or len({*words[::2]}) != len(words) // 2:
            raise ParseError("a=simulcast", f"{value[:60]!r}")
        streams: dict[str, tuple[tuple[str, ...], ...]] = {}
        paused: set[str] = set()
        for direction, listed in zip(words[::2], words[1::2], strict=True):
            choices = [stream.split(",") for stream in listed.split(";")]
            streams[direction] = tuple(tuple(rid.removeprefix("~") for rid in choice) for choice in choices)
            paused.update(rid[1:] for choice in choices for rid in choice if rid.startswith("~"))
            if not all(_RID.fullmatch(rid) for choice in streams[direction] for rid in choice):
                raise ParseError("a=simulcast", f"{value[:60]!r}")
        return cls(streams.get("send", ()), streams.get("recv", ()), frozenset(paused))

    def serialize(self) -> str:
        """The attribute's value."""
        parts = []
        for direction, streams in (("send", self.send), ("recv", self.receive)):
            if streams:
                parts.append(f"{direction} {';'.join(self._choice(choice) for choice in streams)}")
        return " ".join(parts)

    def _choice(self, rids: tuple[str, ...]) -> str:
        return ",".join(f"~{rid}" if rid in self.paused else rid for rid in rids)


@dataclass(frozen=True, slots=True)
class Candidate:
    """``a=candidate`` (RFC 8839 section 5.1). What follows the type is kept as text."""

    foundation: str
    component: int
    transport: str
    priority: int
    host: str
    """An IP address, or a name (mDNS)."""
    port: int
    kind: str
    """``host``, ``srflx``, ``prflx``, ``relay``, or what nobody knows yet."""
    extensions: str = ""

    @classmethod
    def parse(cls, value: str) -> "Candidate":
        """From the attribute's value, with or without the ``candidate:`` of a trickled one. Raises ParseError."""
        words = value.removeprefix("candidate:").split(None, 8)
        if len(words) < 8 or words[6] != "typ":
            raise ParseError("a=candidate", f"{value[:80]!r}")
        foundation, component, transport, priority, host, port, _, kind = words[:8]
        return cls(
            foundation,
            parse_number(component, "a=candidate component", 256),
            transport,
            parse_number(priority, "a=candidate priority"),
            host,
            parse_number(port, "a=candidate port", 65535),
            kind,
            words[8].rstrip() if len(words) > 8 else "",
        )

    def serialize(self) -> str:
        """The attribute's value."""
        head = f"{self.foundation} {self.component} {self.transport} {self.priority} {self.host} {self.port}"
        return f"{head} typ {self.kind}" + (f" {self.extensions}" if self.extensions else "")

    def extension(self, name: str) -> str | None:
        """What follows a name behind the type: of ``raddr``, ``rport``, ``tcptype``, ``ufrag`` and others."""
        words = self.extensions.split()
        return dict(zip(words[::2], words[1::2], strict=False)).get(name)


@dataclass(frozen=True, slots=True)
class SsrcGroup:
    """``a=ssrc-group`` (RFC 5576 section 4.2)."""

    semantics: str
    """``FID``: the second repairs the first. ``SIM``: layers of one picture."""
    ssrcs: tuple[int, ...]

    @classmethod
    def parse(cls, value: str) -> "SsrcGroup":
        """Raises ParseError."""
        words = value.split(None, MOST_GROUPED + 1)
        if not 2 <= len(words) <= MOST_GROUPED + 1:
            raise ParseError("a=ssrc-group", f"{value[:60]!r}")
        return cls(words[0], tuple(parse_number(ssrc, "a=ssrc-group") for ssrc in words[1:]))

    def serialize(self) -> str:
        """The attribute's value."""
        return " ".join([self.semantics, *(str(ssrc) for ssrc in self.ssrcs)])

"""Session descriptions: text to model and back (RFC 8866, RFC 8829). What is not modelled is kept as it stands."""

from dataclasses import dataclass, field

from visiomedia.errors import ParseError
from visiomedia.sdp.attributes import (
    Candidate,
    Codec,
    Direction,
    HeaderExtension,
    Rid,
    Setup,
    Simulcast,
    SsrcGroup,
    number,
    parse_parameters,
)

MAX_TEXT = 256 * 1024
MAX_SECTIONS = 512
MAX_LINES = 20_000

STATIC_CODECS = {0: ("PCMU", 8000), 8: ("PCMA", 8000), 9: ("G722", 8000), 13: ("CN", 8000)}
"""Payload types that need no rtpmap (RFC 3551 section 6)."""


@dataclass(slots=True)
class TransportAttributes:
    """What a session or a section says of ICE and DTLS."""

    ice_ufrag: str | None = None
    ice_password: str | None = None
    ice_options: str | None = None
    fingerprints: list[str] = field(default_factory=list)
    setup: Setup | None = None


@dataclass(slots=True)
class MediaDescription:
    """One m-section. Accessors that may stand at session level are filled from there by ``SessionDescription.parse``."""

    kind: str
    port: int
    protocol: str
    mid: str = ""
    direction: Direction = Direction.SENDRECV
    codecs: list[Codec] = field(default_factory=list)
    formats: list[str] = field(default_factory=list)
    """Of a section that is not RTP: its formats as they stand."""
    extensions: list[HeaderExtension] = field(default_factory=list)
    allows_mixed_extensions: bool = False
    rids: list[Rid] = field(default_factory=list)
    simulcast: Simulcast | None = None
    msids: list[str] = field(default_factory=list)
    ssrcs: dict[int, dict[str, str]] = field(default_factory=dict)
    ssrc_groups: list[SsrcGroup] = field(default_factory=list)
    rtcp_mux: bool = False
    reduced_size_rtcp: bool = False
    bundle_only: bool = False
    transport: TransportAttributes = field(default_factory=TransportAttributes)
    candidates: list[Candidate] = field(default_factory=list)
    end_of_candidates: bool = False
    sctp_port: int | None = None
    max_message_size: int | None = None
    connection: str = "IN IP4 0.0.0.0"
    others: list[str] = field(default_factory=list)
    """Attributes that are not modelled, as they stand."""

    @property
    def is_rtp(self) -> bool:
        """Whether it is audio or video over RTP."""
        return "RTP" in self.protocol

    @property
    def is_rejected(self) -> bool:
        """Port 0, unless it is only there to be bundled (RFC 8843 section 6)."""
        return self.port == 0 and not self.bundle_only

    def codec(self, payload_type: int) -> Codec | None:
        """The format with a payload type."""
        return next((codec for codec in self.codecs if codec.payload_type == payload_type), None)


@dataclass(slots=True)
class SessionDescription:
    """An offer or an answer."""

    origin: str = "- 0 0 IN IP4 127.0.0.1"
    name: str = "-"
    media: list[MediaDescription] = field(default_factory=list)
    bundle: list[list[str]] = field(default_factory=list)
    is_lite: bool = False
    allows_mixed_extensions: bool = False
    transport: TransportAttributes = field(default_factory=TransportAttributes)
    others: list[str] = field(default_factory=list)

    @classmethod
    def parse(cls, text: str) -> "SessionDescription":
        """Raises ParseError for anything that is no session description."""
        if len(text) > MAX_TEXT:
            raise ParseError("SDP", f"{len(text)} characters, at most {MAX_TEXT}")
        lines = text.replace("\r\n", "\n").split("\n")
        if len(lines) > MAX_LINES:
            raise ParseError("SDP", f"{len(lines)} lines, at most {MAX_LINES}")
        lines = [line for line in lines if line]
        if not lines or lines[0] != "v=0":
            raise ParseError("SDP", "does not begin with v=0")
        starts = [at for at, line in enumerate(lines) if line.startswith("m=")]
        if len(starts) > MAX_SECTIONS:
            raise ParseError("SDP", f"{len(starts)} sections, at most {MAX_SECTIONS}")
        head = lines[: starts[0]] if starts else lines
        description = cls()
        direction = _parse_session(description, head)
        for at, start in enumerate(starts):
            end = starts[at + 1] if at + 1 < len(starts) else len(lines)
            description.media.append(_parse_section(lines[start:end], description, direction))
        return description

    def serialize(self) -> str:
        """The text, with CRLF."""
        lines = ["v=0", f"o={self.origin}", f"s={self.name}", "t=0 0"]
        lines += [f"a=group:BUNDLE {' '.join(mids)}".rstrip() for mids in self.bundle]
        if self.is_lite:
            lines.append("a=ice-lite")
        if self.allows_mixed_extensions:
            lines.append("a=extmap-allow-mixed")
        lines += _serialize_transport(self.transport)
        lines += [f"a={attribute}" for attribute in self.others]
        for section in self.media:
            lines += _serialize_section(section, self)
        return "\r\n".join(lines) + "\r\n"

    def section(self, mid: str) -> MediaDescription | None:
        """The section with a mid."""
        return next((section for section in self.media if section.mid == mid), None)


def _parse_transport(target: TransportAttributes, name: str, value: str) -> bool:
    """Take an attribute of ICE or DTLS; False where it is another."""
    if name == "ice-ufrag":
        target.ice_ufrag = value
    elif name == "ice-pwd":
        target.ice_password = value
    elif name == "ice-options":
        target.ice_options = value
    elif name == "fingerprint":
        target.fingerprints.append(value)
    elif name == "setup":
        try:
            target.setup = Setup(value)
        except ValueError as error:
            raise ParseError("a=setup", f"{value[:20]!r}") from error
    else:
        return False
    return True


def _serialize_transport(transport: TransportAttributes) -> list[str]:
    lines = []
    if transport.ice_ufrag is not None:
        lines.append(f"a=ice-ufrag:{transport.ice_ufrag}")
    if transport.ice_password is not None:
        lines.append(f"a=ice-pwd:{transport.ice_password}")
    if transport.ice_options is not None:
        lines.append(f"a=ice-options:{transport.ice_options}")
    lines += [f"a=fingerprint:{fingerprint}" for fingerprint in transport.fingerprints]
    if transport.setup is not None:
        lines.append(f"a=setup:{transport.setup.value}")
    return lines


def _attribute(line: str) -> tuple[str, str]:
    name, _, value = line[2:].partition(":")
    return name, value


def _parse_session(description: SessionDescription, lines: list[str]) -> Direction | None:
    direction = None
    for line in lines:
        if line.startswith("o="):
            description.origin = line[2:]
        elif line.startswith("s="):
            description.name = line[2:]
        elif line.startswith("a="):
            name, value = _attribute(line)
            if _parse_transport(description.transport, name, value):
                continue
            if name == "group" and value.split(" ")[0] == "BUNDLE":
                description.bundle.append(value.split()[1:])
            elif name == "ice-lite":
                description.is_lite = True
            elif name == "extmap-allow-mixed":
                description.allows_mixed_extensions = True
            elif name in Direction._value2member_map_:
                direction = Direction(name)
            else:
                description.others.append(line[2:])
    return direction


def _parse_media_line(line: str) -> MediaDescription:
    words = line[2:].split(" ")
    if len(words) < 4:
        raise ParseError("m=", f"{line[:80]!r}")
    kind, port, protocol, *formats = words
    section = MediaDescription(kind, number(port.split("/")[0], "m= port", 65535), protocol)
    if not section.is_rtp:
        section.formats = formats
        return section
    for word in dict.fromkeys(formats):
        payload_type = number(word, "m= format", 127)
        name, clock_rate = STATIC_CODECS.get(payload_type, ("", 0))
        section.codecs.append(Codec(payload_type, name, clock_rate))
    return section


def _parse_section(lines: list[str], session: SessionDescription, direction: Direction | None) -> MediaDescription:
    section = _parse_media_line(lines[0])
    section.direction = direction or Direction.SENDRECV
    codecs = {codec.payload_type: codec for codec in section.codecs}
    feedback: dict[int, list[str]] = {}
    everywhere: list[str] = []
    for line in lines[1:]:
        if line.startswith("c="):
            section.connection = line[2:]
        if not line.startswith("a="):
            continue
        name, value = _attribute(line)
        if _parse_transport(section.transport, name, value):
            continue
        if name in ("rtpmap", "fmtp", "rtcp-fb") and section.is_rtp:
            head, _, rest = value.partition(" ")
            if name == "rtcp-fb" and head == "*":
                everywhere.append(rest.strip())
                continue
            codec = codecs.get(number(head, f"a={name}", 127))
            if codec is None:
                continue
            if name == "rtpmap":
                _parse_rtpmap(codec, rest)
            elif name == "fmtp":
                codec.parameters.update(parse_parameters(rest))
            else:
                feedback.setdefault(codec.payload_type, []).append(rest.strip())
        else:
            _parse_attribute(section, name, value, line)
    for codec in section.codecs:
        codec.feedback = tuple(feedback.get(codec.payload_type, []) + everywhere)
    section.codecs = [codec for codec in section.codecs if codec.name]
    section.allows_mixed_extensions |= session.allows_mixed_extensions
    own, general = section.transport, session.transport
    own.ice_ufrag = own.ice_ufrag or general.ice_ufrag
    own.ice_password = own.ice_password or general.ice_password
    own.ice_options = own.ice_options or general.ice_options
    own.fingerprints = own.fingerprints or list(general.fingerprints)
    own.setup = own.setup or general.setup
    return section


def _parse_rtpmap(codec: Codec, value: str) -> None:
    words = value.strip().split("/")
    if len(words) < 2 or not words[0]:
        raise ParseError("a=rtpmap", f"{value[:60]!r}")
    codec.name = words[0]
    codec.clock_rate = number(words[1], "a=rtpmap clock rate")
    codec.channels = number(words[2], "a=rtpmap channels", 255) if len(words) > 2 else 1


def _parse_attribute(section: MediaDescription, name: str, value: str, line: str) -> None:
    match name:
        case "mid":
            section.mid = value
        case "sendrecv" | "sendonly" | "recvonly" | "inactive":
            section.direction = Direction(name)
        case "extmap":
            section.extensions.append(HeaderExtension.parse(value))
        case "extmap-allow-mixed":
            section.allows_mixed_extensions = True
        case "rid":
            section.rids.append(Rid.parse(value))
        case "simulcast":
            section.simulcast = Simulcast.parse(value)
        case "msid":
            section.msids.append(value)
        case "ssrc":
            head, _, rest = value.partition(" ")
            key, _, content = rest.partition(":")
            section.ssrcs.setdefault(number(head, "a=ssrc"), {})[key] = content
        case "ssrc-group":
            section.ssrc_groups.append(SsrcGroup.parse(value))
        case "rtcp-mux":
            section.rtcp_mux = True
        case "rtcp-rsize":
            section.reduced_size_rtcp = True
        case "bundle-only":
            section.bundle_only = True
        case "candidate":
            section.candidates.append(Candidate.parse(value))
        case "end-of-candidates":
            section.end_of_candidates = True
        case "sctp-port":
            section.sctp_port = number(value, "a=sctp-port", 65535)
        case "max-message-size":
            section.max_message_size = number(value, "a=max-message-size", 1 << 62)
        case _:
            section.others.append(line[2:])


def _serialize_section(section: MediaDescription, session: SessionDescription) -> list[str]:
    formats = [str(codec.payload_type) for codec in section.codecs] if section.is_rtp else section.formats
    lines = [f"m={section.kind} {section.port} {section.protocol} {' '.join(formats or ['0'])}"]
    lines.append(f"c={section.connection}")
    if section.mid:
        lines.append(f"a=mid:{section.mid}")
    if section.is_rtp or section.direction is not Direction.SENDRECV:
        lines.append(f"a={section.direction.value}")
    if section.bundle_only:
        lines.append("a=bundle-only")
    lines += _serialize_transport(section.transport)
    lines += [f"a=candidate:{candidate.serialize()}" for candidate in section.candidates]
    if section.end_of_candidates:
        lines.append("a=end-of-candidates")
    if section.rtcp_mux:
        lines.append("a=rtcp-mux")
    if section.reduced_size_rtcp:
        lines.append("a=rtcp-rsize")
    if section.allows_mixed_extensions and not session.allows_mixed_extensions:
        lines.append("a=extmap-allow-mixed")
    lines += [f"a=extmap:{extension.serialize()}" for extension in section.extensions]
    for codec in section.codecs:
        lines.append(f"a=rtpmap:{codec.payload_type} {codec.rtpmap}")
        lines += [f"a=rtcp-fb:{codec.payload_type} {kind}" for kind in codec.feedback]
        if codec.parameters:
            lines.append(f"a=fmtp:{codec.payload_type} {codec.fmtp}")
    lines += [f"a=msid:{msid}" for msid in section.msids]
    lines += [f"a=ssrc-group:{group.serialize()}" for group in section.ssrc_groups]
    for ssrc, attributes in section.ssrcs.items():
        lines += [f"a=ssrc:{ssrc} {key}:{value}" if value else f"a=ssrc:{ssrc} {key}" for key, value in attributes.items()]
    lines += [f"a=rid:{rid.serialize()}" for rid in section.rids]
    if section.simulcast is not None:
        lines.append(f"a=simulcast:{section.simulcast.serialize()}")
    if section.sctp_port is not None:
        lines.append(f"a=sctp-port:{section.sctp_port}")
    if section.max_message_size is not None:
        lines.append(f"a=max-message-size:{section.max_message_size}")
    return lines + [f"a={attribute}" for attribute in section.others]

"""Session descriptions: text to model and back (RFC 8866, RFC 9429 section 5). What is not modelled is kept as it is.

``SessionDescription.parse`` fills what a section lacks from the session: nobody who reads a section needs to know at
which level an attribute stood.
"""

import re
from dataclasses import dataclass, field, replace

from visiomedia.errors import ParseError
from visiomedia.sdp.attributes import (
    DIRECTIONS,
    Candidate,
    Codec,
    Direction,
    HeaderExtension,
    Rid,
    Setup,
    Simulcast,
    SsrcGroup,
    parse_parameters,
    parse_rtpmap,
)
from visiomedia.sdp.grammar import Line, parse_lines, parse_number

STATIC_CODECS = {
    0: ("PCMU", 8000, 1),
    3: ("GSM", 8000, 1),
    8: ("PCMA", 8000, 1),
    9: ("G722", 8000, 1),
    10: ("L16", 44100, 2),
    11: ("L16", 44100, 1),
    13: ("CN", 8000, 1),
    18: ("G729", 8000, 1),
    26: ("JPEG", 90000, 1),
    31: ("H261", 90000, 1),
    34: ("H263", 90000, 1),
}
"""Payload types that need no rtpmap (RFC 3551 section 6)."""

DATA_CHANNEL_FORMAT = "webrtc-datachannel"
NOWHERE = "IN IP4 0.0.0.0"

MOST_FINGERPRINTS = 16
"""At each level: every section holds those of the session."""
MOST_FEEDBACK = 64
"""Kinds of one format, those that ``*`` gives to all included."""

_FINGERPRINT = re.compile("[A-Za-z0-9-]+ +[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2})*")
# Departs from RFC 8839 section 5.4: because clients use more than its ice-chars.
_UFRAG = re.compile("[!-~]{4,256}")
_PASSWORD = re.compile("[!-~]{22,256}")
_TOKEN = re.compile("[!-~]{1,256}")


@dataclass(slots=True)
class TransportAttributes:
    """What a session or a section says of ICE (RFC 8839) and DTLS (RFC 8122, RFC 8842)."""

    ice_ufrag: str | None = None
    ice_password: str | None = None
    ice_options: str | None = None
    fingerprints: list[str] = field(default_factory=list)
    """Hash function and hexadecimal pairs."""
    setup: Setup | None = None

    def parse_attribute(self, name: str, value: str) -> bool:
        """Take an attribute of ICE or DTLS; False where it is another. Raises ParseError."""
        match name:
            case "ice-ufrag":
                self.ice_ufrag = _matching(_UFRAG, value, "a=ice-ufrag")
            case "ice-pwd":
                self.ice_password = _matching(_PASSWORD, value, "a=ice-pwd")
            case "ice-options":
                self.ice_options = value
            case "fingerprint":
                if len(self.fingerprints) == MOST_FINGERPRINTS:
                    raise ParseError("a=fingerprint", f"more than {MOST_FINGERPRINTS}")
                self.fingerprints.append(_matching(_FINGERPRINT, value.strip(), "a=fingerprint"))
            case "setup":
                try:
                    self.setup = Setup(value.lower())
                except ValueError as error:
                    raise ParseError("a=setup", f"{value[:20]!r}") from error
            case _:
                return False
        return True

    def serialize(self) -> list[str]:
        """The attribute lines."""
        values = [("ice-ufrag", self.ice_ufrag), ("ice-pwd", self.ice_password), ("ice-options", self.ice_options)]
        lines = [f"a={name}:{value}" for name, value in values if value is not None]
        lines += [f"a=fingerprint:{fingerprint}" for fingerprint in self.fingerprints]
        if self.setup is not None:
            lines.append(f"a=setup:{self.setup.value}")
        return lines

    def fill(self, general: "TransportAttributes") -> None:
        """Take from the session what the section does not say."""
        self.ice_ufrag = self.ice_ufrag if self.ice_ufrag is not None else general.ice_ufrag
        self.ice_password = self.ice_password if self.ice_password is not None else general.ice_password
        self.ice_options = self.ice_options if self.ice_options is not None else general.ice_options
        self.fingerprints = self.fingerprints or list(general.fingerprints)
        self.setup = self.setup or general.setup


@dataclass(slots=True)
class MediaDescription:
    """One m-section."""

    kind: str
    """``audio``, ``video`` or ``application``."""
    port: int
    protocol: str
    mid: str = ""
    direction: Direction = Direction.SENDRECV
    codecs: list[Codec] = field(default_factory=list)
    """Of a section over RTP, in order of preference."""
    formats: list[str] = field(default_factory=list)
    """Of a section that is not RTP: its formats as they stand."""
    extensions: list[HeaderExtension] = field(default_factory=list)
    allows_mixed_extensions: bool = False
    rids: list[Rid] = field(default_factory=list)
    simulcast: Simulcast | None = None
    msids: list[str] = field(default_factory=list)
    """Stream id and track id (RFC 8830)."""
    ssrcs: dict[int, dict[str, str]] = field(default_factory=dict)
    """Attributes (``cname``, ``msid``) by SSRC, in order."""
    ssrc_groups: list[SsrcGroup] = field(default_factory=list)
    rtcp_mux: bool = False
    reduced_size_rtcp: bool = False
    extended_reports: list[str] = field(default_factory=list)
    """Formats of ``a=rtcp-xr`` (RFC 3611 section 5.1)."""
    bundle_only: bool = False
    transport: TransportAttributes = field(default_factory=TransportAttributes)
    candidates: list[Candidate] = field(default_factory=list)
    end_of_candidates: bool = False
    sctp_port: int | None = None
    max_message_size: int | None = None
    """Bytes; 0 is no limit."""
    connection: str = NOWHERE
    others: list[str] = field(default_factory=list)
    """Attributes that are not modelled, as they stand behind ``a=``."""
    other_lines: list[str] = field(default_factory=list)
    """Lines between ``m=`` and the attributes that are not modelled: ``i=``, ``b=``, ``k=``."""

    @property
    def is_rtp(self) -> bool:
        """Whether it is media over RTP."""
        return "RTP" in self.protocol.split("/")

    @property
    def is_data_channel(self) -> bool:
        """Whether it is SCTP over DTLS for data channels (RFC 8841)."""
        return self.protocol in ("UDP/DTLS/SCTP", "TCP/DTLS/SCTP") and DATA_CHANNEL_FORMAT in self.formats

    @property
    def is_rejected(self) -> bool:
        """Port 0, unless it is only there to be bundled (RFC 9143 section 6)."""
        return self.port == 0 and not self.bundle_only

    @property
    def stream_ids(self) -> tuple[str, ...]:
        """Media streams that the track belongs to; ``-`` is none (RFC 8830 section 2)."""
        return tuple(words[0] for words in (msid.split() for msid in self.msids) if words and words[0] != "-")

    @property
    def track_id(self) -> str | None:
        """The track's id, where one is said."""
        return next((words[1] for words in (msid.split() for msid in self.msids) if len(words) > 1), None)

    def codec(self, payload_type: int) -> Codec | None:
        """The format with a payload type."""
        return next((codec for codec in self.codecs if codec.payload_type == payload_type), None)

    def serialize(self, session: "SessionDescription") -> list[str]:
        """Its lines within a session. Attributes go to the section wherever they are allowed at both levels."""
        formats = [str(codec.payload_type) for codec in self.codecs] if self.is_rtp else self.formats
        lines = [f"m={self.kind} {self.port} {self.protocol} {' '.join(formats or ['0'])}"]
        # RFC 8866 section 5: "i=" comes before "c=", the others behind.
        lines += [line for line in self.other_lines if line.startswith("i=")]
        lines.append(f"c={self.connection}")
        lines += [line for line in self.other_lines if not line.startswith("i=")]
        lines += [f"a=mid:{self.mid}"] if self.mid else []
        if self.is_rtp or self.direction is not (session.direction or Direction.SENDRECV):
            lines.append(f"a={self.direction.value}")
        lines += ["a=bundle-only"] if self.bundle_only else []
        lines += self.transport.serialize()
        lines += [f"a=candidate:{candidate.serialize()}" for candidate in self.candidates]
        lines += ["a=end-of-candidates"] if self.end_of_candidates else []
        lines += self._serialize_rtp(session.allows_mixed_extensions)
        if self.sctp_port is not None:
            lines.append(f"a=sctp-port:{self.sctp_port}")
        if self.max_message_size is not None:
            lines.append(f"a=max-message-size:{self.max_message_size}")
        return lines + [f"a={attribute}" for attribute in self.others]

    def _serialize_rtp(self, session_allows_mixed_extensions: bool) -> list[str]:
        lines = [f"a=msid:{msid}" for msid in self.msids]
        lines += ["a=rtcp-mux"] if self.rtcp_mux else []
        lines += ["a=rtcp-rsize"] if self.reduced_size_rtcp else []
        lines += [f"a=rtcp-xr:{formats}" for formats in self.extended_reports]
        if self.allows_mixed_extensions and not (self.is_rtp and session_allows_mixed_extensions):
            lines.append("a=extmap-allow-mixed")
        lines += [f"a=extmap:{extension.serialize()}" for extension in self.extensions]
        for codec in self.codecs:
            if codec.name:
                lines.append(f"a=rtpmap:{codec.payload_type} {codec.rtpmap}")
            lines += [f"a=rtcp-fb:{codec.payload_type} {kind}" for kind in codec.feedback]
            if codec.parameters:
                lines.append(f"a=fmtp:{codec.payload_type} {codec.fmtp}")
        lines += [f"a=ssrc-group:{group.serialize()}" for group in self.ssrc_groups]
        for ssrc, attributes in self.ssrcs.items():
            lines += [f"a=ssrc:{ssrc} {key}" + (f":{value}" if value else "") for key, value in attributes.items()]
        lines += [f"a=rid:{rid.serialize()}" for rid in self.rids]
        if self.simulcast is not None:
            lines.append(f"a=simulcast:{self.simulcast.serialize()}")
        return lines


@dataclass(slots=True)
class SessionDescription:
    """An offer or an answer."""

    origin: str = "- 0 0 IN IP4 127.0.0.1"
    name: str = "-"
    media: list[MediaDescription] = field(default_factory=list)
    bundle: list[list[str]] = field(default_factory=list)
    """BUNDLE groups as mids (RFC 9143)."""
    is_lite: bool = False
    allows_mixed_extensions: bool = False
    direction: Direction | None = None
    transport: TransportAttributes = field(default_factory=TransportAttributes)
    others: list[str] = field(default_factory=list)
    """Attributes that are not modelled, as they stand behind ``a=``."""
    other_lines: list[str] = field(default_factory=lambda: ["t=0 0"])
    """Lines between ``s=`` and the attributes, as they stand."""

    @classmethod
    def parse(cls, text: str) -> "SessionDescription":
        """Raises ParseError for anything that is no session description."""
        head, *blocks = parse_lines(text)
        description = cls(other_lines=[])
        connection = NOWHERE
        for line in head[1:]:
            match line.kind:
                case "o":
                    description.origin = line.value
                case "s":
                    description.name = line.value
                case "a":
                    description._parse_attribute(line)
                case _:
                    description.other_lines.append(line.serialize())
                    connection = line.value if line.kind == "c" else connection
        for block in blocks:
            section = _SectionParser(block[0]).parse(block[1:], description.direction, connection)
            section.allows_mixed_extensions |= section.is_rtp and description.allows_mixed_extensions
            section.transport.fill(description.transport)
            description.media.append(section)
        return description

    def _parse_attribute(self, line: Line) -> None:
        name, value = line.attribute
        if self.transport.parse_attribute(name, value):
            return
        if name == "group" and value.split(" ")[0] == "BUNDLE":
            self.bundle.append(value.split()[1:])
        elif name == "ice-lite":
            self.is_lite = True
        elif name == "extmap-allow-mixed":
            self.allows_mixed_extensions = True
        elif name in DIRECTIONS:
            self.direction = DIRECTIONS[name]
        else:
            self.others.append(line.value)

    def serialize(self) -> str:
        """The text, with CRLF."""
        lines = ["v=0", f"o={self.origin}", f"s={self.name}", *self.other_lines]
        lines += [" ".join(["a=group:BUNDLE", *mids]) for mids in self.bundle]
        lines += ["a=ice-lite"] if self.is_lite else []
        lines += ["a=extmap-allow-mixed"] if self.allows_mixed_extensions else []
        lines += [f"a={self.direction.value}"] if self.direction is not None else []
        lines += self.transport.serialize()
        lines += [f"a={attribute}" for attribute in self.others]
        for section in self.media:
            lines += section.serialize(self)
        return "\r\n".join(lines) + "\r\n"

    def section(self, mid: str) -> MediaDescription | None:
        """The section with a mid."""
        return next((section for section in self.media if section.mid == mid), None)

    @property
    def transport_section(self) -> MediaDescription | None:
        """The section whose ICE and DTLS attributes hold for all that is bundled; None where nothing is accepted.

        RFC 9143 section 7.1: that is the first of the BUNDLE group, the tagged one.
        """
        accepted = [section for section in self.media if not section.is_rejected]
        by_mid = {section.mid: section for section in accepted}
        tagged = (by_mid[mid] for group in self.bundle[:1] for mid in group if mid in by_mid)
        return next(tagged, accepted[0] if accepted else None)


class _SectionParser:
    """Reads one section. What concerns one format comes in several lines, so formats are complete at the end only."""

    def __init__(self, line: Line) -> None:
        words = line.value.split()
        if len(words) < 4:
            raise ParseError("m=", f"{line.value[:80]!r}")
        kind, port, protocol, *formats = words
        self.section = MediaDescription(kind, parse_number(port.split("/")[0], "m= port", 65535), protocol)
        self.codecs: dict[int, Codec] = {}
        self.feedback: dict[int, list[str]] = {}
        self.general_feedback: list[str] = []
        if not self.section.is_rtp:
            self.section.formats = formats
            return
        for word in formats:
            payload_type = parse_number(word, "m= format", 127)
            self.codecs[payload_type] = Codec(payload_type, *STATIC_CODECS.get(payload_type, ("", 0, 1)))

    def parse(self, lines: list[Line], direction: Direction | None, connection: str) -> MediaDescription:
        """The section, given what the session says of its direction and address. Raises ParseError."""
        section = self.section
        section.direction = direction or Direction.SENDRECV
        section.connection = connection
        for line in lines:
            if line.kind == "c":
                section.connection = line.value
            elif line.kind != "a":
                section.other_lines.append(line.serialize())
            else:
                name, value = line.attribute
                if not (
                    section.transport.parse_attribute(name, value)
                    or (section.is_rtp and self._parse_format(name, value))
                    or self._parse_flag(name)
                    or self._parse_value(name, value)
                ):
                    section.others.append(line.value)
        section.other_lines.sort(key=lambda line: not line.startswith("i="))
        for payload_type, codec in self.codecs.items():
            kinds = self.feedback.get(payload_type, [])
            for kind in self.general_feedback:
                self._add_feedback(kinds, kind)
            section.codecs.append(replace(codec, feedback=tuple(kinds)))
        return section

    def _parse_format(self, name: str, value: str) -> bool:
        if name not in ("rtpmap", "fmtp", "rtcp-fb"):
            return False
        head, _, rest = value.partition(" ")
        if name == "rtcp-fb" and head == "*":
            self._add_feedback(self.general_feedback, rest)
            return True
        payload_type = parse_number(head, f"a={name}", 127)
        codec = self.codecs.get(payload_type)
        if codec is None:
            return True  # of a format that the section does not have
        if name == "rtcp-fb":
            self._add_feedback(self.feedback.setdefault(payload_type, []), rest)
        elif name == "fmtp":
            codec.parameters.update(parse_parameters(rest))
        else:
            encoding, clock_rate, channels = parse_rtpmap(rest)
            self.codecs[payload_type] = replace(codec, name=encoding, clock_rate=clock_rate, channels=channels)
        return True

    @staticmethod
    def _add_feedback(kinds: list[str], value: str) -> None:
        if value.strip() in kinds:
            return
        if len(kinds) == MOST_FEEDBACK:
            raise ParseError("a=rtcp-fb", f"more than {MOST_FEEDBACK} kinds of one format")
        kinds.append(value.strip())

    def _parse_flag(self, name: str) -> bool:
        section = self.section
        match name:
            case "sendrecv" | "sendonly" | "recvonly" | "inactive":
                section.direction = DIRECTIONS[name]
            case "rtcp-mux":
                section.rtcp_mux = True
            case "rtcp-rsize":
                section.reduced_size_rtcp = True
            case "extmap-allow-mixed":
                section.allows_mixed_extensions = True
            case "bundle-only":
                section.bundle_only = True
            case "end-of-candidates":
                section.end_of_candidates = True
            case _:
                return False
        return True

    def _parse_value(self, name: str, value: str) -> bool:
        section = self.section
        match name:
            case "mid":
                section.mid = _matching(_TOKEN, value, "a=mid")
            case "extmap":
                section.extensions.append(HeaderExtension.parse(value))
            case "rid":
                section.rids.append(Rid.parse(value))
            case "simulcast":
                section.simulcast = Simulcast.parse(value)
            case "msid":
                section.msids.append(value)
            case "rtcp-xr":
                section.extended_reports.append(value)
            case "ssrc":
                head, _, rest = value.partition(" ")
                key, _, content = rest.partition(":")
                if not key:
                    raise ParseError("a=ssrc", f"{value[:40]!r} says nothing of it")
                section.ssrcs.setdefault(parse_number(head, "a=ssrc"), {})[key] = content
            case "ssrc-group":
                section.ssrc_groups.append(SsrcGroup.parse(value))
            case "candidate":
                section.candidates.append(Candidate.parse(value))
            case "sctp-port":
                section.sctp_port = parse_number(value, "a=sctp-port", 65535)
            case "max-message-size":
                section.max_message_size = parse_number(value, "a=max-message-size", (1 << 64) - 1)
            case _:
                return False
        return True


def _matching(pattern: re.Pattern[str], value: str, what: str) -> str:
    if not pattern.fullmatch(value):
        raise ParseError(what, f"{value[:60]!r}")
    return value

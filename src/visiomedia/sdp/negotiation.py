"""Answers and offers of a server (RFC 8829), and what the two descriptions together settle.

Everything is bundled on one transport (RFC 8843) with RTP and RTCP multiplexed (RFC 5761).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from visiomedia.errors import NegotiationError
from visiomedia.sdp.attributes import (
    Candidate,
    Codec,
    Direction,
    HeaderExtension,
    Rid,
    Setup,
    Simulcast,
    SsrcGroup,
)
from visiomedia.sdp.capabilities import SERVER_CAPABILITIES, Capabilities, is_same_format
from visiomedia.sdp.description import MediaDescription, SessionDescription, TransportAttributes

FIRST_DYNAMIC = 96
LAST_DYNAMIC = 127
DATA_CHANNEL_FORMAT = "webrtc-datachannel"


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingStream:
    """What we send in a section."""

    ssrc: int
    rtx_ssrc: int
    cname: str
    stream_id: str
    """Tracks with one stream id are played together."""
    track_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SectionPlan:
    """What we want of one section; the offer may allow less."""

    accepts: bool = True
    receives: bool = True
    stream: OutgoingStream | None = None
    """What we send; None sends nothing."""
    codec: Codec | None = None
    """The only format wanted, for forwarding a track that exists; None takes the first that both know."""
    sctp_port: int | None = None
    max_message_size: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalTransport:
    """What our description says of ICE and DTLS."""

    ufrag: str
    password: str
    fingerprint: str
    candidates: Sequence[Candidate]
    is_lite: bool = True
    session_id: int = 1
    version: int = 1


@dataclass(slots=True)
class NegotiatedSection:
    """What two descriptions settle of one section, as our side sees it."""

    mid: str
    kind: str
    receives: bool
    sends: bool
    codec: Codec | None
    """The one media format in use, with the payload type that the peer reads and writes."""
    rtx: Codec | None
    receive_codecs: list[Codec] = field(default_factory=list)
    extensions: dict[int, str] = field(default_factory=dict)
    """URI by id."""
    allows_mixed_extensions: bool = False
    rids: tuple[str, ...] = ()
    """Simulcast layers that the peer sends, in its order."""
    ssrcs: dict[int, int | None] = field(default_factory=dict)
    """SSRCs that the peer declared; for a repair stream what it repairs."""
    reduced_size_rtcp: bool = False


def choose_format(
    offered: MediaDescription, capabilities: Capabilities, wanted: Codec | None = None
) -> tuple[Codec, Codec | None] | None:
    """The format to use in a section, and its RTX format if both know one; None where there is nothing in common."""
    for codec in offered.codecs:
        if codec.apt is not None or codec.name.lower() == "rtx" or not capabilities.supports(offered.kind, codec):
            continue
        if wanted is not None and not is_same_format(wanted, codec):
            continue
        rtx = next((other for other in offered.codecs if other.apt == codec.payload_type), None)
        return codec, rtx if capabilities.takes_rtx else None
    return None


def _transport(local: LocalTransport, setup: Setup) -> TransportAttributes:
    return TransportAttributes(local.ufrag, local.password, None, [local.fingerprint], setup)


def _origin(local: LocalTransport) -> str:
    return f"- {local.session_id} {local.version} IN IP4 127.0.0.1"


def _feedback(offered: Codec, taken: Sequence[str]) -> tuple[str, ...]:
    return tuple(kind for kind in offered.feedback if kind in taken)


def _place(section: MediaDescription, local: LocalTransport) -> None:
    """Where the transport is: a default address and every candidate (RFC 8839 section 4.1)."""
    if not local.candidates:
        section.port = 9
        return
    first = local.candidates[0]
    section.port = first.port
    section.connection = f"IN IP{6 if ':' in first.host else 4} {first.host}"
    section.candidates = list(local.candidates)
    section.end_of_candidates = True


def _declare(section: MediaDescription, stream: OutgoingStream, has_rtx: bool) -> None:
    """Say what we send, by msid (RFC 8830) and by SSRC (RFC 5576), so that no receiver has to guess."""
    section.msids = [f"{stream.stream_id} {stream.track_id}"]
    section.ssrcs[stream.ssrc] = {"cname": stream.cname, "msid": section.msids[0]}
    if has_rtx:
        section.ssrcs[stream.rtx_ssrc] = {"cname": stream.cname, "msid": section.msids[0]}
        section.ssrc_groups = [SsrcGroup("FID", (stream.ssrc, stream.rtx_ssrc))]


def _answer_section(
    offered: MediaDescription, plan: SectionPlan, capabilities: Capabilities, local: LocalTransport, setup: Setup
) -> MediaDescription | None:
    """None rejects it."""
    if not plan.accepts or offered.is_rejected:
        return None
    section = MediaDescription(offered.kind, 9, offered.protocol, offered.mid)
    section.transport = _transport(local, setup)
    _place(section, local)
    if not offered.is_rtp:
        if plan.sctp_port is None or DATA_CHANNEL_FORMAT not in offered.formats:
            return None
        section.formats = [DATA_CHANNEL_FORMAT]
        section.sctp_port, section.max_message_size = plan.sctp_port, plan.max_message_size
        return section
    chosen = choose_format(offered, capabilities, plan.codec)
    if chosen is None:
        return None
    codec, rtx = chosen
    receives = plan.receives and offered.direction.sends
    sends = plan.stream is not None and offered.direction.receives
    section.direction = Direction.of(sends=sends, receives=receives)
    taken = capabilities.receive_feedback if receives else capabilities.send_feedback
    section.codecs = [
        Codec(codec.payload_type, codec.name, codec.clock_rate, codec.channels, dict(codec.parameters), _feedback(codec, taken))
    ]
    if rtx is not None:
        section.codecs.append(Codec(rtx.payload_type, rtx.name, rtx.clock_rate, 1, {"apt": str(codec.payload_type)}))
    wanted = capabilities.receive_extensions if receives else capabilities.send_extensions
    section.extensions = [
        HeaderExtension(extension.identifier, extension.uri, extension.direction.reversed if extension.direction else None)
        for extension in offered.extensions
        if extension.uri in wanted
    ]
    section.allows_mixed_extensions = offered.allows_mixed_extensions
    section.rtcp_mux = True
    section.reduced_size_rtcp = offered.reduced_size_rtcp
    if receives and offered.simulcast is not None and offered.simulcast.send:
        # RFC 8853 section 5.3.2: the answer reverses the direction; the order stays the sender's.
        section.rids = [Rid(rid, "recv") for rid in offered.simulcast.send]
        section.simulcast = Simulcast(receive=offered.simulcast.send)
    if sends and plan.stream is not None:
        _declare(section, plan.stream, rtx is not None and plan.stream.rtx_ssrc != 0)
    return section


def create_answer(
    offer: SessionDescription,
    local: LocalTransport,
    plans: Mapping[str, SectionPlan],
    capabilities: Capabilities = SERVER_CAPABILITIES,
) -> SessionDescription:
    """Answer an offer section by section; a section without a plan, or with nothing in common, is rejected.

    Raises NegotiationError where the offer cannot be answered at all.
    """
    setup = Setup.ACTIVE if offered_setup(offer) is Setup.PASSIVE else Setup.PASSIVE
    answer = SessionDescription(_origin(local), is_lite=local.is_lite)
    answer.allows_mixed_extensions = offer.allows_mixed_extensions
    bundled = {mid for group in offer.bundle for mid in group}
    accepted = []
    for offered in offer.media:
        if bundled and offered.mid not in bundled and not offered.is_rejected:
            plan = None  # it would need a transport of its own
        elif not bundled and accepted:
            plan = None
        else:
            plan = plans.get(offered.mid)
        section = None if plan is None else _answer_section(offered, plan, capabilities, local, setup)
        if section is None:
            section = MediaDescription(offered.kind, 0, offered.protocol, offered.mid, Direction.INACTIVE)
            # RFC 8829 section 5.3.1: a rejected section repeats a format of the offer.
            section.codecs, section.formats = offered.codecs[:1], offered.formats[:1]
        else:
            accepted.append(offered.mid)
        answer.media.append(section)
    if bundled:
        answer.bundle = [accepted]
    return answer


def offered_setup(description: SessionDescription) -> Setup:
    """The DTLS role a description asks for; actpass where it says nothing (RFC 8842 section 5.1)."""
    for section in description.media:
        if not section.is_rejected and section.transport.setup is not None:
            return section.transport.setup
    return Setup.ACTPASS


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferedSection:
    """One section of an offer of ours. A mid keeps its place in every offer that follows."""

    kind: str
    mid: str
    receives: bool = False
    stream: OutgoingStream | None = None
    codec: Codec | None = None
    """The only format offered, for a track that exists; None offers all."""
    sctp_port: int | None = None
    max_message_size: int | None = None


def create_offer(
    local: LocalTransport, sections: Sequence[OfferedSection], capabilities: Capabilities = SERVER_CAPABILITIES
) -> SessionDescription:
    """Offer sections, in order. Formats have the same payload types in every section and every offer."""
    offer = SessionDescription(_origin(local), is_lite=local.is_lite, allows_mixed_extensions=True)
    identifiers = {
        uri: number
        for number, uri in enumerate(
            dict.fromkeys((*capabilities.receive_extensions, *capabilities.send_extensions)), start=1
        )
    }
    payload_types = _assign_payload_types(capabilities)
    for wanted in sections:
        section = MediaDescription(wanted.kind, 9, "UDP/TLS/RTP/SAVPF", wanted.mid)
        section.transport = _transport(local, Setup.ACTPASS)
        _place(section, local)
        if wanted.kind == "application":
            section.protocol, section.formats = "UDP/DTLS/SCTP", [DATA_CHANNEL_FORMAT]
            section.sctp_port, section.max_message_size = wanted.sctp_port, wanted.max_message_size
            offer.media.append(section)
            continue
        section.direction = Direction.of(sends=wanted.stream is not None, receives=wanted.receives)
        taken = capabilities.receive_feedback if wanted.receives else capabilities.send_feedback
        for codec in capabilities.codecs(wanted.kind):
            if wanted.codec is not None and not is_same_format(wanted.codec, codec):
                continue
            number, rtx_number = payload_types[_format_key(codec)]
            feedback = taken if wanted.kind == "video" else tuple(kind for kind in taken if kind == "transport-cc")
            section.codecs.append(
                Codec(number, codec.name, codec.clock_rate, codec.channels, dict(codec.parameters), feedback)
            )
            if rtx_number is not None:
                section.codecs.append(Codec(rtx_number, "rtx", codec.clock_rate, 1, {"apt": str(number)}))
        uris = capabilities.receive_extensions if wanted.receives else capabilities.send_extensions
        section.extensions = [HeaderExtension(identifiers[uri], uri) for uri in uris]
        section.allows_mixed_extensions = section.rtcp_mux = section.reduced_size_rtcp = True
        if wanted.stream is not None:
            has_rtx = wanted.stream.rtx_ssrc != 0 and any(codec.apt is not None for codec in section.codecs)
            _declare(section, wanted.stream, has_rtx)
        offer.media.append(section)
    offer.bundle = [[section.mid for section in offer.media]]
    return offer


def _format_key(codec: Codec) -> str:
    return f"{codec.rtpmap} {codec.fmtp}"


def _assign_payload_types(capabilities: Capabilities) -> dict[str, tuple[int, int | None]]:
    """Dynamic payload types (RFC 3551 section 6; 35-63 of RFC 5761 where 96-127 do not suffice)."""
    free = iter([*range(FIRST_DYNAMIC, LAST_DYNAMIC + 1), *range(35, 64)])
    assigned: dict[str, tuple[int, int | None]] = {}
    for kind in ("audio", "video"):
        for codec in capabilities.codecs(kind):
            number = next(free)
            assigned[_format_key(codec)] = (number, next(free) if kind == "video" and capabilities.takes_rtx else None)
    return assigned


def negotiated(local: MediaDescription, remote: MediaDescription) -> NegotiatedSection:
    """What our section and the peer's settle. Raises NegotiationError where they do not fit."""
    if local.mid != remote.mid or local.kind != remote.kind:
        raise NegotiationError(f"section {remote.mid!r} ({remote.kind}) does not fit {local.mid!r} ({local.kind})")
    result = NegotiatedSection(local.mid, local.kind, False, False, None, None)
    if local.is_rejected or remote.is_rejected or not local.is_rtp:
        return result
    result.receives = local.direction.receives and remote.direction.sends
    result.sends = local.direction.sends and remote.direction.receives
    common = [codec for codec in remote.codecs if local.codec(codec.payload_type) is not None]
    media = [codec for codec in common if codec.name.lower() != "rtx"]
    if not media and (result.receives or result.sends):
        raise NegotiationError(f"section {local.mid!r}: no format in common")
    if media:
        # Both directions use the answer's first format: an answer of ours has but one.
        answered = local if len(local.codecs) <= len(remote.codecs) else remote
        first = next(codec for codec in answered.codecs if any(codec.payload_type == other.payload_type for other in media))
        result.codec = next(codec for codec in media if codec.payload_type == first.payload_type)
        result.rtx = next((codec for codec in common if codec.apt == first.payload_type), None)
    result.receive_codecs = common
    ours = {extension.uri for extension in local.extensions}
    result.extensions = {
        extension.identifier: extension.uri for extension in remote.extensions if extension.uri in ours
    }
    result.allows_mixed_extensions = local.allows_mixed_extensions and remote.allows_mixed_extensions
    if result.receives and remote.simulcast is not None and local.simulcast is not None:
        result.rids = tuple(rid for rid in remote.simulcast.send if rid in local.simulcast.receive)
    result.ssrcs = {ssrc: None for ssrc in remote.ssrcs}
    for group in remote.ssrc_groups:
        if group.semantics == "FID" and len(group.ssrcs) == 2:
            result.ssrcs[group.ssrcs[1]] = group.ssrcs[0]
    result.reduced_size_rtcp = local.reduced_size_rtcp and remote.reduced_size_rtcp
    return result

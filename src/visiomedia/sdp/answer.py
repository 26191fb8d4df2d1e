"""Answers of a server (RFC 9429 section 5.3), bundled on one transport (RFC 9143), RTCP multiplexed (RFC 5761)."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from visiomedia.sdp.attributes import Codec, Direction, HeaderExtension, Rid, Setup, Simulcast
from visiomedia.sdp.capabilities import SERVER_CAPABILITIES, Capabilities, MediaCapabilities
from visiomedia.sdp.description import DATA_CHANNEL_FORMAT, MediaDescription, SessionDescription
from visiomedia.sdp.formats import (
    answered_parameters,
    can_carry,
    common_formats,
    is_same_format,
    repair_format,
)
from visiomedia.sdp.local import LocalTransport, OutgoingStream


@dataclass(frozen=True, slots=True, kw_only=True)
class SectionPlan:
    """What we want of one offered section; the offer may allow less."""

    accepts: bool = True
    receives: bool = True
    stream: OutgoingStream | None = None
    """What we send; None sends nothing."""
    codec: Codec | None = None
    """The only format wanted, for forwarding a track that exists; None takes all that both know."""
    preferred: Codec | str | int | None = None
    """What to put first: a format, a codec's name, or a payload type of the offer."""
    accepts_simulcast: bool = True
    sctp_port: int | None = None
    """Of a data channel section; None rejects it."""
    max_message_size: int | None = None
    """Bytes that we take in one message."""


def choose_format(
    offered: MediaDescription, capabilities: Capabilities, wanted: Codec | None = None
) -> tuple[Codec, Codec | None] | None:
    """The format to use in a section, and its RTX format if both know one; None where there is nothing in common.

    ``wanted``: the format of a stream that is to be sent. Where it is not offered, one that can carry it does.
    """
    takes_rtx = capabilities.of(offered.kind).takes_rtx
    for codec in _formats(offered, capabilities, wanted):
        return codec, repair_format(offered.codecs, codec) if takes_rtx else None
    return None


def _formats(offered: MediaDescription, capabilities: Capabilities, wanted: Codec | None) -> list[Codec]:
    own, in_own_order = capabilities.codecs(offered.kind), capabilities.prefers_own_order
    common = common_formats(offered.codecs, own, prefers_own_order=in_own_order)
    if wanted is None:
        return common
    exact = [codec for codec in common if is_same_format(wanted, codec)]
    return (exact or [codec for codec in common if can_carry(wanted, codec)])[:1]


def _is_preferred(codec: Codec, preferred: Codec | str | int) -> bool:
    if isinstance(preferred, Codec):
        return is_same_format(preferred, codec)
    if isinstance(preferred, str):
        return codec.name.lower() == preferred.lower()
    return codec.payload_type == preferred


@dataclass(slots=True)
class _Bundle:
    """What numbers mean in all sections of a bundle: said twice they must mean the same (RFC 9143 section 9 and 15)."""

    formats: dict[int, Codec] = field(default_factory=dict)
    extensions: dict[int, str] = field(default_factory=dict)

    def takes_format(self, codec: Codec) -> bool:
        known = self.formats.setdefault(codec.payload_type, codec)
        return is_same_format(known, codec) and known.apt == codec.apt

    def takes_extension(self, extension: HeaderExtension) -> bool:
        return self.extensions.setdefault(extension.identifier, extension.uri) == extension.uri


def create_answer(
    offer: SessionDescription,
    local: LocalTransport,
    plans: Mapping[str, SectionPlan],
    capabilities: Capabilities = SERVER_CAPABILITIES,
) -> SessionDescription:
    """Answer an offer section by section; a section without a plan, or with nothing in common, is rejected."""
    answer = local.describe()
    answer.allows_mixed_extensions = offer.allows_mixed_extensions
    setup = local.setup or answered_setup(offer)
    group = dict.fromkeys(offer.bundle[0]) if offer.bundle else None
    bundle = _Bundle()
    accepted: dict[str, MediaDescription] = {}
    for offered in offer.media:
        # What is not in the first group would need a transport of its own, as would all but the first without one.
        shares_transport = offered.mid in group if group is not None else not accepted
        plan = plans.get(offered.mid) if shares_transport and offered.mid not in accepted else None
        section = None
        if plan is not None and plan.accepts and not offered.is_rejected:
            section = _answer_data_channel(offered, plan) or _answer_media(offered, plan, capabilities, bundle)
        if section is None:
            section = _reject(offered)
        else:
            section.transport = local.attributes(setup)
            accepted[offered.mid] = section
        answer.media.append(section)
    # RFC 9143 section 7.3: the tagged section is the first of the group that is accepted.
    order = [mid for mid in group if mid in accepted] if group is not None else list(accepted)
    for mid, section in accepted.items():
        local.place(section, with_candidates=mid == order[0])
    if group is not None:
        answer.bundle = [order]
    return answer


def answered_setup(offer: SessionDescription) -> Setup:
    """Our DTLS role in an answer: passive, unless the offer leaves us only to be active (RFC 8842 section 5.3)."""
    section = offer.transport_section
    return Setup.ACTIVE if section is not None and section.transport.setup is Setup.PASSIVE else Setup.PASSIVE


def _reject(offered: MediaDescription) -> MediaDescription:
    """RFC 9429 section 5.3.1: port 0, with a format of the offer, and outside of the group."""
    section = MediaDescription(offered.kind, 0, offered.protocol, offered.mid, Direction.INACTIVE)
    section.formats, section.allows_mixed_extensions = offered.formats[:1], offered.allows_mixed_extensions
    section.codecs = [replace(codec, parameters={}, feedback=()) for codec in offered.codecs[:1]]
    return section


def _answer_data_channel(offered: MediaDescription, plan: SectionPlan) -> MediaDescription | None:
    if plan.sctp_port is None or not offered.is_data_channel:
        return None
    section = MediaDescription(offered.kind, 0, offered.protocol, offered.mid)
    section.formats = [DATA_CHANNEL_FORMAT]
    section.sctp_port, section.max_message_size = plan.sctp_port, plan.max_message_size
    return section


def _answer_media(
    offered: MediaDescription, plan: SectionPlan, capabilities: Capabilities, bundle: _Bundle
) -> MediaDescription | None:
    """None rejects it."""
    # RTCP on a port of its own is refused: there is one port for everybody.
    if not offered.is_rtp or not (offered.rtcp_mux or "rtcp-mux-only" in offered.others):
        return None
    own = capabilities.of(offered.kind)
    receives = plan.receives and offered.direction.sends
    sends = plan.stream is not None and offered.direction.receives
    section = MediaDescription(offered.kind, 0, offered.protocol, offered.mid)
    section.direction = Direction.of(sends=sends, receives=receives)
    formats = _formats(offered, capabilities, plan.codec)
    if plan.preferred is not None:
        preferred = plan.preferred
        formats.sort(key=lambda codec: not _is_preferred(codec, preferred))
    feedback = own.receive_feedback if receives else own.send_feedback
    for codec in formats:
        if bundle.takes_format(codec):
            section.codecs += _answer_format(offered, codec, own, feedback, bundle)
    if not section.codecs:
        return None
    section.extensions = _answer_extensions(offered, own, section.direction, bundle)
    section.allows_mixed_extensions = offered.allows_mixed_extensions
    section.rtcp_mux = True
    section.reduced_size_rtcp = offered.reduced_size_rtcp
    section.extended_reports = [kind for kind in offered.extended_reports if kind in own.extended_reports]
    if receives and plan.accepts_simulcast and offered.simulcast is not None:
        _answer_simulcast(section, offered, offered.simulcast)
    if sends and plan.stream is not None:
        plan.stream.declare(section)
    return section


def _answer_format(
    offered: MediaDescription, codec: Codec, own: MediaCapabilities, feedback: tuple[str, ...], bundle: _Bundle
) -> list[Codec]:
    taken = tuple(kind for kind in codec.feedback if kind in feedback)
    codecs = [replace(codec, parameters=answered_parameters(codec), feedback=taken)]
    rtx = repair_format(offered.codecs, codec) if own.takes_rtx else None
    if rtx is not None and bundle.takes_format(rtx):
        codecs.append(Codec(rtx.payload_type, rtx.name, rtx.clock_rate, 1, {"apt": str(codec.payload_type)}))
    return codecs


def _answer_extensions(
    offered: MediaDescription, own: MediaCapabilities, direction: Direction, bundle: _Bundle
) -> list[HeaderExtension]:
    """The extensions that somebody here would write or read, with ids as offered.

    A direction is said only where it is narrower than the section's (RFC 8285 section 6).
    """
    taken: dict[str, HeaderExtension] = {}
    # RFC 8285 section 4.2 and 4.3: id 15 is reserved in one-byte headers, above it two-byte headers are needed.
    identifiers = range(1, 256) if offered.allows_mixed_extensions else range(1, 15)
    for extension in offered.extensions:
        if extension.uri in taken or extension.identifier not in identifiers or extension.identifier == 15:
            continue
        theirs = extension.direction or offered.direction
        reads = direction.receives and theirs.sends and extension.uri in own.receive_extensions
        writes = direction.sends and theirs.receives and extension.uri in own.send_extensions
        # A browser offers what a paused section leaves out in no other section again: RID would be gone for simulcast.
        is_known = extension.uri in own.receive_extensions or extension.uri in own.send_extensions
        is_kept = reads or writes or (direction is Direction.INACTIVE and is_known)
        if is_kept and bundle.takes_extension(extension):
            narrowed = Direction.of(sends=writes, receives=reads)
            said = narrowed if narrowed is not direction or extension.direction else None
            taken[extension.uri] = HeaderExtension(extension.identifier, extension.uri, said)
    return list(taken.values())


def _answer_simulcast(section: MediaDescription, offered: MediaDescription, simulcast: Simulcast) -> None:
    """Take every layer (RFC 8853 section 5.3.2: the answer turns the direction round) in the sender's order."""
    answered = {codec.payload_type for codec in section.codecs}
    sent = {rid.identifier: rid for rid in offered.rids if rid.direction == "send"}
    streams = []
    for choice in simulcast.send:
        for identifier in choice:
            rid = sent.get(identifier)
            formats = () if rid is None else tuple(number for number in rid.payload_types if number in answered)
            if rid is not None and (formats or not rid.payload_types):
                section.rids.append(Rid(identifier, "recv", formats, rid.restrictions))
                streams.append((identifier,))
                break
    if streams:
        section.simulcast = Simulcast(receive=tuple(streams))

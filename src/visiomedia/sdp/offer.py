"""Offers of ours (RFC 9429 section 5.2) and whether an answer fits them (section 5.11)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from visiomedia.errors import CapacityError, InvalidStateError, NegotiationError
from visiomedia.sdp.attributes import Codec, Direction, HeaderExtension, Rid, Setup, Simulcast
from visiomedia.sdp.capabilities import SERVER_CAPABILITIES, Capabilities
from visiomedia.sdp.description import DATA_CHANNEL_FORMAT, MediaDescription, SessionDescription
from visiomedia.sdp.formats import can_carry, is_same_format, is_usable_payload_type, repair_format
from visiomedia.sdp.local import LocalTransport, OutgoingStream
from visiomedia.sdp.negotiation import NegotiatedSection, negotiated

DYNAMIC_PAYLOAD_TYPES = (*range(96, 128), *range(35, 64))
"""RFC 3551 section 6, then what RFC 5761 section 4 leaves where these do not suffice."""

EXTENSION_IDENTIFIERS = (*range(1, 15), *range(16, 256))
"""Those of one-byte headers, then those that need two (RFC 8285 section 4.2 and 4.3)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferedSection:
    """One section of an offer of ours. A mid keeps its place, and its kind, in every offer that follows."""

    kind: str
    """``audio``, ``video`` or ``application``."""
    mid: str
    receives: bool = False
    stream: OutgoingStream | None = None
    """What we send; None sends nothing."""
    codec: Codec | None = None
    """The only format offered, for a track that exists; None offers all."""
    rids: tuple[str, ...] = ()
    """Simulcast layers to ask the peer for, in our order."""
    sctp_port: int = 5000
    max_message_size: int | None = None
    """Bytes that we take in one message."""


@dataclass(slots=True)
class _Numbers:
    """Payload types and extension ids. What was said once is said again: neither ever changes its meaning
    (RFC 3264 section 8.3.2, RFC 9143 section 9 and 15)."""

    formats: list[Codec]
    extensions: dict[str, int]
    free_payload_types: Iterator[int]
    free_identifiers: Iterator[int]

    @classmethod
    def after(cls, previous: SessionDescription | None) -> "_Numbers":
        known: dict[int, Codec] = {}
        extensions: dict[str, int] = {}
        for section in previous.media if previous is not None else ():
            known.update({codec.payload_type: codec for codec in section.codecs})
            extensions.update({extension.uri: extension.identifier for extension in section.extensions})
        taken = set(extensions.values())
        return cls(
            [codec for codec in known.values() if is_usable_payload_type(codec.payload_type)],
            extensions,
            (number for number in DYNAMIC_PAYLOAD_TYPES if number not in known),
            (number for number in EXTENSION_IDENTIFIERS if number not in taken),
        )

    def media(self, own: Codec) -> Codec:
        known = next((codec for codec in self.formats if is_same_format(own, codec)), None)
        if known is None:
            known = replace(own, payload_type=self._next_payload_type())
            self.formats.append(known)
        return replace(own, payload_type=known.payload_type, feedback=())

    def repair(self, media: Codec) -> Codec:
        known = repair_format(self.formats, media)
        if known is None:
            parameters = {"apt": str(media.payload_type)}
            known = Codec(self._next_payload_type(), "rtx", media.clock_rate, 1, parameters)
            self.formats.append(known)
        return known

    def extension(self, uri: str) -> int:
        if uri not in self.extensions:
            identifier = next(self.free_identifiers, None)
            if identifier is None:
                raise CapacityError("header extension ids", len(EXTENSION_IDENTIFIERS))
            self.extensions[uri] = identifier
        return self.extensions[uri]

    def _next_payload_type(self) -> int:
        number = next(self.free_payload_types, None)
        if number is None:
            raise CapacityError("dynamic payload types", len(DYNAMIC_PAYLOAD_TYPES))
        return number


def create_offer(
    local: LocalTransport,
    sections: Sequence[OfferedSection],
    capabilities: Capabilities = SERVER_CAPABILITIES,
    previous: SessionDescription | None = None,
) -> SessionDescription:
    """Offer sections.

    ``previous``: our last description of the same connection, offer or answer. Its sections keep their places; one
    that is no longer listed ends (port 0), and nothing takes its place. Sections that it does not have follow.

    Raises:
        InvalidStateError: a mid stands twice, or comes back with another kind or after its end.
        CapacityError: there are more formats or extensions than numbers.
    """
    wanted = {section.mid: section for section in sections}
    if len(wanted) != len(sections) or "" in wanted:
        raise InvalidStateError("every offered section needs a mid of its own")
    offer = local.describe()
    offer.allows_mixed_extensions = True
    numbers = _Numbers.after(previous)
    for before in previous.media if previous is not None else ():
        asked = wanted.pop(before.mid, None)
        if asked is None:
            offer.media.append(_ended(before))
        elif before.is_rejected or before.kind != asked.kind:
            raise InvalidStateError(f"section {before.mid!r} ({before.kind}) has ended or is of another kind")
        else:
            offer.media.append(_offer_section(asked, capabilities, numbers))
    offer.media += [_offer_section(asked, capabilities, numbers) for asked in wanted.values()]
    live = [section for section in offer.media if not section.is_rejected]
    for section in live:
        section.transport = local.attributes(Setup.ACTPASS)
        local.place(section, with_candidates=section is live[0])
    offer.bundle = [[section.mid for section in live]]
    return offer


def _ended(before: MediaDescription) -> MediaDescription:
    section = MediaDescription(before.kind, 0, before.protocol, before.mid, Direction.INACTIVE)
    section.formats, section.allows_mixed_extensions = before.formats[:1], before.is_rtp
    section.codecs = [replace(codec, feedback=()) for codec in before.codecs[:1]]
    return section


def _offer_section(wanted: OfferedSection, capabilities: Capabilities, numbers: _Numbers) -> MediaDescription:
    if wanted.kind == "application":
        section = MediaDescription(wanted.kind, 9, "UDP/DTLS/SCTP", wanted.mid)
        section.formats = [DATA_CHANNEL_FORMAT]
        section.sctp_port, section.max_message_size = wanted.sctp_port, wanted.max_message_size
        return section
    own = capabilities.of(wanted.kind)
    section = MediaDescription(wanted.kind, 9, "UDP/TLS/RTP/SAVPF", wanted.mid)
    section.direction = Direction.of(sends=wanted.stream is not None, receives=wanted.receives)
    feedback = own.receive_feedback if wanted.receives else own.send_feedback
    for codec in own.codecs:
        media = numbers.media(codec)
        repair = [numbers.repair(media)] if own.takes_rtx else []
        if wanted.codec is None or _is_offered_for(wanted, codec):
            section.codecs += [replace(media, feedback=feedback), *repair]
    if not section.codecs:
        raise InvalidStateError(f"section {wanted.mid!r}: the wanted format is not among the capabilities")
    section.extensions = [
        HeaderExtension(numbers.extension(uri), uri, _extension_direction(own.send_extensions, uri, section.direction))
        for uri in dict.fromkeys((*own.receive_extensions, *own.send_extensions))
        if (wanted.receives and uri in own.receive_extensions) or uri in own.send_extensions
    ]
    section.allows_mixed_extensions = section.rtcp_mux = section.reduced_size_rtcp = True
    section.extended_reports = list(own.extended_reports)
    if wanted.rids and wanted.receives:
        section.rids = [Rid(rid, "recv") for rid in wanted.rids]
        section.simulcast = Simulcast(receive=tuple((rid,) for rid in wanted.rids))
    if wanted.stream is not None:
        wanted.stream.declare(section)
    return section


def _is_offered_for(wanted: OfferedSection, codec: Codec) -> bool:
    """A stream may go to whoever can decode it; what is received as well has to be the very format."""
    assert wanted.codec is not None, "asked only about a section with one format"
    if wanted.receives:
        return is_same_format(wanted.codec, codec)
    return can_carry(wanted.codec, codec)


def _extension_direction(sent: Sequence[str], uri: str, direction: Direction) -> Direction | None:
    return Direction.RECVONLY if direction is Direction.SENDRECV and uri not in sent else None


def check_answer(offer: SessionDescription, answer: SessionDescription) -> dict[str, NegotiatedSection]:
    """What an answer to our offer settles, by mid in order.

    Raises NegotiationError where the answer does not fit the offer.
    """
    if len(answer.media) != len(offer.media):
        raise NegotiationError(f"{len(answer.media)} sections answer {len(offer.media)}")
    result: dict[str, NegotiatedSection] = {}
    for offered, answered in zip(offer.media, answer.media, strict=True):
        if not answered.is_rejected:
            _check_section(offered, answered)
        result[offered.mid] = negotiated(offered, answered, is_answer=False)
    accepted = [mid for mid, section in result.items() if section.is_accepted]
    if len(accepted) > 1 and not set(accepted) <= {mid for group in answer.bundle[:1] for mid in group}:
        raise NegotiationError("the answer does not bundle what it accepts (RFC 9143)")
    tagged = answer.transport_section
    if accepted and tagged is not None:
        _check_transport(tagged)
    return result


def _check_section(offered: MediaDescription, answered: MediaDescription) -> None:
    where = f"section {offered.mid!r}"
    if offered.is_rejected:
        raise NegotiationError(f"{where} has ended, and the answer accepts it")
    if answered.is_rtp != offered.is_rtp or answered.mid != offered.mid or answered.kind != offered.kind:
        raise NegotiationError(f"{where} is answered by {answered.kind} {answered.mid!r} over {answered.protocol}")
    if not offered.is_rtp:
        if not answered.is_data_channel:
            raise NegotiationError(f"{where}: the answer is no data channel")
        return
    # RFC 3264 section 6.1: "If a stream is offered as sendonly, the corresponding stream MUST be marked as recvonly
    # or inactive in the answer", and the other way round.
    permitted = offered.direction.reversed
    if (answered.direction.sends and not permitted.sends) or (answered.direction.receives and not permitted.receives):
        raise NegotiationError(f"{where}: {answered.direction.value} answers {offered.direction.value}")
    if not (answered.rtcp_mux or "rtcp-mux-only" in answered.others):
        raise NegotiationError(f"{where}: RTCP needs a port of its own (RFC 5761)")
    identifiers = {extension.uri: extension.identifier for extension in offered.extensions}
    for extension in answered.extensions:
        # RFC 8285 section 6: an answer may leave out, but neither add nor renumber.
        if identifiers.get(extension.uri) != extension.identifier:
            raise NegotiationError(f"{where}: header extension {extension.identifier} was not offered")


def _check_transport(section: MediaDescription) -> None:
    transport = section.transport
    if transport.ice_ufrag is None or transport.ice_password is None:
        raise NegotiationError("the answer lacks ICE credentials (a=ice-ufrag, a=ice-pwd)")
    if not transport.fingerprints:
        raise NegotiationError("the answer lacks a certificate's fingerprint (a=fingerprint)")
    # RFC 8842 section 5.3: the answerer "MUST assign the SDP 'setup' attribute a value of either active or passive".
    if transport.setup not in (Setup.ACTIVE, Setup.PASSIVE):
        raise NegotiationError("the answer chooses no DTLS role (a=setup)")

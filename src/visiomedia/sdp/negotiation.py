"""What two descriptions together settle of a section (RFC 3264 section 6 and 7, RFC 9429 section 5.10 and 5.11)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from visiomedia.errors import NegotiationError
from visiomedia.sdp.answer import SectionPlan, choose_format, create_answer
from visiomedia.sdp.attributes import Codec, Direction, HeaderExtension, Setup
from visiomedia.sdp.description import MediaDescription, SessionDescription
from visiomedia.sdp.formats import is_same_format, repair_format
from visiomedia.sdp.local import LocalTransport, OutgoingStream

DEFAULT_MAX_MESSAGE_SIZE = 64 * 1024
"""Bytes, where a=max-message-size is absent (RFC 8841 section 6.1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NegotiatedSection:
    """What two descriptions settle of one section, as our side sees it. Of a rejected one everything is empty."""

    mid: str
    kind: str
    is_accepted: bool = False
    receives: bool = False
    sends: bool = False
    codec: Codec | None = None
    """The media format to send, under the peer's payload type; it is what the peer sends first as well."""
    rtx: Codec | None = None
    """What repairs it."""
    receive_codecs: list[Codec] = field(default_factory=list)
    """With RTX, best first, under the payload types that the peer writes: ours."""
    send_codecs: list[Codec] = field(default_factory=list)
    """With RTX, best first, under the payload types that the peer reads: its own."""
    extensions: dict[int, str] = field(default_factory=dict)
    """URI by id, of both directions."""
    receive_extensions: dict[int, str] = field(default_factory=dict)
    """URI by id, of what the peer may write."""
    send_extensions: dict[str, int] = field(default_factory=dict)
    """Id by URI, of what the peer reads."""
    allows_mixed_extensions: bool = False
    rids: tuple[str, ...] = ()
    """Simulcast layers that the peer sends, in its order."""
    ssrcs: dict[int, int | None] = field(default_factory=dict)
    """SSRCs that the peer declared, in order; for a repair stream what it repairs."""
    cname: str | None = None
    """The peer's."""
    stream_ids: tuple[str, ...] = ()
    """Media streams of the peer's track."""
    track_id: str | None = None
    reduced_size_rtcp: bool = False
    extended_reports: tuple[str, ...] = ()
    sctp_port: int | None = None
    """The peer's."""
    max_message_size: int | None = None
    """Bytes that the peer takes in one message; 0 is no limit."""

    @property
    def direction(self) -> Direction:
        """Of our side."""
        return Direction.of(sends=self.sends, receives=self.receives)

    @property
    def feedback(self) -> tuple[str, ...]:
        """``a=rtcp-fb`` of the format in use."""
        return self.codec.feedback if self.codec is not None else ()

    @property
    def rtx_payload_types(self) -> dict[int, int]:
        """Of what we receive: media payload type by that of its RTX."""
        return {codec.payload_type: codec.apt for codec in self.receive_codecs if codec.apt is not None}


def negotiated(local: MediaDescription, remote: MediaDescription, *, is_answer: bool = True) -> NegotiatedSection:
    """What our section and the peer's settle. ``is_answer``: ours answers; otherwise the peer's does.

    Raises NegotiationError where they do not fit.
    """
    if local.mid != remote.mid or local.kind != remote.kind:
        raise NegotiationError(f"section {remote.mid!r} ({remote.kind}) does not fit {local.mid!r} ({local.kind})")
    if local.is_rejected or remote.is_rejected:
        return NegotiatedSection(mid=local.mid, kind=local.kind)
    if not local.is_rtp:
        size = remote.max_message_size
        return NegotiatedSection(
            mid=local.mid,
            kind=local.kind,
            is_accepted=True,
            sctp_port=remote.sctp_port,
            max_message_size=DEFAULT_MAX_MESSAGE_SIZE if size is None else size,
        )
    receives = local.direction.receives and remote.direction.sends
    sends = local.direction.sends and remote.direction.receives
    pairs = _match_formats(local.codecs, remote.codecs, in_local_order=is_answer)
    if not pairs and (receives or sends):
        raise NegotiationError(f"section {local.mid!r}: no format in common")
    receive_codecs = _with_repair((ours for ours, _ in pairs), local.codecs)
    send_codecs = _with_repair((theirs for _, theirs in pairs), remote.codecs)
    codec = send_codecs[0] if send_codecs else None
    received, sent = _match_extensions(local, remote)
    reports = [kind for kind in local.extended_reports if kind in remote.extended_reports]
    return NegotiatedSection(
        mid=local.mid,
        kind=local.kind,
        is_accepted=True,
        receives=receives,
        sends=sends,
        codec=codec,
        rtx=repair_format(send_codecs, codec) if codec is not None else None,
        receive_codecs=receive_codecs,
        send_codecs=send_codecs,
        extensions={**received, **{identifier: uri for uri, identifier in sent.items()}},
        receive_extensions=received,
        send_extensions=sent,
        allows_mixed_extensions=local.allows_mixed_extensions and remote.allows_mixed_extensions,
        rids=_match_rids(local, remote) if receives else (),
        ssrcs=_declared_ssrcs(remote),
        cname=next((values["cname"] for values in remote.ssrcs.values() if "cname" in values), None),
        stream_ids=remote.stream_ids,
        track_id=remote.track_id,
        reduced_size_rtcp=local.reduced_size_rtcp and remote.reduced_size_rtcp,
        extended_reports=tuple(reports),
    )


def _match_formats(
    local: Sequence[Codec], remote: Sequence[Codec], *, in_local_order: bool
) -> list[tuple[Codec, Codec]]:
    """Media formats that are in both, ours and theirs, in the order of the answer."""
    pairs = []
    for codec in local if in_local_order else remote:
        if codec.is_rtx:
            continue
        others = remote if in_local_order else local
        same = [other for other in others if is_same_format(codec, other)]
        # RFC 3264 section 6.1: the answer should use the offer's payload types, but need not.
        same.sort(key=lambda other: other.payload_type != codec.payload_type)
        if same:
            pairs.append((codec, same[0]) if in_local_order else (same[0], codec))
    return pairs


def _with_repair(media: Iterable[Codec], codecs: Sequence[Codec]) -> list[Codec]:
    chosen = []
    for codec in media:
        rtx = repair_format(codecs, codec)
        chosen += [codec] if rtx is None else [codec, rtx]
    return chosen


def _match_extensions(local: MediaDescription, remote: MediaDescription) -> tuple[dict[int, str], dict[str, int]]:
    """URI by id of what we receive, and id by URI of what we send."""
    ours = {extension.uri: extension for extension in local.extensions}
    received: dict[int, str] = {}
    sent: dict[str, int] = {}
    for extension in remote.extensions:
        own = ours.get(extension.uri)
        if own is None or own.identifier != extension.identifier:
            continue
        if _reads(own, local) and _writes(extension, remote):
            received[own.identifier] = own.uri
        if _writes(own, local) and _reads(extension, remote):
            sent[own.uri] = own.identifier
    return received, sent


def _reads(extension: HeaderExtension, section: MediaDescription) -> bool:
    return (extension.direction or section.direction).receives and section.direction.receives


def _writes(extension: HeaderExtension, section: MediaDescription) -> bool:
    return (extension.direction or section.direction).sends and section.direction.sends


def _match_rids(local: MediaDescription, remote: MediaDescription) -> tuple[str, ...]:
    if local.simulcast is None or remote.simulcast is None:
        return ()
    taken = {rid for choice in local.simulcast.receive for rid in choice}
    sent = {rid.identifier for rid in remote.rids if rid.direction == "send"}
    chosen = (next((rid for rid in choice if rid in taken and rid in sent), None) for choice in remote.simulcast.send)
    return tuple(rid for rid in chosen if rid is not None)


def _declared_ssrcs(remote: MediaDescription) -> dict[int, int | None]:
    ssrcs: dict[int, int | None] = dict.fromkeys(remote.ssrcs)
    for group in remote.ssrc_groups:
        # RFC 4588 section 8.8 and RFC 5576 section 4.2: the first is repaired by the second.
        if group.semantics == "FID" and len(group.ssrcs) == 2:
            ssrcs.setdefault(group.ssrcs[0], None)
            ssrcs[group.ssrcs[1]] = group.ssrcs[0]
    return ssrcs


def offered_setup(description: SessionDescription) -> Setup:
    """The DTLS role a description asks for; actpass where it says nothing (RFC 8842 section 5.2)."""
    section = description.transport_section
    return (section.transport.setup if section is not None else None) or Setup.ACTPASS


__all__ = [
    "LocalTransport",
    "NegotiatedSection",
    "OutgoingStream",
    "SectionPlan",
    "choose_format",
    "create_answer",
    "negotiated",
    "offered_setup",
]

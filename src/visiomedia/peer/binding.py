"""Which section and layer an SSRC belongs to (RFC 8843 section 9.2, RFC 8852): decided once, kept for good.

Browsers stop sending MID and RID once a receiver report has come, so what they said at the start must stay bound.
"""

from dataclasses import dataclass, field

from visiomedia.errors import ParseError
from visiomedia.rtp.extensions import ExtensionKind, parse_extensions
from visiomedia.rtp.packet import RtpPacket

MAX_SSRCS = 64
"""SSRCs that one section may bind in its life. A sender that wants more is not a browser."""


@dataclass(slots=True)
class ReceivingSection:
    """What negotiation settled of a section that the peer sends in."""

    mid: str
    payload_types: frozenset[int]
    """Of media."""
    repair_payload_types: frozenset[int]
    rids: tuple[str, ...]
    """Lowest layer first; empty without simulcast."""
    declared: dict[int, int | None] = field(default_factory=dict)
    """SSRCs from ``a=ssrc``; for a repair stream the SSRC it repairs."""
    bound: int = 0
    """SSRCs bound so far."""


@dataclass(slots=True, frozen=True)
class MediaBinding:
    """The SSRC carries a layer of the section."""

    mid: str
    ssrc: int
    layer: int


@dataclass(slots=True, frozen=True)
class RepairBinding:
    """The SSRC carries retransmissions of a layer of the section."""

    mid: str
    ssrc: int
    layer: int


class StreamBinder:
    """Binds SSRCs to sections. ``bind`` is asked about each packet of an SSRC that the plane does not know."""

    __slots__ = ("_kind_of_id", "_sections")

    def __init__(self) -> None:
        self._sections: dict[str, ReceivingSection] = {}
        self._kind_of_id: dict[int, ExtensionKind] = {}

    def update(self, sections: dict[str, ReceivingSection], kind_of_id: dict[int, ExtensionKind]) -> None:
        """A negotiation has ended: what the peer may send now. What was bound stays bound."""
        for mid, section in sections.items():
            if mid in self._sections:
                section.bound = self._sections[mid].bound
        self._sections = sections
        self._kind_of_id = kind_of_id

    def bind(self, data: bytes) -> MediaBinding | RepairBinding | None:
        """Where a packet's SSRC belongs, or None while that cannot be said. Raises ParseError.

        Whoever then binds it tells ``note_bound``; a second packet that was on its way meanwhile counts for nothing.
        """
        packet = RtpPacket.parse(data)
        values: dict[ExtensionKind, str] = {}
        for identifier, value in parse_extensions(packet.extension_profile, packet.extension_data):
            kind = self._kind_of_id.get(identifier)
            if kind in (ExtensionKind.MID, ExtensionKind.RID, ExtensionKind.REPAIRED_RID):
                values[kind] = value.decode("ascii", "replace")
        section = self._section_of(packet.ssrc, packet.payload_type, values.get(ExtensionKind.MID))
        if section is None or section.bound >= MAX_SSRCS:
            return None
        return self._layer_of(section, packet.ssrc, packet.payload_type, values)

    def note_bound(self, binding: MediaBinding | RepairBinding) -> None:
        """The SSRC was bound: one less of those that its section may bind."""
        self._sections[binding.mid].bound += 1

    def _section_of(self, ssrc: int, payload_type: int, mid: str | None) -> ReceivingSection | None:
        if mid is not None:
            return self._sections.get(mid)
        for section in self._sections.values():
            if ssrc in section.declared:
                return section
        # RFC 8843 section 9.2: "if the payload type is unique to one m= section, route to it".
        candidates = [
            section
            for section in self._sections.values()
            if payload_type in section.payload_types or payload_type in section.repair_payload_types
        ]
        return candidates[0] if len(candidates) == 1 else None

    def _layer_of(
        self, section: ReceivingSection, ssrc: int, payload_type: int, values: dict[ExtensionKind, str]
    ) -> MediaBinding | RepairBinding | None:
        is_repair = payload_type in section.repair_payload_types
        if not is_repair and payload_type not in section.payload_types:
            return None
        rid = values.get(ExtensionKind.REPAIRED_RID if is_repair else ExtensionKind.RID)
        if section.rids:
            if rid is None:
                # Firefox declares SSRCs and FID groups even for simulcast, in the order of its rids.
                rid = self._declared_rid(section, ssrc)
            if rid not in section.rids:
                return None
            layer = section.rids.index(rid)
        else:
            layer = 0
        return (RepairBinding if is_repair else MediaBinding)(section.mid, ssrc, layer)

    @staticmethod
    def _declared_rid(section: ReceivingSection, ssrc: int) -> str | None:
        primary = section.declared.get(ssrc)
        media = [declared for declared, repaired in section.declared.items() if repaired is None]
        wanted = ssrc if primary is None else primary
        if wanted not in media or len(media) != len(section.rids):
            return None
        return section.rids[media.index(wanted)]


__all__ = ["MediaBinding", "ParseError", "ReceivingSection", "RepairBinding", "StreamBinder"]

"""What a negotiation has settled, told to the plane and to whoever binds SSRCs."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from visiomedia.peer.binding import ReceivingSection, StreamBinder
from visiomedia.plane import Plane
from visiomedia.routing.tables import MAX_LAYERS
from visiomedia.rows import Handle
from visiomedia.rtp.extensions import KIND_BY_URI, ExtensionKind
from visiomedia.rtp.payload.codec import codec_from_name
from visiomedia.rtp.tables import NO_PRIMARY
from visiomedia.sdp.negotiation import NegotiatedSection

LAYER_RIDS = ("q", "h", "f")
"""Quarter, half and full size: what LiveKit's clients call their layers, whatever order they offer them in."""


def lowest_first(rids: tuple[str, ...]) -> tuple[str, ...]:
    """Layers from low to high: by name where the names say it, else in the order of the offer, as browsers do."""
    return tuple(sorted(rids, key=LAYER_RIDS.index)) if set(rids) <= set(LAYER_RIDS) else rids


@dataclass(slots=True)
class Settlement:
    """What ids and payload types mean on one transport, and what the peer may send in each section."""

    kind_of_id: dict[int, ExtensionKind] = field(default_factory=dict)
    payload_types: dict[int, tuple[int, int, bool, int, int]] = field(default_factory=dict)
    """(payload type, codec, is audio, payload type repaired, clock rate), as ``Plane.set_payload_types`` takes it."""
    sections: dict[str, ReceivingSection] = field(default_factory=dict)
    allows_mixed_extensions: bool = True

    @classmethod
    def of(cls, negotiated: Iterable[NegotiatedSection]) -> "Settlement":
        """Of all sections together: they share one transport (RFC 9143)."""
        settled = cls()
        for section in negotiated:
            if section.codec is not None:
                settled._add(section)
        return settled

    def _add(self, section: NegotiatedSection) -> None:
        assert section.codec is not None, "rejected sections settle nothing"
        self.allows_mixed_extensions = self.allows_mixed_extensions and section.allows_mixed_extensions
        self.kind_of_id.update({identifier: KIND_BY_URI[uri] for identifier, uri in section.extensions.items()})
        for codec in section.receive_codecs:
            primary = NO_PRIMARY if codec.apt is None else codec.apt
            number, name = codec.payload_type, codec_from_name(codec.name)
            self.payload_types[number] = (number, name, section.kind == "audio", primary, codec.clock_rate)
        if section.receives:
            self.sections[section.mid] = ReceivingSection(
                mid=section.mid,
                payload_types=frozenset({section.codec.payload_type}),
                repair_payload_types=frozenset({section.rtx.payload_type} if section.rtx else ()),
                rids=lowest_first(section.rids)[:MAX_LAYERS],
                declared=dict(section.ssrcs),
            )

    def apply(self, plane: Plane, transport: Handle, binder: StreamBinder) -> None:
        """Tell the plane and the binder."""
        received = {identifier: int(kind) for identifier, kind in self.kind_of_id.items()}
        sent = {int(kind): identifier for identifier, kind in self.kind_of_id.items()}
        plane.set_extensions(transport, received=received, sent=sent, mixed=self.allows_mixed_extensions)
        plane.set_payload_types(transport, list(self.payload_types.values()))
        binder.update(self.sections, self.kind_of_id)

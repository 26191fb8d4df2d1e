"""VP9 payload descriptors (RFC 9628 section 4.2)."""

from dataclasses import dataclass

from visiomedia.errors import ParseError

MAX_REFERENCES = 3


@dataclass(frozen=True, slots=True)
class PictureGroupEntry:
    """One picture of a group, as the scalability structure foretells it."""

    temporal_layer: int
    is_switching_point: bool
    references: tuple[int, ...] = ()
    """How many pictures back each picture lies that it is predicted from (P_DIFF)."""


@dataclass(frozen=True, slots=True)
class ScalabilityStructure:
    """The layers of a stream (section 4.2.1)."""

    spatial_layers: int
    sizes: tuple[tuple[int, int], ...] = ()
    """Width and height of each spatial layer; empty where it is not said."""
    picture_group: tuple[PictureGroupEntry, ...] | None = None
    """None where it is not said."""


@dataclass(slots=True)
class Vp9Descriptor:
    """What stands before a VP9 packet's bytes."""

    picture_id: int | None = None
    long_picture_id: bool = True
    """15 bits; else 7."""
    is_inter_picture: bool = False
    """Bit P: it is predicted from earlier pictures."""
    is_flexible: bool = False
    """Bit F: its references are told here."""
    starts_frame: bool = False
    """Bit B: a layer frame begins."""
    ends_frame: bool = False
    """Bit E: a layer frame ends."""
    is_not_reference_for_upper: bool = False
    """Bit Z: no upper spatial layer of this picture needs it."""
    temporal_layer: int | None = None
    is_switching_point: bool = False
    """Bit U: what follows in this temporal layer needs nothing before it of the same layer or above."""
    spatial_layer: int = 0
    depends_on_lower: bool = False
    """Bit D: it is predicted from the lower spatial layer of its picture."""
    tl0_picture_index: int | None = None
    references: tuple[int, ...] = ()
    """In flexible mode: how many pictures back each picture lies that it is predicted from (P_DIFF)."""
    structure: ScalabilityStructure | None = None

    @property
    def sizes(self) -> tuple[tuple[int, int], ...]:
        """Width and height of each spatial layer, where a structure says so."""
        return () if self.structure is None else self.structure.sizes

    @property
    def starts_key_frame(self) -> bool:
        """Whether a picture that needs no other begins here, in its lowest spatial layer."""
        return self.starts_frame and not self.is_inter_picture and self.spatial_layer == 0

    @classmethod
    def parse(cls, data: bytes) -> "tuple[Vp9Descriptor, bytes]":
        """The descriptor and what follows it. Raises: ParseError."""
        reader = _Reader(data)
        first = reader.byte()
        descriptor = cls(
            is_inter_picture=bool(first & 0x40),
            is_flexible=bool(first & 0x10),
            starts_frame=bool(first & 0x08),
            ends_frame=bool(first & 0x04),
            is_not_reference_for_upper=bool(first & 0x01),
        )
        if first & 0x80:
            number = reader.byte()
            descriptor.long_picture_id = number >= 0x80
            descriptor.picture_id = (number & 0x7F) << 8 | reader.byte() if number >= 0x80 else number
        if first & 0x20:
            layers = reader.byte()
            descriptor.temporal_layer = layers >> 5
            descriptor.is_switching_point = bool(layers & 0x10)
            descriptor.spatial_layer = layers >> 1 & 0x07
            descriptor.depends_on_lower = bool(layers & 0x01)
            if not descriptor.is_flexible:
                descriptor.tl0_picture_index = reader.byte()
        if descriptor.is_flexible and descriptor.is_inter_picture:
            descriptor.references = _parse_references(reader)
        if first & 0x02:
            descriptor.structure = _parse_structure(reader)
        return descriptor, data[reader.at :]

    def serialize(self) -> bytes:
        """The descriptor's bytes; numbers wrap at their width.

        Raises: ValueError for references, layers or a structure that the descriptor has no place for.
        """
        has_references = self.is_flexible and self.is_inter_picture
        if bool(self.references) is not has_references or len(self.references) > MAX_REFERENCES:
            raise ValueError("1 to 3 references belong to inter pictures in flexible mode, and to no other")
        if (self.tl0_picture_index is not None) is not (self.temporal_layer is not None and not self.is_flexible):
            raise ValueError("TL0PICIDX belongs to layers that are not in flexible mode, and to no other")
        first = (
            (self.picture_id is not None) << 7
            | self.is_inter_picture << 6
            | (self.temporal_layer is not None) << 5
            | self.is_flexible << 4
            | self.starts_frame << 3
            | self.ends_frame << 2
            | (self.structure is not None) << 1
            | self.is_not_reference_for_upper
        )
        data = bytearray([first])
        if self.picture_id is not None:
            if self.long_picture_id:
                data += (0x8000 | self.picture_id & 0x7FFF).to_bytes(2, "big")
            else:
                data.append(self.picture_id & 0x7F)
        if self.temporal_layer is not None:
            layers = (self.temporal_layer & 0x07) << 5 | self.is_switching_point << 4
            data.append(layers | (self.spatial_layer & 0x07) << 1 | self.depends_on_lower)
        if self.tl0_picture_index is not None:
            data.append(self.tl0_picture_index & 0xFF)
        last = len(self.references) - 1
        data += bytes((reference & 0x7F) << 1 | (place < last) for place, reference in enumerate(self.references))
        if self.structure is not None:
            data += _pack_structure(self.structure)
        return bytes(data)


class _Reader:
    __slots__ = ("at", "data")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def byte(self) -> int:
        if self.at >= len(self.data):
            raise ParseError("VP9 descriptor", "cut short")
        self.at += 1
        return self.data[self.at - 1]


def _parse_references(reader: _Reader) -> tuple[int, ...]:
    references: list[int] = []
    for _ in range(MAX_REFERENCES):
        byte = reader.byte()
        references.append(byte >> 1)
        # N: another one follows.
        if not byte & 0x01:
            return tuple(references)
    raise ParseError("VP9 descriptor", f"more than {MAX_REFERENCES} references")


def _parse_structure(reader: _Reader) -> ScalabilityStructure:
    head = reader.byte()
    layers = (head >> 5) + 1
    sizes: list[tuple[int, int]] = []
    if head & 0x10:
        for _ in range(layers):
            width = reader.byte() << 8 | reader.byte()
            sizes.append((width, reader.byte() << 8 | reader.byte()))
    if not head & 0x08:
        return ScalabilityStructure(layers, tuple(sizes))
    group: list[PictureGroupEntry] = []
    for _ in range(reader.byte()):
        entry = reader.byte()
        references = tuple(reader.byte() for _ in range(entry >> 2 & 0x03))
        group.append(PictureGroupEntry(entry >> 5, bool(entry & 0x10), references))
    return ScalabilityStructure(layers, tuple(sizes), tuple(group))


def _pack_structure(structure: ScalabilityStructure) -> bytes:
    layers, group = structure.spatial_layers, structure.picture_group
    if not 1 <= layers <= 8 or len(structure.sizes) not in (0, layers) or (group is not None and len(group) > 255):
        raise ValueError("a structure has 1 to 8 spatial layers, each with a size or none, and up to 255 pictures")
    data = bytearray([layers - 1 << 5 | bool(structure.sizes) << 4 | (group is not None) << 3])
    for width, height in structure.sizes:
        data += width.to_bytes(2, "big") + height.to_bytes(2, "big")
    if group is not None:
        data.append(len(group))
        for entry in group:
            if len(entry.references) > MAX_REFERENCES:
                raise ValueError(f"{len(entry.references)} references of a picture, at most {MAX_REFERENCES} fit")
            head = (entry.temporal_layer & 0x07) << 5 | entry.is_switching_point << 4 | len(entry.references) << 2
            data += bytes([head, *entry.references])
    return bytes(data)


def starts_frame(payload: bytes) -> bool:
    """Whether a layer frame begins in a payload, by as much of the descriptor as that takes; False for garbage."""
    return bool(payload) and bool(payload[0] & 0x08) and _spatial_layer(payload) is not None


def starts_key_frame(payload: bytes) -> bool:
    """Whether a picture that needs no other begins in a payload, in its lowest spatial layer; False for garbage."""
    return bool(payload) and payload[0] & 0x48 == 0x08 and _spatial_layer(payload) == 0


def _spatial_layer(payload: bytes) -> int | None:
    """None where the descriptor is cut short before it is told."""
    at = 1
    if payload[0] & 0x80:
        if at >= len(payload):
            return None
        at += 2 if payload[at] & 0x80 else 1
    if not payload[0] & 0x20:
        return 0
    return payload[at] >> 1 & 0x07 if at < len(payload) else None

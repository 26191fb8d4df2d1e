"""VP9 payload descriptors (RFC 9628 section 4.2)."""

from dataclasses import dataclass

from visiomedia.errors import ParseError


@dataclass(slots=True)
class Vp9Descriptor:
    """What the descriptor says of a packet. The scalability structure is read over, its sizes kept."""

    picture_id: int | None = None
    is_inter_picture: bool = False
    """Bit P: it is predicted from earlier pictures."""
    is_flexible: bool = False
    starts_frame: bool = False
    """Bit B: a layer frame begins."""
    ends_frame: bool = False
    is_not_reference_for_upper: bool = False
    temporal_layer: int | None = None
    is_switching_point: bool = False
    spatial_layer: int = 0
    depends_on_lower: bool = False
    tl0_picture_index: int | None = None
    references: tuple[int, ...] = ()
    sizes: tuple[tuple[int, int], ...] = ()
    """Width and height of each spatial layer, where a structure says so."""

    @property
    def starts_key_frame(self) -> bool:
        """Whether a picture that needs no other begins here, in its lowest spatial layer."""
        return self.starts_frame and not self.is_inter_picture and self.spatial_layer == 0

    @classmethod
    def parse(cls, data: bytes) -> "tuple[Vp9Descriptor, bytes]":
        """The descriptor and what follows it. Raises ParseError."""
        at = 0

        def byte() -> int:
            nonlocal at
            if at >= len(data):
                raise ParseError("VP9 descriptor", "cut short")
            at += 1
            return data[at - 1]

        first = byte()
        descriptor = cls(
            is_inter_picture=bool(first & 0x40),
            is_flexible=bool(first & 0x10),
            starts_frame=bool(first & 0x08),
            ends_frame=bool(first & 0x04),
            is_not_reference_for_upper=bool(first & 0x01),
        )
        if first & 0x80:
            number = byte()
            descriptor.picture_id = (number & 0x7F) << 8 | byte() if number & 0x80 else number
        if first & 0x20:
            layers = byte()
            descriptor.temporal_layer = layers >> 5
            descriptor.is_switching_point = bool(layers & 0x10)
            descriptor.spatial_layer = layers >> 1 & 0x07
            descriptor.depends_on_lower = bool(layers & 0x01)
            if not descriptor.is_flexible:
                descriptor.tl0_picture_index = byte()
        if descriptor.is_flexible and descriptor.is_inter_picture:
            # "N: if 1, another P_DIFF follows"; at most three.
            for _ in range(3):
                reference = byte()
                descriptor.references += (reference >> 1,)
                if not reference & 0x01:
                    break
        if first & 0x02:
            head = byte()
            layer_count = (head >> 5) + 1
            if head & 0x10:
                descriptor.sizes = tuple((byte() << 8 | byte(), byte() << 8 | byte()) for _ in range(layer_count))
            if head & 0x08:
                for _ in range(byte()):
                    for _ in range(byte() >> 2 & 0x03):
                        byte()
        return descriptor, data[at:]

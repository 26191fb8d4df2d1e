"""Serial number arithmetic for 16-bit sequence numbers and 32-bit timestamps (RFC 1982, RFC 3550 appendix A.1)."""


def distance(later: int, earlier: int, bits: int = 16) -> int:
    """How far ``later`` lies ahead of ``earlier``, from -2**(bits-1) to 2**(bits-1) - 1.

    RFC 1982 section 3.2 leaves two numbers half the space apart without an order: here the distance is negative.
    """
    half = 1 << (bits - 1)
    return ((later - earlier + half) & ((1 << bits) - 1)) - half


def is_newer(one: int, other: int, bits: int = 16) -> bool:
    """Whether ``one`` comes after ``other``."""
    return distance(one, other, bits) > 0


def extend(value: int, reference: int, bits: int = 16) -> int:
    """The unbounded number nearest to ``reference`` whose low bits are ``value``."""
    return reference + distance(value, reference, bits)


class SequenceExtender:
    """Unwraps a stream of numbers at the door, so that nothing inside wraps."""

    __slots__ = ("bits", "highest")

    def __init__(self, bits: int = 16) -> None:
        self.bits = bits
        self.highest: int | None = None

    def extend(self, value: int) -> int:
        """The unbounded number of ``value``; the first stands for itself. One older than the first may be negative."""
        if self.highest is None:
            self.highest = value
            return value
        extended = self.highest + distance(value, self.highest, self.bits)
        if extended > self.highest:
            self.highest = extended
        return extended

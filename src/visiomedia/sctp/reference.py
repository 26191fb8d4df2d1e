"""The checksum as RFC 9260 appendix A describes it: a polynomial over one bit, divided."""

import numpy as np
from numpy.typing import NDArray

GENERATOR = 0x1_1EDC_6F41
"""x^32 + x^28 + x^27 + x^26 + x^25 + x^23 + x^22 + x^20 + x^19 + x^18 + x^14 + x^13 + x^11 + x^10 + x^9 + x^8 + x^6
+ 1."""


def _reversed(value: int, bits: int) -> int:
    return int(f"{value:0{bits}b}"[::-1], 2)


def crc32c(data: NDArray[np.uint8]) -> int:
    """See ``kernels.crc32c``."""
    # Each byte's lowest bit is the highest power; the first 32 bits of the message are complemented.
    bits = "".join(f"{byte:08b}"[::-1] for byte in data.tobytes()) + "0" * 32
    dividend = int(bits, 2) ^ 0xFFFF_FFFF << (len(bits) - 32)
    while (excess := dividend.bit_length() - 33) >= 0:
        dividend ^= GENERATOR << excess
    return _reversed(dividend, 32) ^ 0xFFFF_FFFF

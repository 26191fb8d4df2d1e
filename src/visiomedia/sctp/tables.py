"""Tables of CRC32c, reflected, for eight bytes at a time (RFC 9260 appendix A)."""

import numpy as np
from numpy.typing import NDArray

POLYNOMIAL = 0x82F6_3B78
"""0x1EDC6F41 with its bits in the order that they leave in."""

STEP = 8


def make_tables() -> NDArray[np.uint32]:
    """(8, 256) uint32: row ``n`` is what a byte does to the remainder ``n`` bytes later."""
    remainder = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        remainder = np.where(remainder & 1, remainder >> 1 ^ POLYNOMIAL, remainder >> 1).astype(np.uint32)
    rows = [remainder]
    for _ in range(STEP - 1):
        rows.append(rows[-1] >> 8 ^ rows[0][rows[-1] & 0xFF])
    return np.array(rows, np.uint32)

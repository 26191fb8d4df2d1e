"""The checksum of SCTP packets: CRC32c, eight bytes a step (RFC 9260 appendix A)."""

import numpy as np
from numpy.typing import NDArray

from visiomedia.jit import kernel
from visiomedia.sctp import reference
from visiomedia.sctp.examples import crc32c_example
from visiomedia.sctp.tables import make_tables

TABLES = make_tables()


# Departs from the house's rule that a kernel works on a batch: because the unit of the session plane is one packet,
# and without the kernel its checksum would cost more than everything else that is done for it.
@kernel(oracle=reference.crc32c, example=crc32c_example)
def crc32c(data: NDArray[np.uint8]) -> int:
    """The CRC32c of the bytes, as a number whose lowest byte is first on the wire."""
    remainder = np.int64(0xFFFFFFFF)
    length = len(data)
    at = 0
    while at + 8 <= length:
        low = remainder ^ (
            np.int64(data[at])
            | np.int64(data[at + 1]) << 8
            | np.int64(data[at + 2]) << 16
            | np.int64(data[at + 3]) << 24
        )
        remainder = (
            np.int64(TABLES[7, low & 0xFF])
            ^ np.int64(TABLES[6, low >> 8 & 0xFF])
            ^ np.int64(TABLES[5, low >> 16 & 0xFF])
            ^ np.int64(TABLES[4, low >> 24])
            ^ np.int64(TABLES[3, data[at + 4]])
            ^ np.int64(TABLES[2, data[at + 5]])
            ^ np.int64(TABLES[1, data[at + 6]])
            ^ np.int64(TABLES[0, data[at + 7]])
        )
        at += 8
    while at < length:
        remainder = remainder >> 8 ^ np.int64(TABLES[0, (remainder ^ np.int64(data[at])) & 0xFF])
        at += 1
    return int(remainder) ^ 0xFFFFFFFF

"""Arguments on which the checksum's kernel is compared with its reference."""

import numpy as np

from visiomedia.jit import Arguments


def crc32c_example(generator: np.random.Generator) -> Arguments:
    """Bytes of any length, often one that leaves a rest after steps of eight. Read-only, as packets are."""
    length = int(generator.choice([0, 1, 7, 8, 9, 31, 32, int(generator.integers(0, 1200))]))
    return (np.frombuffer(generator.bytes(length), np.uint8),)

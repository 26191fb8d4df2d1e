"""Numbers in network byte order, read from and written to arrays of bytes."""

import numpy as np
from numpy.typing import NDArray

from visiomedia.jit import Integer, subroutine


@subroutine
def get16(data: NDArray[np.uint8], at: Integer) -> Integer:
    """16 bits at an offset."""
    return np.int64(data[at]) << 8 | np.int64(data[at + 1])


@subroutine
def get24(data: NDArray[np.uint8], at: Integer) -> Integer:
    """24 bits at an offset."""
    return np.int64(data[at]) << 16 | np.int64(data[at + 1]) << 8 | np.int64(data[at + 2])


@subroutine
def get32(data: NDArray[np.uint8], at: Integer) -> Integer:
    """32 bits at an offset."""
    return get16(data, at) << 16 | get16(data, at + 2)


@subroutine
def put16(data: NDArray[np.uint8], at: Integer, value: Integer) -> None:
    """The low 16 bits of a value."""
    data[at] = (value >> 8) & 0xFF
    data[at + 1] = value & 0xFF


@subroutine
def put24(data: NDArray[np.uint8], at: Integer, value: Integer) -> None:
    """The low 24 bits of a value."""
    data[at] = (value >> 16) & 0xFF
    put16(data, at + 1, value)


@subroutine
def put32(data: NDArray[np.uint8], at: Integer, value: Integer) -> None:
    """The low 32 bits of a value."""
    put16(data, at, value >> 16)
    put16(data, at + 2, value)

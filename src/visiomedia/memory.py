"""Bytes from one array to another, as C copies them."""

import sys
from typing import Any

import numpy as np

from visiomedia.jit import Integer, external, subroutine


@subroutine
def address_of(array: Any) -> Integer:
    """Where an array's bytes begin."""
    return np.int64(array.ctypes.data)


if sys.platform != "win32":
    _memcpy = external("memcpy", "u8", "u8", "u8", "u8")

    @subroutine
    def copy_bytes(target: Any, at: Integer, source: Any, start: Integer, length: Integer) -> None:
        """Copy bytes between arrays of uint8 that do not overlap. The caller has bounded both."""
        if length > 0:
            target[at + length - 1] = source[start + length - 1]  # what checks bounds sees both ends
        _memcpy(target.ctypes.data + at, source.ctypes.data + start, length)

else:

    @subroutine
    def copy_bytes(target: Any, at: Integer, source: Any, start: Integer, length: Integer) -> None:
        """Copy bytes between arrays of uint8 that do not overlap. The caller has bounded both."""
        target[at : at + length] = source[start : start + length]

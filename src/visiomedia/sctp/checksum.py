"""CRC32c of bytes, and what compiles its kernel before a server opens its socket (RFC 9260 section 6.8)."""

from collections.abc import Callable
from typing import Any

import numpy as np

from visiomedia.sctp import kernels


def crc32c(data: bytes) -> int:
    """The CRC32c, as a number whose lowest byte is first on the wire."""
    return kernels.crc32c(np.frombuffer(data, np.uint8))


def warm_up_stages() -> list[tuple[str, Callable[..., Any], tuple[Any, ...]]]:
    """What ``jit.warm_up`` takes: the first packet would wait a second for the compiler otherwise."""
    return [("sctp checksum", kernels.crc32c, (np.frombuffer(bytes(16), np.uint8),))]

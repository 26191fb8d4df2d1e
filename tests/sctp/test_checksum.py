"""CRC32c against published vectors and another implementation."""

import random

import google_crc32c
import pytest

from visiomedia.jit import KERNELS
from visiomedia.sctp.checksum import crc32c, warm_up_stages

# RFC 3720 appendix B.4, with the bytes in the order of the wire.
VECTORS = [
    (bytes(32), "aa36918a"),
    (b"\xff" * 32, "43aba862"),
    (bytes(range(32)), "4e79dd46"),
    (bytes(range(31, -1, -1)), "5cdb3f11"),
    (
        bytes.fromhex(
            "01c000000000000000000000000000001400000000000400000000140000001828000000000000000200000000000000"
        ),
        "563a96d9",
    ),
]


@pytest.mark.parametrize(("data", "checksum"), VECTORS)
def test_published_vectors(data: bytes, checksum: str) -> None:
    assert crc32c(data).to_bytes(4, "little").hex() == checksum


def test_agrees_with_another_implementation_at_every_length() -> None:
    rng = random.Random(1)
    for length in [*range(70), 1132, 9000]:
        data = rng.randbytes(length)
        assert crc32c(data) == google_crc32c.value(data)


def test_kernel_is_registered_and_warmed_up() -> None:
    [entry] = [entry for entry in KERNELS if entry.name == "sctp.kernels.crc32c"]
    [(_, function, arguments)] = warm_up_stages()
    assert function is entry.function
    assert function(*arguments) == crc32c(arguments[0].tobytes())

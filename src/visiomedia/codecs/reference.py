"""What the codec kernels must agree with: G.711's tables of decision values, looked up; Python's own integers."""

import math
from bisect import bisect_right
from itertools import accumulate, pairwise

import numpy as np
from numpy.typing import NDArray

SCALE = 32768


def _decision_values(first: list[int], steps: list[int], scale: int) -> list[int]:
    """Where intervals begin, and where the last one ends: 16 of each step after ``first``."""
    widths = [step for step in steps for _ in range(16)]
    return [value * scale for value in accumulate([*first, *widths])]


# ITU-T G.711 table 2a: x1 = 0, x2 = 1, then 15 steps of 2, and segments of 16 that are twice as wide each; 14 bits.
MU_DECISIONS = _decision_values([0, 1, *[2] * 15], [4, 8, 16, 32, 64, 128, 256], 4)
# Table 1a: 32 steps of 2, then segments of 16 that are twice as wide each; 13 bits.
A_DECISIONS = _decision_values([0, *[2] * 32], [4, 8, 16, 32, 64, 128], 8)


def _outputs(decisions: list[int]) -> list[int]:
    """The middle of each interval."""
    return [(low + high) // 2 for low, high in pairwise(decisions)]


# "y0 = 0": the first interval of the mu-law lies on both sides of zero.
MU_OUTPUTS = [0, *_outputs(MU_DECISIONS[1:])]
A_OUTPUTS = _outputs(A_DECISIONS)


def _integer(sample: float) -> int:
    if math.isnan(sample):
        return 0
    if math.isinf(sample):
        return 32767 if sample > 0 else -32768
    return max(-32768, min(32767, math.floor(float(np.float32(sample * np.float32(SCALE)) + np.float32(0.5)))))


def decode_mu_law(codes: NDArray[np.uint8], samples: NDArray[np.float32]) -> None:
    """Table 2a: all bits inverted, the first one the sign."""
    for place in range(len(samples)):
        inverted = int(codes[place]) ^ 0xFF
        output = MU_OUTPUTS[inverted & 0x7F]
        samples[place] = (-output if inverted & 0x80 else output) / SCALE


def encode_mu_law(samples: NDArray[np.float32], codes: NDArray[np.uint8]) -> None:
    """The interval that a magnitude lies in."""
    for place, sample in enumerate(samples):
        value = _integer(float(sample))
        number = min(127, bisect_right(MU_DECISIONS, abs(value)) - 1)
        codes[place] = (number | (0x80 if value < 0 else 0)) ^ 0xFF


def decode_a_law(codes: NDArray[np.uint8], samples: NDArray[np.float32]) -> None:
    """Table 1a: even bits inverted, the first bit set for positive values."""
    for place in range(len(samples)):
        inverted = int(codes[place]) ^ 0x55
        output = A_OUTPUTS[inverted & 0x7F]
        samples[place] = (output if inverted & 0x80 else -output) / SCALE


def encode_a_law(samples: NDArray[np.float32], codes: NDArray[np.uint8]) -> None:
    """The interval that a magnitude lies in; on its border a negative value belongs to the one nearer to zero."""
    for place, sample in enumerate(samples):
        value = _integer(float(sample))
        number = min(127, bisect_right(A_DECISIONS, value if value >= 0 else -value - 1) - 1)
        codes[place] = (number | (0x80 if value >= 0 else 0)) ^ 0x55


def decode_l16(octets: NDArray[np.uint8], samples: NDArray[np.float32]) -> None:
    """RFC 3551 section 4.5.11: network byte order."""
    data = octets.tobytes()
    for place in range(len(samples)):
        samples[place] = int.from_bytes(data[2 * place : 2 * place + 2], "big", signed=True) / SCALE


def encode_l16(samples: NDArray[np.float32], octets: NDArray[np.uint8]) -> None:
    """The same the other way."""
    for place, sample in enumerate(samples):
        octets[2 * place : 2 * place + 2] = list(_integer(float(sample)).to_bytes(2, "big", signed=True))

"""G.711 and L16 over a block: codes to samples and back."""

import math

import numpy as np
from numpy.typing import NDArray

from visiomedia.codecs import reference
from visiomedia.codecs.examples import l16_bytes_example, l16_samples_example, octets_example, samples_example
from visiomedia.jit import Integer, kernel, subroutine

FULL_SCALE = np.float32(32768.0)
MU_BIAS, MU_MOST = 132, 32635
"""ITU-T G.711 table 2, its 14 bits scaled to 16: segments are octaves once 33 is added to a magnitude."""


@subroutine
def _integer(sample: np.float32) -> Integer:
    """The nearest of 16 bits; 0 for NaN."""
    if sample != sample:  # NaN
        return np.int64(0)
    if sample >= np.float32(1.0):
        return np.int64(32767)
    if sample <= np.float32(-1.0):
        return np.int64(-32768)
    return min(math.floor(float(sample * FULL_SCALE + np.float32(0.5))), 32767)


@subroutine
def _octave(value: Integer) -> Integer:
    """How many bits a number has above its lowest eight."""
    bits = np.int64(0)
    rest = np.int64(value) >> 8
    while rest != 0:
        bits += 1
        rest >>= 1
    return bits


@kernel(oracle=reference.decode_mu_law, example=octets_example)
def decode_mu_law(codes: NDArray[np.uint8], samples: NDArray[np.float32]) -> None:
    """One sample a code."""
    for i in range(len(samples)):
        code = ~np.int64(codes[i]) & 0xFF
        magnitude = ((((code & 15) << 3) + MU_BIAS) << ((code >> 4) & 7)) - MU_BIAS
        samples[i] = np.float32(-magnitude if code & 0x80 else magnitude) / FULL_SCALE


@kernel(oracle=reference.encode_mu_law, example=samples_example)
def encode_mu_law(samples: NDArray[np.float32], codes: NDArray[np.uint8]) -> None:
    """One code a sample."""
    for i in range(len(samples)):
        value = _integer(samples[i])
        magnitude = min(abs(int(value)), MU_MOST) + MU_BIAS
        segment = _octave(magnitude)
        code = segment << 4 | ((magnitude >> (segment + 3)) & 15)
        codes[i] = ~(code | (0x80 if value < 0 else 0)) & 0xFF


@kernel(oracle=reference.decode_a_law, example=octets_example)
def decode_a_law(codes: NDArray[np.uint8], samples: NDArray[np.float32]) -> None:
    """One sample a code."""
    for i in range(len(samples)):
        code = np.int64(codes[i]) ^ 0x55
        segment = (code >> 4) & 7
        magnitude = ((code & 15) << 4) + 8
        if segment != 0:
            magnitude = (magnitude + 256) << (segment - 1)
        samples[i] = np.float32(magnitude if code & 0x80 else -magnitude) / FULL_SCALE


@kernel(oracle=reference.encode_a_law, example=samples_example)
def encode_a_law(samples: NDArray[np.float32], codes: NDArray[np.uint8]) -> None:
    """One code a sample."""
    for i in range(len(samples)):
        value = _integer(samples[i])
        magnitude = value if value >= 0 else -value - 1
        segment = _octave(magnitude)
        code = segment << 4 | ((magnitude >> (segment + 3 if segment != 0 else 4)) & 15)
        codes[i] = (code | (0x80 if value >= 0 else 0)) ^ 0x55


@kernel(oracle=reference.decode_l16, example=l16_bytes_example)
def decode_l16(octets: NDArray[np.uint8], samples: NDArray[np.float32]) -> None:
    """Two octets a sample, the higher first."""
    for i in range(len(samples)):
        value = np.int64(octets[2 * i]) << 8 | np.int64(octets[2 * i + 1])
        samples[i] = np.float32(value - 0x10000 if value & 0x8000 else value) / FULL_SCALE


@kernel(oracle=reference.encode_l16, example=l16_samples_example)
def encode_l16(samples: NDArray[np.float32], octets: NDArray[np.uint8]) -> None:
    """Two octets a sample, the higher first."""
    for i in range(len(samples)):
        value = _integer(samples[i])
        octets[2 * i] = (value >> 8) & 0xFF
        octets[2 * i + 1] = value & 0xFF

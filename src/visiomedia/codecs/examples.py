"""Arguments to try the codec kernels on."""

import numpy as np
from numpy.typing import NDArray

from visiomedia.jit import Arguments

MOST = 200


def _samples(generator: np.random.Generator) -> NDArray[np.float32]:
    """Of every loudness, on the borders of integers, beyond full scale, and what is no number."""
    count = int(generator.integers(0, MOST))
    loud = np.float32(10.0 ** generator.uniform(-4, 0.3))
    samples = (loud * generator.uniform(-1, 1, count)).astype(np.float32)
    exact = generator.random(count) < 0.3
    samples[exact] = (generator.integers(-32768, 32768, int(exact.sum())) / 32768).astype(np.float32)
    odd = generator.random(count) < 0.05
    samples[odd] = generator.choice(np.array([np.nan, np.inf, -np.inf, 1, -1, 0], np.float32), int(odd.sum()))
    return samples


def octets_example(generator: np.random.Generator) -> Arguments:
    """Any codes."""
    codes = generator.integers(0, 256, int(generator.integers(0, MOST)), np.uint8)
    return codes, np.zeros(len(codes), np.float32)


def samples_example(generator: np.random.Generator) -> Arguments:
    """Any samples, one octet each."""
    samples = _samples(generator)
    return samples, np.zeros(len(samples), np.uint8)


def l16_bytes_example(generator: np.random.Generator) -> Arguments:
    """Any octets, at times one that is left over."""
    octets = generator.integers(0, 256, int(generator.integers(0, MOST)), np.uint8)
    return octets, np.zeros(len(octets) // 2, np.float32)


def l16_samples_example(generator: np.random.Generator) -> Arguments:
    """Any samples, two octets each."""
    samples = _samples(generator)
    return samples, np.zeros(2 * len(samples), np.uint8)

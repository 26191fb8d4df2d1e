"""Arguments to try the mixer's kernels on."""

import numpy as np
from numpy.typing import NDArray

from visiomedia.jit import Arguments

SAMPLES = (0, 1, 7, 48, 160, 240)


def _block(generator: np.random.Generator, *, rows: int | None = None, most: float = 2.0) -> NDArray[np.float32]:
    """Rows of every loudness, some silent."""
    count = int(generator.integers(0, 9)) if rows is None else rows
    block = generator.uniform(-1, 1, (count, int(generator.choice(SAMPLES)))).astype(np.float32)
    block *= np.float32(most) * np.power(10.0, generator.uniform(-4, 0, (count, 1))).astype(np.float32)
    block[generator.random(count) < 0.2] = 0
    return block


def gain_example(generator: np.random.Generator) -> Arguments:
    """With values among them that are none."""
    block = _block(generator)
    odd = generator.random(block.shape) < 0.01
    block[odd] = generator.choice(np.array([np.nan, np.inf, -np.inf], np.float32), int(odd.sum()))
    gains = generator.uniform(0, 2, (2, len(block))).astype(np.float32)
    return block, gains[0].copy(), gains[1].copy()


def mix_example(generator: np.random.Generator) -> Arguments:
    """Inputs, and room for what comes of them."""
    inputs = _block(generator)
    return inputs, np.ones(inputs.shape[1], np.float32), np.ones(inputs.shape, np.float32)


def limit_example(generator: np.random.Generator) -> Arguments:
    """Rows up to ten times full scale, each at its gain."""
    block = _block(generator, most=float(generator.choice([10.0, 1e6])))
    odd = generator.random(block.shape) < 0.002
    block[odd] = generator.choice(np.array([np.nan, np.inf, -np.inf, 3e38], np.float32), int(odd.sum()))
    gains = generator.choice(np.array([1.0, 0.9, 0.3, 0.05], np.float32), len(block))
    return block, np.array(gains, np.float32)


def level_example(generator: np.random.Generator) -> Arguments:
    """Rows of every loudness."""
    block = _block(generator)
    odd = generator.random(block.shape) < 0.001
    block[odd] = generator.choice(np.array([np.nan, np.inf, 3e38], np.float32), int(odd.sum()))
    return block, np.zeros(len(block), np.uint8)


def pan_example(generator: np.random.Generator) -> Arguments:
    """Positions, some of them beyond the ends."""
    mono = _block(generator)
    rows, samples = mono.shape
    positions = np.array([generator.uniform(-1.5, 1.5) for _ in range(rows)], np.float32)
    return mono, positions, np.zeros((rows, 2, samples), np.float32)

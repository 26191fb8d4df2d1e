"""Gain, mix-minus, limiter, level and panning over a block: every participant at once."""

import math

import numpy as np
from numpy.typing import NDArray

from visiomedia.jit import kernel
from visiomedia.mixer import reference
from visiomedia.mixer.examples import gain_example, level_example, limit_example, mix_example, pan_example
from visiomedia.mixer.reference import (
    ATTACK_SAMPLES,
    CEILING,
    LEAST_GAIN,
    MOST,
    RISE,
    RISE_SAMPLES,
    SILENCE_LEVEL,
)

LOUDEST = np.float32(MOST)

TOLERANCE = 1e-4
"""Of samples of full scale 1: kernels add in 32 bits, their references in 64."""


@kernel(oracle=reference.apply_gain, example=gain_example, tolerance=TOLERANCE)
def apply_gain(block: NDArray[np.float32], begin: NDArray[np.float32], end: NDArray[np.float32]) -> None:
    """Multiply each row, in place, by a gain that goes evenly from ``begin`` to ``end`` (rows,).

    What enters a mix passes here: one NaN would be everybody's, so what is no number is silence, and what is louder
    than ``LOUDEST`` is as loud as that.
    """
    rows, samples = block.shape
    for row in range(rows):
        gain = begin[row]
        step = (end[row] - gain) / np.float32(max(samples, 1))
        for i in range(samples):
            value = block[row, i]
            # Infinities and NaN are the values whose difference with themselves is not zero.
            value = min(max(value, -LOUDEST), LOUDEST) if value - value == 0 else np.float32(0)
            block[row, i] = value * (gain + step * np.float32(i))


@kernel(oracle=reference.mix_minus, example=mix_example, tolerance=TOLERANCE)
def mix_minus(inputs: NDArray[np.float32], total: NDArray[np.float32], outputs: NDArray[np.float32]) -> None:
    """``total`` (samples,): the sum of all inputs; ``outputs`` (rows, samples): that without the row's own."""
    rows, samples = inputs.shape
    for i in range(samples):
        total[i] = np.float32(0)
    for row in range(rows):
        for i in range(samples):
            total[i] += inputs[row, i]
    for row in range(rows):
        for i in range(samples):
            outputs[row, i] = total[i] - inputs[row, i]


@kernel(oracle=reference.limit, example=limit_example, tolerance=TOLERANCE)
def limit(block: NDArray[np.float32], gains: NDArray[np.float32]) -> None:
    """Keep each row below full scale, in place. ``gains`` (rows,): each one's, 1 at first, kept for the next block.

    A peak above ``CEILING`` lowers a row's gain within a millisecond to where the peak is at it; afterwards it rises by
    half a dB in 20 ms (at 48 kHz). A gain that stands still distorts nothing; only what is louder still within that
    millisecond is cut. What is no number is silence.
    """
    rows, samples = block.shape
    for row in range(rows):
        peak = np.float32(0)
        for i in range(samples):
            value = block[row, i]
            if value - value != 0:
                value = np.float32(0)
                block[row, i] = value
            peak = max(peak, abs(value))
        target = 1.0 if peak <= CEILING else max(CEILING / np.float64(peak), LEAST_GAIN)
        gain = np.float64(gains[row])
        end = min(target, gain * RISE ** (samples / RISE_SAMPLES))
        length = min(samples, ATTACK_SAMPLES) if end < gain else samples
        for i in range(samples):
            now = gain + (end - gain) * (i + 1) / length if i < length else end
            block[row, i] = min(max(block[row, i] * now, -1.0), 1.0)
        gains[row] = end


@kernel(oracle=reference.measure_level, example=level_example)
def measure_level(block: NDArray[np.float32], levels: NDArray[np.uint8]) -> None:
    """Each row's level as RFC 6464 and 6465 write it: -dBov of its mean power, 0 loudest, 127 silence."""
    rows, samples = block.shape
    for row in range(rows):
        power = 0.0
        for i in range(samples):
            value = np.float64(block[row, i])
            power += value * value
        level = SILENCE_LEVEL
        if power > 0:
            level = round(min(max(-10 * math.log10(power / samples), 0.0), float(SILENCE_LEVEL)))
        levels[row] = level


@kernel(oracle=reference.pan, example=pan_example, tolerance=TOLERANCE)
def pan(mono: NDArray[np.float32], positions: NDArray[np.float32], stereo: NDArray[np.float32]) -> None:
    """Spread rows (rows, samples) over two channels (rows, 2, samples): -1 left, 0 middle, 1 right, at equal power."""
    rows, samples = mono.shape
    for row in range(rows):
        angle = (min(max(np.float64(positions[row]), -1.0), 1.0) + 1) * (math.pi / 4)
        left, right = np.float32(math.cos(angle)), np.float32(math.sin(angle))
        for i in range(samples):
            stereo[row, 0, i] = mono[row, i] * left
            stereo[row, 1, i] = mono[row, i] * right

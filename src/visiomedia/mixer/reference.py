"""What the mixer's kernels must agree with: one sample after the other, in Python's own numbers."""

import math

import numpy as np
from numpy.typing import NDArray

CEILING = 10 ** (-1 / 20)
"""-1 dBFS: what the limiter brings a peak down to."""
ATTACK_SAMPLES = 48
"""A millisecond at 48 kHz."""
RISE = 10 ** (0.5 / 20)
RISE_SAMPLES = 960
"""By half a dB a limiter's gain may rise in so many samples."""
LEAST_GAIN = 1e-4
"""-80 dB: from there a limiter comes back, whatever it was given."""
MOST = 16.0
"""24 dB above full scale: nothing that enters a mix is louder."""
SILENCE_LEVEL = 127


def apply_gain(block: NDArray[np.float32], begin: NDArray[np.float32], end: NDArray[np.float32]) -> None:
    """A straight line from one gain to the other."""
    for row, (first, last) in enumerate(zip(begin.tolist(), end.tolist(), strict=True)):
        values = block[row].tolist()
        line = (first + (last - first) * place / len(values) for place in range(len(values)))
        block[row] = [
            max(-MOST, min(MOST, value)) * gain if math.isfinite(value) else 0.0
            for value, gain in zip(values, line, strict=True)
        ]


def mix_minus(inputs: NDArray[np.float32], total: NDArray[np.float32], outputs: NDArray[np.float32]) -> None:
    """Everybody hears the others."""
    rows = inputs.tolist()
    for place in range(len(total)):
        total[place] = math.fsum(row[place] for row in rows)
        for own in range(len(rows)):
            outputs[own, place] = math.fsum(row[place] for number, row in enumerate(rows) if number != own)


def limit(block: NDArray[np.float32], gains: NDArray[np.float32]) -> None:
    """Down within a millisecond, up slowly, never above full scale."""
    for row in range(len(block)):
        values = [value if math.isfinite(value) else 0.0 for value in block[row].tolist()]
        before = float(gains[row])
        loudest = max(map(abs, values), default=0.0)
        wanted = max(LEAST_GAIN, CEILING / loudest) if loudest > CEILING else 1.0
        after = min(wanted, before * RISE ** (len(values) / RISE_SAMPLES))
        ramp = min(ATTACK_SAMPLES, len(values)) if after < before else len(values)
        for place, value in enumerate(values):
            share = min(1.0, (place + 1) / ramp)
            block[row, place] = min(1.0, max(-1.0, value * (before + share * (after - before))))
        gains[row] = after


def measure_level(block: NDArray[np.float32], levels: NDArray[np.uint8]) -> None:
    """RFC 6464 section 3: 0 to -127 dBov, its sign left out; 127 for digital silence."""
    for row in range(len(block)):
        values = block[row].tolist()
        power = math.fsum(value * value for value in values) / max(1, len(values))
        level = -10 * math.log10(power) if power > 0 else SILENCE_LEVEL
        levels[row] = round(min(SILENCE_LEVEL, max(0, level)))


def pan(mono: NDArray[np.float32], positions: NDArray[np.float32], stereo: NDArray[np.float32]) -> None:
    """The squares of both gains add up to one."""
    for row, position in enumerate(positions.tolist()):
        share = (max(-1.0, min(1.0, position)) + 1) / 2
        for channel, turn in ((0, 1 - share), (1, share)):
            gain = math.sin(turn * math.pi / 2)
            stereo[row, channel] = [value * gain for value in mono[row].tolist()]

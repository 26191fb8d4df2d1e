"""What the mixer's kernels do to a sound: nobody hears himself, nothing distorts, levels are what meters say."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from visiomedia.mixer import CEILING, apply_gain, limit, measure_level, mix_minus, pan

RATE, BLOCK = 48_000, 960
Block = NDArray[np.float32]
SAMPLES = st.floats(-8, 8, width=32)


def tone(frequency: float, samples: int = BLOCK, *, amplitude: float = 1.0, phase: float = 0.0) -> Block:
    times = np.arange(samples) / RATE
    return (amplitude * np.sin(2 * np.pi * frequency * times + phase)).astype(np.float32)


def decibels(block: Block) -> float:
    return float(10 * np.log10(np.mean(np.square(block, dtype=np.float64)) + 1e-30))


def distortion(block: Block, frequency: float) -> float:
    """Share of a tone's power that is not the tone's: harmonics, and noise with them."""
    window = np.hanning(len(block))
    spectrum = np.abs(np.fft.rfft(block * window)) ** 2
    place = round(frequency * len(block) / RATE)
    own = spectrum[place - 4 : place + 5].sum()
    return float(np.sqrt((spectrum[4:].sum() - own) / own))


def limited(inputs: Block) -> Block:
    """A long signal through the limiter, block by block."""
    gains = np.ones(1, np.float32)
    parts = []
    for start in range(0, len(inputs), BLOCK):
        block = inputs[None, start : start + BLOCK].copy()
        limit(block, gains)
        parts.append(block[0])
    return np.concatenate(parts)


def test_nobody_hears_himself_above_60_db_below() -> None:
    inputs = np.stack([tone(300 + 100 * number, phase=number) for number in range(20)])
    total, outputs = np.zeros(BLOCK, np.float32), np.zeros_like(inputs)
    mix_minus(inputs, total, outputs)
    for number, output in enumerate(outputs):
        others = np.delete(inputs, number, axis=0).astype(np.float64).sum(0)
        assert decibels((output - others).astype(np.float32)) - decibels(inputs[number]) < -100


def test_ten_full_scale_voices_leave_the_limiter_below_full_scale_and_undistorted() -> None:
    for voices in (10 * tone(997, 2 * RATE), sum(tone(997, 2 * RATE, phase=number / 5) for number in range(10))):
        output = limited(np.asarray(voices, np.float32))
        assert np.abs(output).max() <= 1
        settled = output[RATE // 2 :]
        assert np.abs(settled).max() == pytest.approx(CEILING, rel=0.001)
        assert distortion(settled, 997) < 0.01


def test_after_something_absurd_the_limiter_comes_back_within_four_seconds() -> None:
    signal = tone(500, 5 * RATE, amplitude=0.2)
    signal[100:110] = 3e38
    signal[200] = np.inf
    signal[300] = np.nan
    output = limited(signal)
    assert np.isfinite(output).all()
    assert output[-RATE:].tolist() == pytest.approx(signal[-RATE:].tolist(), abs=1e-6)


def test_the_limiter_lets_pass_what_is_below_its_ceiling_untouched() -> None:
    quiet = tone(440, RATE, amplitude=0.8)
    assert limited(quiet).tolist() == quiet.tolist()


def test_after_a_shout_the_limiter_comes_back_within_a_second_and_without_a_step() -> None:
    signal = tone(500, 3 * RATE, amplitude=0.2)
    signal[RATE // 2 : RATE] *= 20
    output = limited(signal)
    assert output[-RATE:].tolist() == pytest.approx(signal[-RATE:].tolist(), abs=1e-6)
    after = output[RATE + BLOCK :]
    assert np.abs(np.diff(after)).max() < 1.2 * np.abs(np.diff(signal[-RATE:])).max(), "no click"


@pytest.mark.parametrize("loudness", [0.0, -3.0, -20.0, -60.0, -100.0])
def test_a_level_is_the_tones_power(loudness: float) -> None:
    block = tone(1000, amplitude=np.sqrt(2) * 10 ** (loudness / 20))[None]
    levels = np.zeros(1, np.uint8)
    measure_level(block, levels)
    assert levels[0] == -loudness
    measure_level(np.zeros((1, BLOCK), np.float32), levels)
    assert levels[0] == 127


def test_a_gain_goes_evenly_to_its_end_and_the_next_block_begins_there() -> None:
    block = np.ones((2, BLOCK), np.float32)
    apply_gain(block, np.array([0, 1], np.float32), np.array([1, 1], np.float32))
    assert block[0].tolist() == pytest.approx((np.arange(BLOCK) / BLOCK).tolist(), abs=1e-5)
    assert block[1].tolist() == [1] * BLOCK


@given(position=st.floats(-1, 1, width=32))
def test_panning_keeps_the_power_and_knows_its_sides(position: float) -> None:
    mono, stereo = tone(440)[None], np.zeros((1, 2, BLOCK), np.float32)
    pan(mono, np.array([position], np.float32), stereo)
    left, right = (float(np.mean(np.square(channel, dtype=np.float64))) for channel in stereo[0])
    assert left + right == pytest.approx(float(np.mean(np.square(mono, dtype=np.float64))), rel=1e-3)
    assert left == pytest.approx(right, rel=1e-3) or (left > right) == (position < 0)


@given(block=arrays.arrays(np.float32, st.tuples(st.integers(0, 5), st.integers(0, 70)), elements=SAMPLES))
def test_whatever_is_mixed_everybody_gets_all_but_his_own_and_nothing_leaves_full_scale(block: Block) -> None:
    total, outputs = np.zeros(block.shape[1], np.float32), np.zeros_like(block)
    mix_minus(block, total, outputs)
    assert np.allclose(outputs + block, total[None, :], atol=1e-4)
    gains = np.ones(len(block), np.float32)
    limit(outputs, gains)
    assert np.abs(outputs).max(initial=0) <= 1
    assert ((gains > 0) & (gains <= 1)).all()


@given(block=arrays.arrays(np.float32, (3, 20), elements=st.floats(width=32)))
def test_what_is_no_number_is_silence(block: Block) -> None:
    odd = ~np.isfinite(block)
    ones = np.ones(3, np.float32)
    usual = block.copy()
    apply_gain(block, ones, ones)
    assert not block[odd].any()
    assert block[~odd].tolist() == np.clip(usual[~odd], -16, 16).tolist()

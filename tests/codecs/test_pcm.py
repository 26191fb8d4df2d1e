"""G.711 and L16: every code, every 16-bit value, another implementation, and what no codec should be given."""

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from visiomedia.codecs import PcmCodec, decode, encode

ALL_CODES = bytes(range(256))
ALL_VALUES = (np.arange(-32768, 32768) / 32768).astype(np.float32)
LAWS = {PcmCodec.PCMU: "pcm_mulaw", PcmCodec.PCMA: "pcm_alaw"}


def by_ffmpeg(codec: PcmCodec, payload: bytes) -> list[int]:
    decoder = av.CodecContext.create(LAWS[codec], "r")
    assert isinstance(decoder, av.AudioCodecContext)
    decoder.layout, decoder.sample_rate = "mono", 8000
    return [int(value) for frame in decoder.decode(av.Packet(payload)) for value in frame.to_ndarray().ravel()]


@pytest.mark.parametrize("codec", LAWS)
def test_every_code_decodes_as_ffmpeg_decodes_it(codec: PcmCodec) -> None:
    assert (decode(codec, ALL_CODES) * 32768).tolist() == by_ffmpeg(codec, ALL_CODES)


@pytest.mark.parametrize("codec", LAWS)
def test_every_value_is_off_by_half_an_interval_at_most_and_none_overtakes_another(codec: PcmCodec) -> None:
    decoded = decode(codec, encode(codec, ALL_VALUES))
    # An interval is a sixteenth of its octave.
    assert (np.abs(decoded - ALL_VALUES) <= (np.abs(ALL_VALUES) + 0.0082) / 32).all()
    assert (np.diff(decoded) >= 0).all()


@pytest.mark.parametrize("codec", LAWS)
def test_a_code_survives_decoding_and_encoding(codec: PcmCodec) -> None:
    again = encode(codec, decode(codec, ALL_CODES))
    differing = [code for code, other in zip(ALL_CODES, again, strict=True) if code != other]
    # The mu-law has two zeros.
    assert differing == ([0x7F] if codec is PcmCodec.PCMU else [])


def test_l16_keeps_every_value() -> None:
    payload = encode(PcmCodec.L16, ALL_VALUES)
    assert payload == np.arange(-32768, 32768).astype(">i2").tobytes()
    assert decode(PcmCodec.L16, payload).tolist() == ALL_VALUES.tolist()
    assert decode(PcmCodec.L16, payload[:-1]).tolist() == ALL_VALUES[:-1].tolist(), "half a sample is none"


@pytest.mark.parametrize(("codec", "least_db"), [(PcmCodec.PCMU, 36), (PcmCodec.PCMA, 36), (PcmCodec.L16, 90)])
def test_a_tone_keeps_its_signal_to_noise_ratio(codec: PcmCodec, least_db: float) -> None:
    tone = (0.5 * np.sin(2 * np.pi * 440 * np.arange(8000) / 8000)).astype(np.float32)
    noise = decode(codec, encode(codec, tone)) - tone
    assert 10 * np.log10(np.mean(tone**2) / np.mean(noise**2)) > least_db


@pytest.mark.parametrize("codec", PcmCodec)
@given(samples=arrays.arrays(np.float32, st.integers(0, 300), elements=st.floats(width=32)))
def test_whatever_it_is_given_it_gives_samples_within_full_scale(codec: PcmCodec, samples: np.ndarray) -> None:
    decoded = decode(codec, encode(codec, samples))
    assert len(decoded) == len(samples)
    assert np.abs(decoded).max(initial=0) <= 1
    assert not decoded[np.isnan(samples)].any() or codec is PcmCodec.PCMA
    # A-law has no zero: its silence is half a step.
    assert np.abs(decoded[np.isnan(samples)]).max(initial=0) <= 8 / 32768

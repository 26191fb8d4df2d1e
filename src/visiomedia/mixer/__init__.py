"""PCM in, PCM out: kernels over blocks of shape (participants, samples), float32, full scale 1.0."""

from visiomedia.mixer.kernels import apply_gain, limit, measure_level, mix_minus, pan
from visiomedia.mixer.reference import CEILING

__all__ = ["CEILING", "apply_gain", "limit", "measure_level", "mix_minus", "pan"]

"""Codecs without memory, by their names in SDP: PCMU, PCMA (RFC 3551 section 4.5.14) and L16 (4.5.11)."""

from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from visiomedia.codecs import kernels


class PcmCodec(StrEnum):
    """Encoding names, as SDP writes them."""

    PCMU = "PCMU"
    """G.711 µ-law, 8 kHz."""
    PCMA = "PCMA"
    """G.711 A-law, 8 kHz."""
    L16 = "L16"
    """16 bits, any rate; channels alternate."""

    @property
    def sample_bytes(self) -> int:
        """Of one sample of one channel."""
        return 2 if self is PcmCodec.L16 else 1


_DECODERS = {
    PcmCodec.PCMU: kernels.decode_mu_law,
    PcmCodec.PCMA: kernels.decode_a_law,
    PcmCodec.L16: kernels.decode_l16,
}
_ENCODERS = {
    PcmCodec.PCMU: kernels.encode_mu_law,
    PcmCodec.PCMA: kernels.encode_a_law,
    PcmCodec.L16: kernels.encode_l16,
}


def decode(codec: PcmCodec, payload: bytes) -> NDArray[np.float32]:
    """The samples of a payload, (samples,) float32; an odd last byte of L16 is no sample."""
    samples = np.empty(len(payload) // codec.sample_bytes, np.float32)
    _DECODERS[codec](np.frombuffer(payload, np.uint8), samples)
    return samples


def encode(codec: PcmCodec, samples: NDArray[np.float32]) -> bytes:
    """A payload of samples, (samples,) float32: what is above full scale is cut, NaN is silence."""
    payload = np.empty(len(samples) * codec.sample_bytes, np.uint8)
    _ENCODERS[codec](np.ascontiguousarray(samples, np.float32), payload)
    return payload.tobytes()

"""Audio codecs over blocks of samples: G.711 and L16. Samples are float32, full scale 1.0."""

from visiomedia.codecs.pcm import PcmCodec, decode, encode

__all__ = ["PcmCodec", "decode", "encode"]

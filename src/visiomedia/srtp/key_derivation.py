"""From master to session keys (RFC 3711 section 4.3; RFC 6188 for 256 bits; RFC 7714 section 11 for GCM), and
from DTLS keying material to master keys (RFC 5764 section 4.2)."""

from dataclasses import dataclass, field
from enum import IntEnum

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from visiomedia.srtp.profiles import ProtectionProfile

EXPORTER_LABEL = b"EXTRACTOR-dtls_srtp"


class KeyLabel(IntEnum):
    """What a derived key is for (RFC 3711 section 4.3.2)."""

    RTP_ENCRYPTION = 0
    RTP_AUTHENTICATION = 1
    RTP_SALT = 2
    RTCP_ENCRYPTION = 3
    RTCP_AUTHENTICATION = 4
    RTCP_SALT = 5


@dataclass(frozen=True, slots=True)
class MasterKey:
    """Master key and salt of one direction, as DTLS exported them."""

    key: bytes = field(repr=False)
    salt: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class TransformKeys:
    """Session keys of RTP or of RTCP of one direction. ``authentication_key`` is empty for AEAD."""

    key: bytes = field(repr=False)
    salt: bytes = field(repr=False)
    authentication_key: bytes = field(repr=False)


def keying_material_length(profile: ProtectionProfile) -> int:
    """Bytes to export from DTLS."""
    return 2 * (profile.lengths.key + profile.lengths.salt)


def split_keying_material(profile: ProtectionProfile, material: bytes) -> tuple[MasterKey, MasterKey]:
    """The client's and the server's write keys (RFC 5764 section 4.2).

    On the wire: client_write_SRTP_master_key, server_write_SRTP_master_key, then the salts in the same order.
    """
    key, salt = profile.lengths.key, profile.lengths.salt
    assert len(material) == keying_material_length(profile), "the exporter gives what it is asked for"
    salts = material[2 * key :]
    return MasterKey(material[:key], salts[:salt]), MasterKey(material[key : 2 * key], salts[salt:])


def derive(master: MasterKey, label: KeyLabel, length: int) -> bytes:
    """``length`` bytes of the AES-CM pseudo-random function for one label, at key derivation rate 0."""
    # RFC 3711 section 4.3.1: "x = key_id XOR master_salt", key_id = label || 48-bit r, r = 0; the label is
    # the eighth byte from the right. RFC 7714 section 11: a 96-bit GCM salt is padded with zeros on the
    # right.
    salt = int.from_bytes(master.salt.ljust(14, b"\0"), "big")
    x = salt ^ (label << 48)
    # Section 4.3.3: the PRF is AES in counter mode over x * 2^16.
    counter = (x << 16).to_bytes(16, "big")
    encryptor = Cipher(algorithms.AES(master.key), modes.CTR(counter)).encryptor()
    return encryptor.update(bytes(length)) + encryptor.finalize()


def derive_rtp_keys(profile: ProtectionProfile, master: MasterKey) -> TransformKeys:
    """Session keys for RTP."""
    lengths = profile.lengths
    return TransformKeys(
        derive(master, KeyLabel.RTP_ENCRYPTION, lengths.key),
        derive(master, KeyLabel.RTP_SALT, lengths.salt),
        derive(master, KeyLabel.RTP_AUTHENTICATION, lengths.authentication_key),
    )


def derive_rtcp_keys(profile: ProtectionProfile, master: MasterKey) -> TransformKeys:
    """Session keys for RTCP."""
    lengths = profile.lengths
    return TransformKeys(
        derive(master, KeyLabel.RTCP_ENCRYPTION, lengths.key),
        derive(master, KeyLabel.RTCP_SALT, lengths.salt),
        derive(master, KeyLabel.RTCP_AUTHENTICATION, lengths.authentication_key),
    )

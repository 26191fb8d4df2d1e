"""Key derivation against the vectors of RFC 3711 appendix B.3 and RFC 6188 section 7.3."""

import json
from pathlib import Path

import pytest

from visiomedia.errors import NegotiationError
from visiomedia.srtp.key_derivation import (
    KeyLabel,
    MasterKey,
    derive,
    derive_rtcp_keys,
    derive_rtp_keys,
    keying_material_length,
    split_keying_material,
)
from visiomedia.srtp.profiles import PREFERENCE, ProtectionProfile, profile_from_openssl_name

VECTORS = json.loads((Path(__file__).parent.parent / "vectors" / "srtp" / "key_derivation.json").read_text())


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_session_keys_are_those_of_the_rfc(vector: dict[str, str]) -> None:
    master = MasterKey(bytes.fromhex(vector["master_key"]), bytes.fromhex(vector["master_salt"]))
    for label, name in (
        (KeyLabel.RTP_ENCRYPTION, "cipher_key"),
        (KeyLabel.RTP_AUTHENTICATION, "authentication_key"),
        (KeyLabel.RTP_SALT, "cipher_salt"),
    ):
        expected = bytes.fromhex(vector[name])
        assert derive(master, label, len(expected)) == expected


def test_the_six_labels_give_six_keys_of_their_lengths() -> None:
    master = MasterKey(bytes(range(16)), bytes(range(14)))
    profile = ProtectionProfile.AES128_CM_SHA1_80
    rtp, rtcp = derive_rtp_keys(profile, master), derive_rtcp_keys(profile, master)
    keys = [rtp.key, rtp.authentication_key, rtp.salt, rtcp.key, rtcp.authentication_key, rtcp.salt]
    assert [len(key) for key in keys] == [16, 20, 14, 16, 20, 14]
    assert len({key[:14] for key in keys}) == 6


@pytest.mark.parametrize("profile", [ProtectionProfile.AEAD_AES_128_GCM, ProtectionProfile.AEAD_AES_256_GCM])
def test_gcm_has_salts_of_12_bytes_and_no_authentication_key(profile: ProtectionProfile) -> None:
    keys = derive_rtp_keys(profile, MasterKey(bytes(profile.lengths.key), bytes(12)))
    assert len(keys.key) == profile.lengths.key
    assert len(keys.salt) == 12
    assert keys.authentication_key == b""


def test_keying_material_is_split_keys_first_then_salts() -> None:
    profile = ProtectionProfile.AES128_CM_SHA1_80
    material = b"C" * 16 + b"S" * 16 + b"c" * 14 + b"s" * 14
    assert keying_material_length(profile) == len(material)
    client, server = split_keying_material(profile, material)
    assert client == MasterKey(b"C" * 16, b"c" * 14)
    assert server == MasterKey(b"S" * 16, b"s" * 14)


def test_profiles_are_known_by_openssls_names() -> None:
    for profile in ProtectionProfile:
        assert profile_from_openssl_name(profile.openssl_name) is profile
    with pytest.raises(NegotiationError):
        profile_from_openssl_name("")
    assert set(PREFERENCE) == set(ProtectionProfile)
    assert [profile.is_aead for profile in PREFERENCE] == [True, True, False]

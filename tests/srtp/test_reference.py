"""The reference's ciphers against the packets and keystreams of RFC 7714, RFC 3711 and RFC 6188."""

import json
from pathlib import Path

import pytest

from visiomedia.srtp.crypto import KeyMaterial
from visiomedia.srtp.key_derivation import TransformKeys
from visiomedia.srtp.profiles import ProtectionProfile
from visiomedia.srtp.reference import counter_mode, open_rtcp, open_rtp, seal_rtcp, seal_rtp

VECTORS = Path(__file__).parent.parent / "vectors" / "srtp"
GCM = json.loads((VECTORS / "aes_gcm.json").read_text())
CM = json.loads((VECTORS / "aes_cm.json").read_text())
SRTCP_INDEX = 0x5D4


@pytest.mark.parametrize("vector", GCM, ids=lambda vector: vector["name"])
def test_whole_packets_of_rfc_7714(vector: dict[str, str]) -> None:
    clear, sealed, compound, sealed_compound, tagged_compound = (
        bytes.fromhex(vector[name]) for name in ("rtp", "srtp", "rtcp", "srtcp", "srtcp_tagged")
    )
    keys = TransformKeys(bytes.fromhex(vector["key"]), bytes.fromhex(vector["salt"]), b"")
    material = KeyMaterial(ProtectionProfile[vector["name"]], keys, None)
    sequence_number = int.from_bytes(clear[2:4], "big")
    assert seal_rtp(material, clear, 12, sequence_number) == sealed
    assert open_rtp(material, sealed, 12, sequence_number) == clear
    assert open_rtp(material, sealed, 12, sequence_number + 65536) is None
    assert seal_rtcp(material, compound, SRTCP_INDEX) == sealed_compound
    assert seal_rtcp(material, compound, SRTCP_INDEX, is_encrypted=False) == tagged_compound
    for packet in (sealed_compound, tagged_compound):
        assert open_rtcp(material, packet) == (compound, SRTCP_INDEX)
        assert open_rtcp(material, packet[:-1] + bytes([packet[-1] ^ 1])) is None


@pytest.mark.parametrize("vector", CM, ids=lambda vector: vector["name"])
def test_keystreams_of_rfc_3711_and_rfc_6188(vector: dict[str, str]) -> None:
    keys = TransformKeys(bytes.fromhex(vector["key"]), bytes.fromhex(vector["salt"]), bytes(20))
    material = KeyMaterial(ProtectionProfile.AES128_CM_SHA1_80, keys, None)
    expected = bytes.fromhex(vector["keystream"])
    assert counter_mode(material, bytes(len(expected)), 0, 0) == expected

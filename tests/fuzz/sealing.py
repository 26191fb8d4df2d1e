"""SRTP and SRTCP under AES-GCM for a peer that seals whatever it likes (RFC 7714), malformed or not."""

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from visiomedia.srtp.dtls import HandshakeCompleted
from visiomedia.srtp.key_derivation import MasterKey, derive_rtcp_keys, derive_rtp_keys

ENCRYPTED = 0x8000_0000
RTCP_HEADER = 8


def _xor(salt: bytes, vector: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(salt, vector, strict=True))


def header_length(packet: bytes) -> int:
    """Where the payload of an RTP packet begins; the fixed header's 12 where what follows does not fit."""
    length = 12 + 4 * (packet[0] & 0x0F)
    if packet[0] & 0x10:
        words = int.from_bytes(packet[length + 2 : length + 4], "big") if len(packet) >= length + 4 else 0xFFFF
        length += 4 + 4 * words
    return length if length <= len(packet) else min(12, len(packet))


class Sealer:
    """Seals with the keys of a finished handshake, and refuses nothing. Rollover counters stay 0."""

    def __init__(self, completed: HandshakeCompleted) -> None:
        assert completed.profile.is_aead, "offered nothing else"
        master = MasterKey(completed.local_key, completed.local_salt)
        rtp, rtcp = derive_rtp_keys(completed.profile, master), derive_rtcp_keys(completed.profile, master)
        self._rtp, self._rtp_salt = AESGCM(rtp.key), rtp.salt
        self._rtcp, self._rtcp_salt = AESGCM(rtcp.key), rtcp.salt
        self._rtcp_index = 0

    def seal(self, packet: bytes) -> bytes:
        """RTP of at least 12 bytes (section 8.1: two zero bytes, SSRC, rollover counter, sequence number)."""
        nonce = _xor(self._rtp_salt, bytes(2) + packet[8:12] + bytes(4) + packet[2:4])
        header = header_length(packet)
        return packet[:header] + self._rtp.encrypt(nonce, packet[header:], packet[:header])

    def seal_rtcp(self, compound: bytes) -> bytes:
        """RTCP of at least 8 bytes (section 9.1: zero bytes, SSRC, zero bytes, index)."""
        self._rtcp_index += 1
        nonce = _xor(self._rtcp_salt, bytes(2) + compound[4:8] + bytes(2) + self._rtcp_index.to_bytes(4, "big"))
        trailer = (ENCRYPTED | self._rtcp_index).to_bytes(4, "big")
        body = self._rtcp.encrypt(nonce, compound[RTCP_HEADER:], compound[:RTCP_HEADER] + trailer)
        return compound[:RTCP_HEADER] + body + trailer

"""SRTP as the RFCs say it, over bytes, integers and sets: what the kernels must agree with.

Ciphers are those of ``cryptography``, keyed by what ``crypto`` remembers of each pointer; nothing here knows
libsrtp or EVP. RFC 3711 (sections 3.1, 3.3, 3.4, 4.1, 4.2), RFC 7714 (sections 8 and 9).
"""

import hashlib
import hmac
from typing import Any, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher as BlockCipher
from cryptography.hazmat.primitives.ciphers import algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from visiomedia.batch import BYTES_USED, MAX_EXPANSION, Drop, OutKind, RowKind
from visiomedia.jit import Integer
from visiomedia.srtp.crypto import KEY_MATERIAL, KeyMaterial
from visiomedia.srtp.tables import RTCP_SENDERS, WINDOW_BITS, Cipher

ENCRYPTED = 1 << 31
RTCP_WINDOW = 64
IDLE_NS = 60 * 10**9


class OpenedRtcp(NamedTuple):
    """A clear compound and the SRTCP index that it came with."""

    compound: bytes
    srtcp_index: int


# --- packets ------------------------------------------------------------------------------------------------


def header_length(packet: bytes) -> int | None:
    """Bytes of an RTP header with CSRCs and extension, or None where that is not one."""
    if len(packet) < 12 or packet[0] >> 6 != 2:
        return None
    length = 12 + 4 * (packet[0] & 0x0F)
    if packet[0] & 0x10:
        length += 4 + 4 * int.from_bytes(packet[length + 2 : length + 4], "big")
        if len(packet) < 16 + 4 * (packet[0] & 0x0F):
            return None
    return length if length <= len(packet) else None


def ssrc_of_rtp(packet: bytes) -> int:
    """Bytes 8 to 11."""
    return int.from_bytes(packet[8:12], "big")


def gcm_nonce(salt: bytes, ssrc: int, index: int) -> bytes:
    """RFC 7714 sections 8.1 and 9.1."""
    return (int.from_bytes(salt, "big") ^ (ssrc << 48 | index)).to_bytes(12, "big")


def counter_mode(material: KeyMaterial, data: bytes, ssrc: int, index: int) -> bytes:
    """RFC 3711 section 4.1.1: IV = (k_s * 2^16) XOR (SSRC * 2^64) XOR (i * 2^16)."""
    iv = (int.from_bytes(material.keys.salt, "big") << 16) ^ (ssrc << 64) ^ (index << 16)
    cipher = BlockCipher(algorithms.AES(material.keys.key), modes.CTR(iv.to_bytes(16, "big")))
    return cipher.encryptor().update(data)


def sha1_80(material: KeyMaterial, data: bytes) -> bytes:
    """RFC 3711 section 4.2.1: the leftmost 80 bits."""
    return hmac.new(material.keys.authentication_key, data, hashlib.sha1).digest()[:10]


def seal_rtp(material: KeyMaterial, packet: bytes, header: int, index: int) -> bytes:
    """The SRTP packet of a clear one whose first ``header`` bytes stay clear."""
    ssrc = ssrc_of_rtp(packet)
    if material.profile.is_aead:
        nonce = gcm_nonce(material.keys.salt, ssrc, index)
        return packet[:header] + AESGCM(material.keys.key).encrypt(nonce, packet[header:], packet[:header])
    sealed = packet[:header] + counter_mode(material, packet[header:], ssrc, index)
    # RFC 3711 section 4.2: M = authenticated portion || ROC.
    return sealed + sha1_80(material, sealed + (index >> 16).to_bytes(4, "big"))


def open_rtp(material: KeyMaterial, packet: bytes, header: int, index: int) -> bytes | None:
    """The clear packet, or None where it is not authentic."""
    ssrc = ssrc_of_rtp(packet)
    if material.profile.is_aead:
        try:
            nonce = gcm_nonce(material.keys.salt, ssrc, index)
            return packet[:header] + AESGCM(material.keys.key).decrypt(nonce, packet[header:], packet[:header])
        except InvalidTag:
            return None
    sealed, tag = packet[:-10], packet[-10:]
    if tag != sha1_80(material, sealed + (index >> 16).to_bytes(4, "big")):
        return None
    return sealed[:header] + counter_mode(material, sealed[header:], ssrc, index)


def seal_rtcp(material: KeyMaterial, compound: bytes, index: int, *, is_encrypted: bool = True) -> bytes:
    """The SRTCP packet of a compound."""
    ssrc = int.from_bytes(compound[4:8], "big")
    word = (index | (ENCRYPTED if is_encrypted else 0)).to_bytes(4, "big")
    clear, secret = (compound[:8], compound[8:]) if is_encrypted else (compound, b"")
    if material.profile.is_aead:
        nonce = gcm_nonce(material.keys.salt, ssrc, index)
        return clear + AESGCM(material.keys.key).encrypt(nonce, secret, clear + word) + word
    sealed = clear + counter_mode(material, secret, ssrc, index) + word
    return sealed + sha1_80(material, sealed)


def rtcp_word(material: KeyMaterial, packet: bytes) -> int | None:
    """E bit and index of an SRTCP packet, or None where it is too short to have them."""
    if len(packet) < 8 + 4 + material.profile.lengths.tag or packet[0] >> 6 != 2:
        return None
    end = len(packet) if material.profile.is_aead else len(packet) - 10
    return int.from_bytes(packet[end - 4 : end], "big")


def open_rtcp(material: KeyMaterial, packet: bytes) -> OpenedRtcp | None:
    """The clear compound with its index, or None where it is not authentic. The packet has its word."""
    word = rtcp_word(material, packet)
    assert word is not None, "asked before"
    ssrc, index = int.from_bytes(packet[4:8], "big"), word & ~ENCRYPTED
    if material.profile.is_aead:
        split = 8 if word & ENCRYPTED else len(packet) - 20
        nonce, associated = gcm_nonce(material.keys.salt, ssrc, index), packet[:split] + packet[-4:]
        try:
            clear = AESGCM(material.keys.key).decrypt(nonce, packet[split:-4], associated)
        except InvalidTag:
            return None
        return OpenedRtcp(packet[:split] + clear, index)
    if packet[-10:] != sha1_80(material, packet[:-10]):
        return None
    body = packet[8:-14]
    return OpenedRtcp(packet[:8] + (counter_mode(material, body, ssrc, index) if word & ENCRYPTED else body), index)


# --- indices ------------------------------------------------------------------------------------------------


def estimate_index(highest: int, sequence_number: int) -> int:
    """Of the cycle of the highest index, the one before and the one after: where the packet comes closest to
    it."""
    if highest < 0:
        return sequence_number
    cycle = highest >> 16
    candidates = [v << 16 | sequence_number for v in (cycle, cycle - 1, cycle + 1) if v >= 0]
    return min(candidates, key=lambda index: abs(index - highest))


def accepted(stream: Any) -> set[int]:
    """The indices that a window remembers."""
    window = sum(int(word) << (64 * i) for i, word in enumerate(stream.window))
    highest = int(stream.highest)
    oldest = max(0, highest - WINDOW_BITS + 1)
    return {index for index in range(oldest, highest + 1) if window >> (index % WINDOW_BITS) & 1}


def remember(stream: Any, index: int) -> None:
    """Put an index into a window."""
    indices = accepted(stream) | {index}
    highest = max(indices)
    window = sum(1 << (i % WINDOW_BITS) for i in indices if i > highest - WINDOW_BITS)
    stream.highest = highest
    for word in range(WINDOW_BITS // 64):
        stream.window[word] = window >> (64 * word) & (2**64 - 1)


def judge(index: int, highest: int, seen: set[int], window: int) -> Drop:
    """RFC 3711 section 3.3.2."""
    if highest >= 0 and index <= highest - window:
        return Drop.TOO_OLD
    return Drop.REPLAYED if index in seen else Drop.NONE


# --- batches ------------------------------------------------------------------------------------------------


def _bytes(arena: Any, row: Any) -> bytes:
    return bytes(arena[int(row.offset) : int(row.offset) + int(row.length)].tobytes())


def _write(arena: Any, offset: int, data: bytes) -> None:
    arena[offset : offset + len(data)] = list(data)


def unprotect(
    rows: Any, arena: Any, first: int, last: int, now: Integer, sessions: Any, receive: Any, scratch: Any
) -> None:
    """Open RTP and RTCP rows first..last-1 in place. ``now``: monotonic ns."""
    for row in rows[first:last]:
        if row.drop == Drop.NONE and row.transport >= 0:
            if row.kind == RowKind.RTP:
                row.drop = _unprotect_rtp(row, arena, sessions[row.transport], receive)
            elif row.kind == RowKind.RTCP:
                row.drop = _unprotect_rtcp(row, arena, sessions[row.transport], now)


def _unprotect_rtp(row: Any, arena: Any, session: Any, receive: Any) -> Drop:
    if session.cipher == Cipher.NONE:
        return Drop.NO_KEYS
    if row.source < 0:
        return Drop.UNKNOWN_SSRC
    packet, stream = _bytes(arena, row), receive[row.source]
    header = header_length(packet)
    if header is None:
        return Drop.MALFORMED
    index = estimate_index(int(stream.highest), int.from_bytes(packet[2:4], "big"))
    if index >= 1 << 48:
        return Drop.TOO_OLD
    verdict = judge(index, int(stream.highest), accepted(stream), WINDOW_BITS)
    if verdict != Drop.NONE:
        return verdict
    material = KEY_MATERIAL[int(session.receive_rtp)]
    if len(packet) < header + material.profile.lengths.tag:
        return Drop.MALFORMED
    clear = open_rtp(material, packet, header, index)
    if clear is None:
        return Drop.AUTHENTICATION
    remember(stream, index)
    _write(arena, int(row.offset), clear)
    row.length, row.index, row.ssrc = len(clear), index, ssrc_of_rtp(packet)
    return Drop.NONE


def _unprotect_rtcp(row: Any, arena: Any, session: Any, now: Integer) -> Drop:
    if session.cipher == Cipher.NONE:
        return Drop.NO_KEYS
    packet, material = _bytes(arena, row), KEY_MATERIAL[int(session.receive_rtcp)]
    word = rtcp_word(material, packet)
    if word is None:
        return Drop.MALFORMED
    ssrc, index = int.from_bytes(packet[4:8], "big"), word & ~ENCRYPTED
    senders = {int(sender.ssrc): place for place, sender in enumerate(session.rtcp_streams) if sender.used}
    free = [place for place in range(RTCP_SENDERS) if not session.rtcp_streams[place].used]
    if ssrc in senders:
        place = senders[ssrc]
        highest, window = int(session.rtcp_streams[place].highest), int(session.rtcp_streams[place].window)
        seen = {highest - age for age in range(RTCP_WINDOW) if window >> age & 1}
        verdict = judge(index, highest, seen, RTCP_WINDOW)
        if verdict != Drop.NONE:
            return verdict
    else:
        seen = set()
        longest_idle = sorted(senders.values(), key=lambda p: (int(session.rtcp_streams[p].last), p))
        place = (free or longest_idle)[0]
        if not free and now - int(session.rtcp_streams[place].last) <= IDLE_NS:
            return Drop.FULL
    opened = open_rtcp(material, packet)
    # Departs from RFC 3711 section 3.4 for AES-CM: because libsrtp takes no unencrypted SRTCP.
    if opened is None or (not word & ENCRYPTED and session.cipher == Cipher.LIBSRTP):
        return Drop.AUTHENTICATION
    seen.add(opened.srtcp_index)
    sender = session.rtcp_streams[place]
    sender.used, sender.ssrc, sender.last, sender.highest = 1, ssrc, now, max(seen)
    sender.window = sum(1 << (max(seen) - i) for i in seen if max(seen) - i < RTCP_WINDOW)
    _write(arena, int(row.offset), opened.compound)
    row.length, row.index, row.ssrc = len(opened.compound), opened.srtcp_index, ssrc
    return Drop.NONE


def protect(
    rows: Any,
    first: int,
    last: int,
    state: Any,
    arena: Any,
    pool: Any,
    sessions: Any,
    send: Any,
    scratch: Any,
) -> int:
    """Seal out rows first..last-1 into the out arena; returns the first not processed, the arena being
    full."""
    for i in range(first, last):
        row = rows[i]
        if row.drop != Drop.NONE or row.kind == OutKind.DATAGRAM:
            continue
        if row.transport < 0 or sessions[row.transport].cipher == Cipher.NONE:
            row.drop = Drop.NO_KEYS
        elif row.kind == OutKind.RTCP:
            row.drop = _protect_rtcp(row, arena, sessions[row.transport])
        elif row.stream < 0:
            row.drop = Drop.NONCE_REFUSED
        else:
            clear = row.prefix[: int(row.prefix_length)].tobytes()
            for piece in range(int(row.slices)):
                start = int(row.slice_offset[piece])
                clear += pool[start : start + int(row.slice_length[piece])].tobytes()
            start = -(-int(state[BYTES_USED]) // 8) * 8
            if start + len(clear) + MAX_EXPANSION > len(arena):
                return i
            stream, index = send[row.stream], int(row.index)
            if not 0 <= index < 1 << 48 or judge(index, int(stream.highest), accepted(stream), WINDOW_BITS):
                row.drop = Drop.NONCE_REFUSED
                continue
            remember(stream, index)
            material = KEY_MATERIAL[int(sessions[row.transport].send_rtp)]
            sealed = seal_rtp(material, clear, int(row.header_length), index)
            _write(arena, start, sealed)
            row.offset, row.length = start, len(sealed)
            state[BYTES_USED] = start + len(sealed)
    return last


def _protect_rtcp(row: Any, arena: Any, session: Any) -> Drop:
    compound, material = _bytes(arena, row), KEY_MATERIAL[int(session.send_rtcp)]
    if len(compound) < 8:
        return Drop.MALFORMED
    if int(row.offset) + len(compound) + MAX_EXPANSION > len(arena):
        return Drop.TOO_LARGE
    index = int(session.rtcp_index)
    if index >= ENCRYPTED:
        return Drop.NONCE_REFUSED
    session.rtcp_index = index + 1
    if session.cipher != Cipher.AES_GCM:
        ssrc = int.from_bytes(compound[4:8], "big")
        index = material.rtcp_sent[ssrc] = material.rtcp_sent.get(ssrc, 0) + 1
    sealed = seal_rtcp(material, compound, index)
    _write(arena, int(row.offset), sealed)
    row.length = len(sealed)
    return Drop.NONE

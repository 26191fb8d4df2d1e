"""Checks that repeat what is known, answered in the turn: consent (RFC 7675) costs no Python.

The session plane arms a path once the agent has selected it: from then on a Binding request with the same username,
authentic, over the path that is selected, changes nothing but when the peer was heard last. Any other check is handed
up: another path, a restart's credentials, a role conflict, an attribute that is not known, a wrong password.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from visiomedia.batch import BYTES_USED, MAX_EXPANSION, ROWS_USED, OutKind, PacketBatch
from visiomedia.jit import Integer, subroutine
from visiomedia.net.tables import NetTables
from visiomedia.srtp.crypto import sha1
from visiomedia.transport.tables import MAX_USERNAME, TransportTables

BLOCK = 64
"""Of SHA-1, bytes: HMAC's keys are padded to it (RFC 2104)."""

DIGEST = 20
HEADER = 20
BINDING_REQUEST, BINDING_SUCCESS = 0x0001, 0x0101
COOKIE = (0x21, 0x12, 0xA4, 0x42)
USERNAME, MESSAGE_INTEGRITY, PRIORITY, USE_CANDIDATE = 0x0006, 0x0008, 0x0024, 0x0025
XOR_MAPPED_ADDRESS = 0x0020
FINGERPRINT, ICE_CONTROLLED, ICE_CONTROLLING = 0x8028, 0x8029, 0x802A
OPTIONAL = 0x8000
LONGEST = 512
"""A longer check is handed up."""

FINGERPRINT_XOR = 0x5354554E
RESPONSE_ROOM = 128
DATAGRAM = int(OutKind.DATAGRAM)


def _crc32_table() -> NDArray[np.int64]:
    """Of each byte, by the reversed polynomial of ITU-T V.42."""
    table = np.zeros(256, np.int64)
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = value >> 1 ^ (0xEDB88320 if value & 1 else 0)
        table[byte] = value
    return table


CRC32 = _crc32_table()


@subroutine
def _get16(data: NDArray[np.uint8], at: Integer) -> Integer:
    return np.int64(data[at]) << 8 | np.int64(data[at + 1])


@subroutine
def _put16(data: NDArray[np.uint8], at: Integer, value: Integer) -> None:
    data[at] = (value >> 8) & 0xFF
    data[at + 1] = value & 0xFF


@subroutine
def _fingerprint(data: NDArray[np.uint8], at: Integer, length: Integer) -> Integer:
    """RFC 8489 section 14.7."""
    crc = np.int64(0xFFFFFFFF)
    for i in range(length):
        crc = crc >> 8 ^ CRC32[(crc ^ np.int64(data[at + i])) & 0xFF]
    return crc ^ np.int64(0xFFFFFFFF) ^ FINGERPRINT_XOR


@subroutine
def _integrity(check: Any, data: NDArray[np.uint8], at: Integer, length: Integer, scratch: NDArray[np.uint8]) -> None:
    """HMAC-SHA1 (RFC 2104) of ``length`` bytes of a message, its length field as if MESSAGE-INTEGRITY were last (RFC
    8489 section 14.5), into the first 20 bytes of ``scratch``."""
    message = BLOCK + DIGEST
    for i in range(BLOCK):
        scratch[message + i] = check.inner[i]
    for i in range(length):
        scratch[message + BLOCK + i] = data[at + i]
    _put16(scratch, message + BLOCK + 2, length - HEADER + 4 + DIGEST)
    start = scratch.ctypes.data
    sha1(start + message, BLOCK + length, start + BLOCK)
    for i in range(BLOCK):
        scratch[message + i] = check.outer[i]
    for i in range(DIGEST):
        scratch[message + BLOCK + i] = scratch[BLOCK + i]
    sha1(start + message, BLOCK + DIGEST, start)


@subroutine
def _integrity_offset(check: Any, data: NDArray[np.uint8], at: Integer, length: Integer) -> Integer:
    """Where MESSAGE-INTEGRITY of a check that repeats what is known begins, from ``at`` on; -1 for any other."""
    if length < HEADER or length > LONGEST or _get16(data, at) != BINDING_REQUEST:
        return -1
    if _get16(data, at + 2) != length - HEADER or length % 4 != 0:
        return -1
    for i in range(4):
        if data[at + 4 + i] != COOKIE[i]:
            return -1
    offset = np.int64(HEADER)
    integrity = np.int64(-1)
    is_named = False
    while offset < length:
        kind = _get16(data, at + offset)
        size = _get16(data, at + offset + 2)
        following = offset + 4 + ((size + 3) & ~3)
        if following > length:
            return -1
        if kind == FINGERPRINT:
            if size != 4 or following != length:
                return -1
            told = _get16(data, at + offset + 4) << 16 | _get16(data, at + offset + 6)
            if told != _fingerprint(data, at, offset):
                return -1
        elif integrity >= 0:
            return -1
        elif kind == USERNAME:
            if size != check.username_length:
                return -1
            for i in range(size):
                if data[at + offset + 4 + i] != check.username[i]:
                    return -1
            is_named = True
        elif kind == MESSAGE_INTEGRITY:
            if size != DIGEST:
                return -1
            integrity = offset
        elif kind == PRIORITY:
            if size != 4:
                return -1
        elif kind == USE_CANDIDATE:
            if size != 0:
                return -1
        elif kind == ICE_CONTROLLING:
            if size != 8:
                return -1
        elif kind < OPTIONAL or kind == ICE_CONTROLLED:
            return -1
        offset = following
    return integrity if is_named else np.int64(-1)


@subroutine
def answer_check(
    row: Any, arena: NDArray[np.uint8], net: NetTables, transport: TransportTables, out: PacketBatch
) -> bool:
    """Answer a STUN row with an out row, where that is all there is to do; False for what has to be handed up."""
    if row.path < 0 or row.transport < 0:
        return False
    check = transport.checks[row.path]
    if check.username_length == 0 or transport.transports[row.transport].path != row.path:
        return False
    if out.state[ROWS_USED] >= len(out.rows) or out.state[BYTES_USED] + RESPONSE_ROOM > len(out.arena):
        return False
    at, scratch = np.int64(row.offset), transport.check_scratch
    integrity = _integrity_offset(check, arena, at, np.int64(row.length))
    if integrity < 0:
        return False
    _integrity(check, arena, at, integrity, scratch)
    difference = np.int64(0)
    for i in range(DIGEST):
        difference |= np.int64(scratch[i] ^ arena[at + integrity + 4 + i])
    if difference != 0:
        return False
    check.heard = row.arrival
    check.answered += 1
    _respond(check, row, arena, net.paths[row.path], out, scratch)
    return True


@subroutine
def _respond(
    check: Any, row: Any, arena: NDArray[np.uint8], path: Any, out: PacketBatch, scratch: NDArray[np.uint8]
) -> None:
    """The success response (RFC 8489 section 6.3.1.1), as the agent would write it."""
    start = np.int64(out.state[BYTES_USED])
    data = out.arena
    _put16(data, start, BINDING_SUCCESS)
    for i in range(16):
        data[start + 4 + i] = arena[row.offset + 4 + i]  # cookie and transaction id
    is_mapped = path.address[10] == 255 and path.address[11] == 255
    for i in range(10):
        is_mapped = is_mapped and path.address[i] == 0
    first = 12 if is_mapped else 0
    size = 16 - first
    at = start + HEADER
    _put16(data, at, XOR_MAPPED_ADDRESS)
    _put16(data, at + 2, 4 + size)
    data[at + 4] = 0
    data[at + 5] = 1 if is_mapped else 2
    _put16(data, at + 6, np.int64(path.port) ^ 0x2112)
    for i in range(size):
        data[at + 8 + i] = path.address[first + i] ^ data[start + 4 + i]
    length = HEADER + 8 + size
    _integrity(check, data, start, length, scratch)
    at = start + length
    _put16(data, at, MESSAGE_INTEGRITY)
    _put16(data, at + 2, DIGEST)
    for i in range(DIGEST):
        data[at + 4 + i] = scratch[i]
    length += 4 + DIGEST
    _put16(data, start + 2, length - HEADER + 8)
    crc = _fingerprint(data, start, length)
    at = start + length
    _put16(data, at, FINGERPRINT)
    _put16(data, at + 2, 4)
    _put16(data, at + 4, crc >> 16)
    _put16(data, at + 6, crc & 0xFFFF)
    length += 8
    leaving = out.rows[out.state[ROWS_USED]]
    leaving.kind = DATAGRAM
    leaving.drop = 0
    leaving.is_audio = 0
    leaving.slices = 0
    leaving.stream = -1
    leaving.subscription = -1
    leaving.transport = row.transport
    leaving.path = row.path
    leaving.offset = start
    leaving.length = length
    out.state[ROWS_USED] += 1
    out.state[BYTES_USED] += (length + MAX_EXPANSION + 7) & ~7


@subroutine
def set_check(transport: TransportTables, command: Any) -> None:
    """SET_CHECK of path ``row``. Values: length of the username, 0 to answer no more. Body: the username, and both
    padded keys of HMAC-SHA1."""
    check = transport.checks[command.row]
    length = np.int64(command.values[0])
    check.username_length = length
    check.heard = 0
    for i in range(min(int(length), MAX_USERNAME)):
        check.username[i] = command.body[i]
    if length > 0:
        for i in range(BLOCK):
            check.inner[i] = command.body[length + i]
            check.outer[i] = command.body[length + BLOCK + i]

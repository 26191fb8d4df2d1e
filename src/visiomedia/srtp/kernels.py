"""SRTP over batches: opening in place, sealing out rows, and what commands do to sessions (RFC 3711, RFC
7714).

AES-GCM by EVP; where a session's cipher is LIBSRTP the same steps with libsrtp, whose state follows ours.
"""

import sys
from typing import Any

import numpy as np

from visiomedia.batch import BYTES_USED, MAX_EXPANSION, Drop, OutKind, RowKind
from visiomedia.jit import Integer, kernel, subroutine
from visiomedia.memory import address_of, copy_bytes
from visiomedia.srtp import examples, reference
from visiomedia.srtp.crypto import (
    libsrtp_protect,
    libsrtp_protect_rtcp,
    libsrtp_remove_stream,
    libsrtp_unprotect,
    libsrtp_unprotect_rtcp,
)
from visiomedia.srtp.gcm import (
    LENGTH_OFFSET,
    TAG,
    authenticate_opening,
    authenticate_sealing,
    begin_opening,
    begin_sealing,
    encrypt_piece,
    finish_opening,
    finish_sealing,
    write_iv,
)
from visiomedia.srtp.tables import RTCP_SENDERS, Cipher
from visiomedia.srtp.windows import (
    MAX_INDEX,
    check_index,
    check_rtcp_index,
    estimate_index,
    mark_index,
    mark_rtcp_index,
    reset_stream,
)

__all__ = ["clear_session", "open_unknown", "protect", "reset_stream", "set_keys", "unprotect"]

RTP_ROW = int(RowKind.RTP)
RTCP_ROW = int(RowKind.RTCP)
OUT_DATAGRAM = int(OutKind.DATAGRAM)
OUT_RTP = int(OutKind.RTP)

NO_KEYS_CIPHER = int(Cipher.NONE)
AES_GCM = int(Cipher.AES_GCM)
LIBSRTP = int(Cipher.LIBSRTP)

PASSED = int(Drop.NONE)
NO_KEYS = int(Drop.NO_KEYS)
MALFORMED = int(Drop.MALFORMED)
AUTHENTICATION = int(Drop.AUTHENTICATION)
REPLAYED = int(Drop.REPLAYED)
TOO_OLD = int(Drop.TOO_OLD)
UNKNOWN_SSRC = int(Drop.UNKNOWN_SSRC)
NONCE_REFUSED = int(Drop.NONCE_REFUSED)
TOO_LARGE = int(Drop.TOO_LARGE)
FULL = int(Drop.FULL)

TRIAL_OFFSET = 1024
MAX_TRIAL = 2048

RTCP_HEADER = 8
SRTCP_INDEX_BYTES = 4
SRTCP_ENCRYPTED = 0x8000_0000
MAX_SRTCP_INDEX = 0x7FFF_FFFF
SHA1_80_TAG = 10

RTCP_SENDER_IDLE_NS = 60_000_000_000

# libsrtp's srtp_err_status_t
LIBSRTP_BAD_PARAMETER = 2
LIBSRTP_REPLAYED = 9
LIBSRTP_REPLAYED_OLD = 10
LIBSRTP_PARSE_ERROR = 21
LIBSRTP_INDEX_OLD = 26

IS_LITTLE_ENDIAN = sys.byteorder == "little"


# --- reading headers ----------------------------------------------------------------------------------------


@subroutine
def _word(arena: Any, offset: Integer) -> Integer:
    """32 bits in network order."""
    high = (np.int64(arena[offset]) << 24) | (np.int64(arena[offset + 1]) << 16)
    return np.int64(high | (np.int64(arena[offset + 2]) << 8) | np.int64(arena[offset + 3]))


@subroutine
def _rtp_header_length(arena: Any, offset: Integer, length: Integer) -> Integer:
    """Bytes of fixed header, CSRCs and extension (RFC 3550 section 5.1), or -1 where they do not fit."""
    if length < 12 or (arena[offset] >> 6) != 2:
        return np.int64(-1)
    header = np.int64(12) + 4 * (np.int64(arena[offset]) & 15)
    if arena[offset] & 0x10:
        if length < header + 4:
            return np.int64(-1)
        words = (np.int64(arena[offset + header + 2]) << 8) | np.int64(arena[offset + header + 3])
        header += 4 + 4 * words
    return np.int64(header if header <= length else -1)


# --- libsrtp ------------------------------------------------------------------------------------------------


@subroutine
def _drop_of_status(status: Integer) -> Integer:
    """Why libsrtp did not open a packet."""
    if status == 0:
        return PASSED
    if status == LIBSRTP_REPLAYED:
        return REPLAYED
    if status in (LIBSRTP_REPLAYED_OLD, LIBSRTP_INDEX_OLD):
        return TOO_OLD
    if status in (LIBSRTP_BAD_PARAMETER, LIBSRTP_PARSE_ERROR):
        return MALFORMED
    return AUTHENTICATION


@subroutine
def _give_length(scratch: Any, length: Integer) -> None:
    """Into the int in scratch by which C functions take lengths."""
    for i in range(4):
        scratch[LENGTH_OFFSET + (i if IS_LITTLE_ENDIAN else 3 - i)] = (length >> (8 * i)) & 0xFF


@subroutine
def _take_length(scratch: Any) -> Integer:
    """What C functions gave back there."""
    length = np.int64(0)
    for i in range(4):
        length |= np.int64(scratch[LENGTH_OFFSET + (i if IS_LITTLE_ENDIAN else 3 - i)]) << (8 * i)
    return length


@subroutine
def _remove_stream(session: Integer, ssrc: Integer) -> None:
    """Make libsrtp forget an SSRC, if it knows it. It takes the SSRC as it lies in a packet."""
    value = ssrc
    if IS_LITTLE_ENDIAN:
        value = ((ssrc & 0xFF) << 24) | ((ssrc & 0xFF00) << 8) | ((ssrc >> 8) & 0xFF00) | ((ssrc >> 24) & 0xFF)
    libsrtp_remove_stream(int(session), int(value))


# --- opening ------------------------------------------------------------------------------------------------


@subroutine
def _unprotect_rtp(row: Any, arena: Any, session: Any, receive: Any, scratch: Any) -> Integer:
    """Open one RTP row; returns why it is dropped."""
    if session.cipher == NO_KEYS_CIPHER:
        return NO_KEYS
    if row.source < 0:
        return UNKNOWN_SSRC
    offset, length = np.int64(row.offset), np.int64(row.length)
    header = _rtp_header_length(arena, offset, length)
    if header < 0:
        return MALFORMED
    stream = receive[row.source]
    sequence_number = (np.int64(arena[offset + 2]) << 8) | np.int64(arena[offset + 3])
    ssrc = _word(arena, offset + 8)
    index = estimate_index(np.int64(stream.highest), sequence_number)
    if index > MAX_INDEX:
        return TOO_OLD
    # RFC 3711 section 3.3: the replay check comes first, and the list is updated once the packet is
    # authentic.
    verdict = check_index(stream, index)
    if verdict != PASSED:
        return verdict
    body = length - header - (SHA1_80_TAG if session.cipher == LIBSRTP else TAG)
    if body < 0:
        return MALFORMED
    start = address_of(arena) + offset
    if session.cipher == AES_GCM:
        workspace = address_of(scratch)
        context = np.int64(session.receive_rtp)
        write_iv(scratch, session.receive_rtp_salt, ssrc, index)
        if not (
            begin_opening(context, workspace, start + header + body)
            and authenticate_opening(context, workspace, start, header)
            and finish_opening(context, workspace, start + header, body, start + header)
        ):
            return AUTHENTICATION
        clear = header + body
    else:
        _give_length(scratch, length)
        status = libsrtp_unprotect(int(session.receive_rtp), int(start), int(address_of(scratch)) + LENGTH_OFFSET)
        verdict = _drop_of_status(status)
        if verdict != PASSED:
            return verdict
        clear = _take_length(scratch)
    mark_index(stream, index)
    row.length = clear
    row.index = index
    row.ssrc = ssrc
    return PASSED


@subroutine
def _rtcp_sender(session: Any, ssrc: Integer, now: Integer) -> Integer:
    """The place of an SSRC in the session's replay state: its own, a free one, the longest idle one, or
    -1."""
    free, idle = np.int64(-1), np.int64(-1)
    for i in range(RTCP_SENDERS):
        sender = session.rtcp_streams[i]
        if sender.used == 0:
            if free < 0:
                free = np.int64(i)
        elif sender.ssrc == ssrc:
            return np.int64(i)
        elif idle < 0 or sender.last < session.rtcp_streams[idle].last:
            idle = np.int64(i)
    if free >= 0:
        return free
    if now - session.rtcp_streams[idle].last > RTCP_SENDER_IDLE_NS:
        return idle
    return np.int64(-1)


@subroutine
def _open_rtcp_gcm(
    arena: Any, offset: Integer, length: Integer, session: Any, scratch: Any, ssrc: Integer, word: Integer
) -> bool:
    """Open an SRTCP packet in place (RFC 7714 section 9); its index word lies behind its tag."""
    start, workspace = address_of(arena) + offset, address_of(scratch)
    context = np.int64(session.receive_rtcp)
    clear = length - TAG - SRTCP_INDEX_BYTES
    write_iv(scratch, session.receive_rtcp_salt, ssrc, word & MAX_SRTCP_INDEX)
    # RFC 7714 section 9.2: with E set the first 8 bytes stay clear; with E clear (section 9.3) the whole
    # compound. The index word is authenticated after either.
    authenticated = np.int64(RTCP_HEADER) if word & SRTCP_ENCRYPTED else clear
    return bool(
        begin_opening(context, workspace, start + clear)
        and authenticate_opening(context, workspace, start, authenticated)
        and authenticate_opening(context, workspace, start + clear + TAG, SRTCP_INDEX_BYTES)
        and finish_opening(context, workspace, start + authenticated, clear - authenticated, start + authenticated)
    )


@subroutine
def _unprotect_rtcp(row: Any, arena: Any, session: Any, now: Integer, scratch: Any) -> Integer:
    """Open one RTCP row; returns why it is dropped."""
    if session.cipher == NO_KEYS_CIPHER:
        return NO_KEYS
    offset, length = np.int64(row.offset), np.int64(row.length)
    # RFC 3711 section 3.4 puts the index before the tag, RFC 7714 section 9.1 behind it.
    is_index_last = session.cipher != LIBSRTP
    trailer = np.int64(SRTCP_INDEX_BYTES + (TAG if is_index_last else SHA1_80_TAG))
    if length < RTCP_HEADER + trailer or (arena[offset] >> 6) != 2:
        return MALFORMED
    ssrc = _word(arena, offset + 4)
    word = _word(arena, offset + length - (SRTCP_INDEX_BYTES if is_index_last else trailer))
    index = np.int64(word & MAX_SRTCP_INDEX)
    place = _rtcp_sender(session, ssrc, now)
    if place < 0:
        return FULL
    sender = session.rtcp_streams[place]
    is_known = sender.used != 0 and sender.ssrc == ssrc
    if is_known:
        verdict = check_rtcp_index(sender, index)
        if verdict != PASSED:
            return verdict
    clear = length - trailer
    if session.cipher == AES_GCM:
        if not _open_rtcp_gcm(arena, offset, length, session, scratch, ssrc, word):
            return AUTHENTICATION
    else:
        _give_length(scratch, length)
        start = address_of(arena) + offset
        status = libsrtp_unprotect_rtcp(int(session.receive_rtcp), int(start), int(address_of(scratch)) + LENGTH_OFFSET)
        verdict = _drop_of_status(status)
        if verdict != PASSED:
            return verdict
        clear = np.int64(_take_length(scratch))
        if sender.used != 0 and not is_known:
            _remove_stream(session.receive_rtcp, np.int64(sender.ssrc))
    if not is_known:
        sender.used = 1
        sender.ssrc = ssrc
        sender.highest = -1
        sender.window = 0
    mark_rtcp_index(sender, index)
    sender.last = now
    row.length = clear
    row.index = index
    row.ssrc = ssrc
    return PASSED


@kernel(oracle=reference.unprotect, example=examples.unprotect, observe=examples.observe_unprotect)
def unprotect(
    rows: Any, arena: Any, first: int, last: int, now: Integer, sessions: Any, receive: Any, scratch: Any
) -> None:
    """Open RTP and RTCP rows first..last-1 in place. ``now``: monotonic ns.

    Opened rows have their clear length, their index and SSRC; the others a reason in ``drop``, and bytes of
    no further use unless that is UNKNOWN_SSRC.
    """
    for i in range(first, last):
        row = rows[i]
        if row.drop != 0 or row.transport < 0:
            continue
        if row.kind == RTP_ROW:
            row.drop = _unprotect_rtp(row, arena, sessions[row.transport], receive, scratch)
        elif row.kind == RTCP_ROW:
            row.drop = _unprotect_rtcp(row, arena, sessions[row.transport], now, scratch)


@subroutine
def open_unknown(
    arena: Any, offset: Integer, length: Integer, sessions: Any, transport: Integer, scratch: Any
) -> Integer:
    """Try to open, with rollover counter 0, a packet whose SSRC is not known yet.

    The clear packet is written to scratch[1024:]; arena and windows stay as they are. Returns its length, -1
    where it is not authentic, -2 where it is malformed or too long, or there are no keys.
    """
    session = sessions[transport]
    header = _rtp_header_length(arena, offset, length)
    if session.cipher == NO_KEYS_CIPHER or header < 0 or length > MAX_TRIAL:
        return np.int64(-2)
    ssrc = _word(arena, offset + 8)
    workspace = address_of(scratch)
    if session.cipher != AES_GCM:
        copy_bytes(scratch, TRIAL_OFFSET, arena, offset, length)
        # libsrtp adds a stream for what it opens. Without it the packet opens again once its SSRC is known.
        _remove_stream(session.receive_rtp, ssrc)
        _give_length(scratch, length)
        status = libsrtp_unprotect(
            int(session.receive_rtp), int(workspace) + TRIAL_OFFSET, int(workspace) + LENGTH_OFFSET
        )
        if status != 0:
            return np.int64(-2 if _drop_of_status(status) == MALFORMED else -1)
        _remove_stream(session.receive_rtp, ssrc)
        return _take_length(scratch)
    body = length - header - TAG
    if body < 0:
        return np.int64(-2)
    for i in range(header):
        scratch[TRIAL_OFFSET + i] = arena[offset + i]
    start = address_of(arena) + offset
    context = np.int64(session.receive_rtp)
    index = (np.int64(arena[offset + 2]) << 8) | np.int64(arena[offset + 3])
    write_iv(scratch, session.receive_rtp_salt, ssrc, index)
    if not (
        begin_opening(context, workspace, start + header + body)
        and authenticate_opening(context, workspace, start, header)
        and finish_opening(context, workspace, start + header, body, workspace + TRIAL_OFFSET + header)
    ):
        return np.int64(-1)
    return np.int64(header + body)


# --- sealing ------------------------------------------------------------------------------------------------


@subroutine
def _protect_rtp(row: Any, start: Integer, arena: Any, pool: Any, session: Any, stream: Any, scratch: Any) -> Integer:
    """Assemble and seal one RTP row at ``start`` of the arena; returns why it is dropped."""
    index = np.int64(row.index)
    # RFC 3711 section 9.1: a keystream is used once. RFC 7714 section 8.4 says the same of nonces, and what
    # one used twice gives away. So the index is spent before anything is sealed.
    if index < 0 or index > MAX_INDEX or check_index(stream, index) != PASSED:
        return NONCE_REFUSED
    mark_index(stream, index)
    is_gcm = session.cipher == AES_GCM
    prefix_length, header = np.int64(row.prefix_length), np.int64(row.header_length)
    copy_bytes(arena, start, row.prefix, 0, prefix_length)
    workspace, target = address_of(scratch), address_of(arena) + start
    context = np.int64(session.send_rtp)
    if is_gcm:
        write_iv(scratch, session.send_rtp_salt, np.int64(row.ssrc), index)
        if not (
            begin_sealing(context, workspace)
            and authenticate_sealing(context, workspace, target, header)
            and encrypt_piece(context, workspace, target + header, prefix_length - header, target + header)
        ):
            return NONCE_REFUSED
    length = prefix_length
    source = address_of(pool)
    for piece in range(np.int64(row.slices)):
        slice_offset, slice_length = np.int64(row.slice_offset[piece]), np.int64(row.slice_length[piece])
        if is_gcm:
            if not encrypt_piece(context, workspace, source + slice_offset, slice_length, target + length):
                return NONCE_REFUSED
        else:
            copy_bytes(arena, start + length, pool, slice_offset, slice_length)
        length += slice_length
    if is_gcm:
        if not finish_sealing(context, workspace, target + length):
            return NONCE_REFUSED
        length += TAG
    else:
        _give_length(scratch, length)
        if libsrtp_protect(int(session.send_rtp), int(target), int(workspace) + LENGTH_OFFSET) != 0:
            return NONCE_REFUSED
        length = np.int64(_take_length(scratch))
    row.offset = start
    row.length = length
    return PASSED


@subroutine
def _protect_rtcp(row: Any, arena: Any, session: Any, scratch: Any) -> Integer:
    """Seal one RTCP row in place; returns why it is dropped."""
    offset, length = np.int64(row.offset), np.int64(row.length)
    if length < RTCP_HEADER:
        return MALFORMED
    if offset + length + MAX_EXPANSION > len(arena):
        return TOO_LARGE
    index = np.int64(session.rtcp_index)
    # RFC 3711 section 9.2: after 2^31 SRTCP packets the key is used up.
    if index > MAX_SRTCP_INDEX:
        return NONCE_REFUSED
    session.rtcp_index = index + 1
    start, workspace = address_of(arena) + offset, address_of(scratch)
    if session.cipher != AES_GCM:
        # libsrtp counts by itself, for each of our SSRCs.
        _give_length(scratch, length)
        if libsrtp_protect_rtcp(int(session.send_rtcp), int(start), int(workspace) + LENGTH_OFFSET) != 0:
            return NONCE_REFUSED
        row.length = _take_length(scratch)
        return PASSED
    context = np.int64(session.send_rtcp)
    word = index | SRTCP_ENCRYPTED
    for i in range(SRTCP_INDEX_BYTES):
        arena[offset + length + TAG + i] = np.uint8((word >> (24 - 8 * i)) & 0xFF)
    write_iv(scratch, session.send_rtcp_salt, _word(arena, offset + 4), index)
    body = start + RTCP_HEADER
    if not (
        begin_sealing(context, workspace)
        and authenticate_sealing(context, workspace, start, RTCP_HEADER)
        and authenticate_sealing(context, workspace, start + length + TAG, SRTCP_INDEX_BYTES)
        and encrypt_piece(context, workspace, body, length - RTCP_HEADER, body)
        and finish_sealing(context, workspace, start + length)
    ):
        return NONCE_REFUSED
    row.length = length + TAG + SRTCP_INDEX_BYTES
    return PASSED


@kernel(oracle=reference.protect, example=examples.protect, observe=examples.observe_protect)
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
    """Seal out rows first..last-1 into the out arena behind ``state[BYTES_USED]``, which moves on.

    Returns the first row not processed because the arena is full, or ``last``.
    """
    for i in range(first, last):
        row = rows[i]
        if row.drop != 0 or row.kind == OUT_DATAGRAM:
            continue
        if row.transport < 0 or sessions[row.transport].cipher == NO_KEYS_CIPHER:
            row.drop = NO_KEYS
            continue
        session = sessions[row.transport]
        if row.kind != OUT_RTP:
            row.drop = _protect_rtcp(row, arena, session, scratch)
            continue
        if row.stream < 0:
            row.drop = NONCE_REFUSED
            continue
        start = (np.int64(state[BYTES_USED]) + 7) & ~np.int64(7)
        length = np.int64(row.prefix_length)
        for piece in range(np.int64(row.slices)):
            length += np.int64(row.slice_length[piece])
        if start + length + MAX_EXPANSION > len(arena):
            return i
        row.drop = _protect_rtp(row, start, arena, pool, session, send[row.stream], scratch)
        if row.drop == PASSED:
            state[BYTES_USED] = start + np.int64(row.length)
    return last


# --- commands -----------------------------------------------------------------------------------------------


@subroutine
def clear_session(sessions: Any, row: Integer) -> None:
    """Take a transport's keys away: nothing is opened or sealed with them after this."""
    session = sessions[row]
    session.cipher = NO_KEYS_CIPHER
    session.receive_rtp = 0
    session.receive_rtcp = 0
    session.send_rtp = 0
    session.send_rtcp = 0
    for i in range(12):
        session.receive_rtp_salt[i] = 0
        session.receive_rtcp_salt[i] = 0
        session.send_rtp_salt[i] = 0
        session.send_rtcp_salt[i] = 0
    session.rtcp_index = 0
    for i in range(RTCP_SENDERS):
        sender = session.rtcp_streams[i]
        sender.ssrc = 0
        sender.used = 0
        sender.highest = -1
        sender.window = 0
        sender.last = 0


@subroutine
def set_keys(sessions: Any, command: Any) -> None:
    """SET_KEYS. Values: cipher, pointers to receive RTP, receive RTCP, send RTP, send RTCP. Body: their
    salts, of 12 bytes each."""
    clear_session(sessions, command.row)
    session = sessions[command.row]
    session.receive_rtp = command.values[1]
    session.receive_rtcp = command.values[2]
    session.send_rtp = command.values[3]
    session.send_rtcp = command.values[4]
    for i in range(12):
        session.receive_rtp_salt[i] = command.body[i]
        session.receive_rtcp_salt[i] = command.body[12 + i]
        session.send_rtp_salt[i] = command.body[24 + i]
        session.send_rtcp_salt[i] = command.body[36 + i]
    session.cipher = command.values[0]

"""Arguments on which the SRTP kernels are compared with their references, and what of them must agree."""

from typing import Any

import numpy as np

from visiomedia.batch import BYTES_USED, MAX_EXPANSION, OUT_ROW, ROW, OutKind, RowKind
from visiomedia.srtp.crypto import KEY_MATERIAL, SessionKeys, make_session_keys
from visiomedia.srtp.profiles import ProtectionProfile
from visiomedia.srtp.reference import header_length, seal_rtcp, seal_rtp
from visiomedia.srtp.tables import SrtpTables, make_srtp_tables

STREAMS = 2
"""For each transport."""

SESSIONS = (
    (ProtectionProfile.AEAD_AES_128_GCM, False),
    (ProtectionProfile.AEAD_AES_256_GCM, False),
    (ProtectionProfile.AES128_CM_SHA1_80, True),
    (ProtectionProfile.AEAD_AES_128_GCM, True),
)
"""Profile, and whether through libsrtp; the last transport has no keys."""


def install(keys: SessionKeys, session: Any) -> None:
    """Put keys into a row without a command."""
    session.cipher = keys.cipher
    names = ("receive_rtp", "receive_rtcp", "send_rtp", "send_rtcp")
    for name, pointer, salt in zip(names, keys.pointers, keys.salts, strict=True):
        session[name] = pointer
        session[f"{name}_salt"] = np.frombuffer(salt[:12], np.uint8)


def make_tables(rng: np.random.Generator) -> SrtpTables:
    """Sessions of every cipher, and one without keys."""
    transports = len(SESSIONS) + 1
    tables = make_srtp_tables(transports, STREAMS * transports, STREAMS * transports)
    for row, (profile, is_portable) in enumerate(SESSIONS):
        key, salt = profile.lengths.key, profile.lengths.salt
        masters = (rng.bytes(key), rng.bytes(salt), rng.bytes(key), rng.bytes(salt))
        install(make_session_keys(profile, *masters, is_portable=is_portable), tables.sessions[row])
        tables.sessions[row].rtcp_index = 0
    return tables


def rtp_packet(rng: np.random.Generator, ssrc: int, sequence_number: int) -> bytes:
    """A clear packet with CSRCs and an extension, at times."""
    contributors, has_extension = int(rng.choice([0, 0, 1, 15])), bool(rng.integers(2))
    first = 0x80 | has_extension << 4 | contributors
    header = bytes([first, int(rng.integers(256))]) + sequence_number.to_bytes(2, "big") + rng.bytes(4)
    header += ssrc.to_bytes(4, "big") + rng.bytes(4 * contributors)
    if has_extension:
        words = int(rng.integers(4))
        header += b"\xbe\xde" + words.to_bytes(2, "big") + rng.bytes(4 * words)
    return header + rng.bytes(int(rng.choice([0, 1, 15, 16, 17, 160, 1100])))


def rtcp_compound(rng: np.random.Generator, ssrc: int) -> bytes:
    """Something like a receiver report."""
    words = int(rng.integers(1, 20))
    return b"\x80\xc9" + words.to_bytes(2, "big") + ssrc.to_bytes(4, "big") + rng.bytes(4 * (words - 1))


def damaged(rng: np.random.Generator, packet: bytes) -> bytes:
    """The packet, or what an attacker or a bad link makes of it."""
    fate = rng.random()
    if fate < 0.8:
        return packet
    if fate < 0.9:
        changed = bytearray(packet)
        changed[int(rng.integers(len(changed)))] ^= 1 << int(rng.integers(8))
        return bytes(changed)
    return packet[: int(rng.integers(len(packet)))] if fate < 0.97 else rng.bytes(len(packet))


def _next_index(rng: np.random.Generator, index: int) -> int:
    """Mostly the next; at times one lost, late, repeated, too old, or after a gap."""
    step = int(rng.choice([1, 1, 1, 1, 2, 0, -1, -5, -2500, 70, 2100, 9000]))
    return max(0, index + step)


def unprotect(rng: np.random.Generator) -> tuple[Any, ...]:
    """Some packets for each of several sessions."""
    count = 160
    tables = make_tables(rng)
    rows, arena = np.zeros(count, ROW).view(np.recarray), np.zeros(count * 1400, np.uint8)
    newest = rng.integers(60_000, 65_536, len(tables.receive)).tolist()
    rtcp_index = 1
    now, used = 10**12, 0
    for row in rows:
        transport, stream = int(rng.integers(len(SESSIONS) + 1)), int(rng.integers(STREAMS))
        source = STREAMS * transport + stream
        session = tables.sessions[transport]
        is_rtp, ssrc = bool(rng.random() < 0.7), 0xFFFF_0000 + source
        if is_rtp:
            index = _next_index(rng, newest[source])
            newest[source] = max(newest[source], index)
            packet = rtp_packet(rng, ssrc, index & 0xFFFF)
            if session.cipher:
                header = header_length(packet)
                assert header is not None, "made to have one"
                packet = seal_rtp(KEY_MATERIAL[int(session.receive_rtp)], packet, header, index)
        else:
            rtcp_index = max(1, rtcp_index + int(rng.choice([1, 1, 0, -3, -80, 90])))
            packet = rtcp_compound(rng, ssrc)
            if session.cipher:
                material = KEY_MATERIAL[int(session.receive_rtcp)]
                packet = seal_rtcp(material, packet, rtcp_index, is_encrypted=bool(rng.random() < 0.9))
        packet = damaged(rng, packet)
        arena[used : used + len(packet)] = np.frombuffer(packet, np.uint8)
        row.kind = RowKind.RTP if is_rtp else RowKind.RTCP
        row.offset, row.length = used, len(packet)
        row.transport = transport if rng.random() < 0.97 else -1
        row.source = source if rng.random() < 0.97 else -1
        row.drop = 0 if rng.random() < 0.97 else 2
        used += len(packet)
    return rows, arena, 0, count, now, tables.sessions, tables.receive, tables.scratch


def observe_unprotect(arguments: tuple[Any, ...]) -> Any:
    """Rows, clear bytes of those opened, and windows; not what is left of bytes that failed."""
    rows, arena, _, _, _, sessions, receive, _ = arguments
    opened = [
        arena[row.offset : row.offset + row.length].tobytes() if row.drop == 0 and row.transport >= 0 else b""
        for row in rows
    ]
    columns = _columns(rows, "drop", "length", "index", "ssrc")
    senders = _columns(sessions["rtcp_streams"], "ssrc", "used", "highest", "window", "last")
    return columns, opened, senders, _columns(receive, "highest", "window")


def protect(rng: np.random.Generator) -> tuple[Any, ...]:
    """Out rows of every kind for each of several sessions, and an arena that may be too small for them."""
    count = 120
    tables = make_tables(rng)
    rows = np.zeros(count, OUT_ROW).view(np.recarray)
    arena = np.zeros(int(rng.choice([20_000, 200_000])), np.uint8)
    pool = np.frombuffer(rng.bytes(50_000), np.uint8).copy()
    state = np.zeros(2, np.int64)
    newest, started = rng.integers(60_000, 65_536, len(tables.send)).tolist(), set[int]()
    for row in rows:
        transport, stream = int(rng.integers(len(SESSIONS) + 1)), int(rng.integers(STREAMS))
        source = STREAMS * transport + stream
        ssrc = 0xFFFF_0000 + source
        row.kind = rng.choice([OutKind.RTP, OutKind.RTP, OutKind.RTP, OutKind.RTCP, OutKind.DATAGRAM])
        row.transport = transport if rng.random() < 0.97 else -1
        row.drop = 0 if rng.random() < 0.97 else 19
        row.stream = -1
        row.ssrc = ssrc
        if row.kind == OutKind.RTP:
            row.stream = source if rng.random() < 0.97 else -1
            # A stream's first packet has rollover counter 0: its receiver, and libsrtp, begin there.
            row.index = _next_index(rng, newest[source]) if source in started else newest[source]
            if row.drop == 0 and row.transport >= 0 and row.stream >= 0:
                started.add(source)
            newest[source] = max(newest[source], int(row.index))
            prefix = rtp_packet(rng, ssrc, int(row.index) & 0xFFFF)[: int(rng.choice([90, 250]))]
            header = header_length(prefix)
            row.prefix[: len(prefix)] = np.frombuffer(prefix, np.uint8)
            row.prefix_length, row.header_length = len(prefix), 12 if header is None else header
            if header is None:
                row.prefix[0] = 0x80
            row.slices = rng.integers(4)
            for piece in range(int(row.slices)):
                row.slice_offset[piece] = rng.integers(49_000)
                row.slice_length[piece] = rng.choice([1, 16, 100, 400])
        else:
            compound = rtcp_compound(rng, ssrc)[: 4 if rng.random() < 0.05 else None]
            start = int(state[BYTES_USED])
            if start + len(compound) + MAX_EXPANSION <= len(arena) or rng.random() < 0.5:
                compound = compound[: max(0, len(arena) - start)]
                arena[start : start + len(compound)] = np.frombuffer(compound, np.uint8)
                row.offset, row.length = start, len(compound)
                state[BYTES_USED] = min(start + len(compound) + MAX_EXPANSION, len(arena))
            else:
                row.drop = 19
    return rows, 0, count, state, arena, pool, tables.sessions, tables.send, tables.scratch


def observe_protect(arguments: tuple[Any, ...]) -> Any:
    """Rows, the datagrams they are, bytes used, windows and SRTCP indices; not what stands between
    datagrams."""
    rows, _, _, state, arena, _, sessions, send, _ = arguments
    datagrams = [arena[row.offset : row.offset + row.length].tobytes() if row.drop == 0 else b"" for row in rows]
    columns, windows = _columns(rows, "drop", "offset", "length"), _columns(send, "highest", "window")
    return columns, datagrams, state.tolist(), windows, _columns(sessions, "rtcp_index")


def _columns(table: Any, *names: str) -> list[Any]:
    """Fields by name: what lies between them is padding, and may be anything."""
    return [table[name].tolist() for name in names]

"""SRTP kernels: beside their references, the RFC's packets, and libsrtp at the other end."""

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from visiomedia.batch import (
    BYTES_USED,
    OUT_ROW,
    ROW,
    Drop,
    OutKind,
    PacketBatch,
    RowKind,
    datagram,
    make_batch,
)
from visiomedia.commands import CommandQueue, Operation, make_command_ring
from visiomedia.srtp import examples, kernels, reference
from visiomedia.srtp.crypto import SessionKeys, make_evp_keys, make_session_keys
from visiomedia.srtp.key_derivation import TransformKeys
from visiomedia.srtp.profiles import ProtectionProfile
from visiomedia.srtp.session import SrtpSession
from visiomedia.srtp.tables import RTCP_SENDERS, SrtpTables, make_srtp_tables

GCM_VECTORS = json.loads((Path(__file__).parent.parent / "vectors" / "srtp" / "aes_gcm.json").read_text())

MODES = [
    (ProtectionProfile.AEAD_AES_128_GCM, False),
    (ProtectionProfile.AEAD_AES_256_GCM, False),
    (ProtectionProfile.AES128_CM_SHA1_80, False),
    (ProtectionProfile.AEAD_AES_128_GCM, True),
    (ProtectionProfile.AEAD_AES_256_GCM, True),
]
SSRC = 0x1234_5678
SECOND = 1_000_000_000


class Line:
    """Tables with one transport, one source and one stream, and batches to try them on."""

    def __init__(self, keys: SessionKeys) -> None:
        self.keys = keys
        self.tables: SrtpTables = make_srtp_tables(1, 1, 1)
        ring = make_command_ring(4)
        CommandQueue(ring).append(Operation.SET_KEYS, 0, values=keys.command_values(), data=keys.command_body())
        kernels.set_keys(self.tables.sessions, ring.records[0])

    def open(self, *packets: bytes, kind: RowKind = RowKind.RTP, source: int = 0, now: int = 0) -> PacketBatch:
        """Unprotect packets as one batch."""
        batch = make_batch(len(packets), sum(map(len, packets)) + 1, ROW)
        offset = 0
        for row, packet in zip(batch.rows, packets, strict=True):
            batch.arena[offset : offset + len(packet)] = np.frombuffer(packet, np.uint8)
            row.kind, row.offset, row.length, row.source = kind, offset, len(packet), source
            offset += len(packet)
        tables = self.tables
        kernels.unprotect(
            batch.rows, batch.arena, 0, len(packets), now, tables.sessions, tables.receive, tables.scratch
        )
        return batch

    def seal(
        self, *packets: tuple[int, bytes], cuts: tuple[int, ...] = (), header: int = 12, arena: int = 100_000
    ) -> tuple[PacketBatch, int]:
        """Protect (index, clear packet) as one batch; a packet is cut into prefix and slices at ``cuts``."""
        batch = make_batch(len(packets), arena, OUT_ROW)
        pool = np.zeros(100_000, np.uint8)
        used = 1
        for row, (index, packet) in zip(batch.rows, packets, strict=True):
            ends = [cut for cut in cuts if header <= cut < len(packet)] or [header]
            pieces = [packet[a:b] for a, b in zip([0, *ends], [*ends, len(packet)], strict=True)]
            row.kind, row.stream, row.index, row.ssrc = OutKind.RTP, 0, index, SSRC
            row.prefix[: len(pieces[0])] = np.frombuffer(pieces[0], np.uint8)
            row.prefix_length, row.header_length, row.slices = len(pieces[0]), header, len(pieces) - 1
            for i, piece in enumerate(pieces[1:]):
                pool[used : used + len(piece)] = np.frombuffer(piece, np.uint8)
                row.slice_offset[i], row.slice_length[i] = used, len(piece)
                used += len(piece)
        return batch, self.protect(batch, pool)

    def seal_rtcp(self, *compounds: bytes) -> PacketBatch:
        """Protect compounds as one batch."""
        batch = make_batch(len(compounds), 1000 * len(compounds), OUT_ROW)
        for i, (row, compound) in enumerate(zip(batch.rows, compounds, strict=True)):
            row.kind, row.offset, row.length, row.stream = OutKind.RTCP, 1000 * i, len(compound), -1
            batch.arena[1000 * i : 1000 * i + len(compound)] = np.frombuffer(compound, np.uint8)
        assert self.protect(batch, np.zeros(1, np.uint8)) == len(compounds)
        return batch

    def protect(self, batch: PacketBatch, pool: NDArray[np.uint8]) -> int:
        tables = self.tables
        rows, arena, state = batch
        return kernels.protect(rows, 0, len(rows), state, arena, pool, tables.sessions, tables.send, tables.scratch)


def masters(profile: ProtectionProfile) -> tuple[tuple[bytes, bytes], tuple[bytes, bytes]]:
    key, salt = profile.lengths.key, profile.lengths.salt
    return (b"1" * key, b"2" * salt), (b"3" * key, b"4" * salt)


@pytest.fixture(params=MODES, ids=lambda mode: f"{mode[0].name}{'-libsrtp' if mode[1] else ''}")
def ends(request: pytest.FixtureRequest) -> Iterator[tuple[Line, SrtpSession]]:
    """Our line, and libsrtp at the other end."""
    profile, is_portable = request.param
    ours, theirs = masters(profile)
    keys = make_session_keys(profile, *ours, *theirs, is_portable=is_portable)
    yield Line(keys), SrtpSession(profile, *theirs, *ours)
    keys.free()


def rtp(index: int, size: int = 40, ssrc: int = SSRC) -> bytes:
    payload = bytes((index + i) & 0xFF for i in range(size))
    return b"\x80\x60" + (index & 0xFFFF).to_bytes(2, "big") + bytes(4) + ssrc.to_bytes(4, "big") + payload


def rtcp(ssrc: int = SSRC, words: int = 3) -> bytes:
    return b"\x80\xc9" + words.to_bytes(2, "big") + ssrc.to_bytes(4, "big") + bytes(range(4 * words - 4))


def drops(batch: PacketBatch) -> list[Drop]:
    return [Drop(int(row.drop)) for row in batch.rows]


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("name", ["unprotect", "protect"])
def test_kernel_and_reference_agree(name: str, seed: int) -> None:
    arguments = getattr(examples, name)(np.random.default_rng(seed))
    twin = copy.deepcopy(arguments)
    assert getattr(kernels, name)(*arguments) == getattr(reference, name)(*twin)
    observe = getattr(examples, f"observe_{name}")
    assert observe(arguments) == observe(twin)


@pytest.mark.parametrize("vector", GCM_VECTORS, ids=lambda vector: vector["name"])
def test_whole_packets_of_rfc_7714(vector: dict[str, str]) -> None:
    clear, sealed, compound, sealed_compound, tagged = (
        bytes.fromhex(vector[name]) for name in ("rtp", "srtp", "rtcp", "srtcp", "srtcp_tagged")
    )
    transform = TransformKeys(bytes.fromhex(vector["key"]), bytes.fromhex(vector["salt"]), b"")
    line = Line(make_evp_keys(ProtectionProfile[vector["name"]], [transform] * 4))
    opened = line.open(sealed)
    assert datagram(opened, 0) == clear
    assert (opened.rows[0].index, opened.rows[0].ssrc) == (0xF17B, 0x5501A0B2)
    index = 0xF17B
    batch = make_batch(1, 1000, OUT_ROW)
    row = batch.rows[0]
    row.kind, row.index, row.ssrc, row.header_length, row.prefix_length = (
        OutKind.RTP,
        index,
        0x5501A0B2,
        12,
        20,
    )
    row.prefix[:20] = np.frombuffer(clear[:20], np.uint8)
    row.slices, row.slice_length[0] = 1, len(clear) - 20
    assert line.protect(batch, np.frombuffer(clear[20:], np.uint8).copy()) == 1
    assert datagram(batch, 0) == sealed
    for packet in (sealed_compound, tagged):
        fresh = Line(line.keys)
        assert datagram(fresh.open(packet, kind=RowKind.RTCP), 0) == compound
    line.tables.sessions[0].rtcp_index = 0x5D4
    assert datagram(line.seal_rtcp(compound), 0) == sealed_compound


def test_libsrtp_opens_what_we_seal_across_a_rollover(ends: tuple[Line, SrtpSession]) -> None:
    line, peer = ends
    packets = [(index, rtp(index, size)) for index, size in zip(range(65500, 65600), range(100), strict=True)]
    batch, done = line.seal(*packets, cuts=(14, 30, 77))
    assert done == len(packets)
    for i, (_, clear) in enumerate(packets):
        assert peer.unprotect(datagram(batch, i)) == clear
        assert int(batch.rows[i].offset) % 8 == 0


def test_we_open_what_libsrtp_seals_across_a_rollover(ends: tuple[Line, SrtpSession]) -> None:
    line, peer = ends
    clear = [rtp(index, index % 100) for index in range(65500, 65600)]
    batch = line.open(*[peer.protect(packet) for packet in clear])
    assert [datagram(batch, i) for i in range(len(clear))] == clear
    assert batch.rows["index"].tolist() == list(range(65500, 65600))
    assert set(batch.rows["ssrc"].tolist()) == {SSRC}


def test_rtcp_crosses_both_ways(ends: tuple[Line, SrtpSession]) -> None:
    line, peer = ends
    compounds = [rtcp(words=words) for words in range(1, 9)]
    batch = line.seal_rtcp(*compounds)
    assert [peer.unprotect_rtcp(datagram(batch, i)) for i in range(8)] == compounds
    opened = line.open(*[peer.protect_rtcp(compound) for compound in compounds], kind=RowKind.RTCP)
    assert [datagram(opened, i) for i in range(8)] == compounds


def test_header_with_sources_and_extension_stays_clear(ends: tuple[Line, SrtpSession]) -> None:
    line, peer = ends
    head = b"\x92\x60\x00\x07" + bytes(4) + SSRC.to_bytes(4, "big") + b"SRC1SRC2" + b"\xbe\xde\x00\x01\x10\x05\x00\x00"
    clear = head + b"payload"
    batch, _ = line.seal((7, clear), header=len(head))
    sealed = datagram(batch, 0)
    assert sealed.startswith(head)
    assert b"payload" not in sealed
    assert peer.unprotect(sealed) == clear
    assert datagram(line.open(peer.protect(clear)), 0) == clear


def test_replayed_forged_old_and_malformed_packets_are_dropped_with_their_reason(
    ends: tuple[Line, SrtpSession],
) -> None:
    line, peer = ends
    sealed = [peer.protect(rtp(index)) for index in range(2100)]
    forged = sealed[60][:-1] + bytes([sealed[60][-1] ^ 1])
    batch = line.open(
        sealed[2099], sealed[2099], sealed[0], forged, sealed[60], sealed[61][:11], b"\x40" + sealed[61][1:]
    )
    assert drops(batch) == [
        Drop.NONE,
        Drop.REPLAYED,
        Drop.TOO_OLD,
        Drop.AUTHENTICATION,
        Drop.NONE,
        Drop.MALFORMED,
        Drop.MALFORMED,
    ]


def test_a_packet_with_no_room_for_its_tag_is_malformed(ends: tuple[Line, SrtpSession]) -> None:
    line, peer = ends
    sealed = peer.protect(rtp(1))
    # A header of 12 bytes, and less behind it than the shorter of the tags, 10 bytes.
    shortened = [sealed[:length] for length in range(12, 22)]
    assert drops(line.open(*shortened)) == [Drop.MALFORMED] * len(shortened)


def test_a_forged_packet_moves_no_window(ends: tuple[Line, SrtpSession]) -> None:
    line, peer = ends
    sealed = peer.protect(rtp(30_000))
    before = line.tables.receive.tobytes()
    assert drops(line.open(sealed[:-1] + bytes([sealed[-1] ^ 1]))) == [Drop.AUTHENTICATION]
    assert line.tables.receive.tobytes() == before


def test_replayed_and_forged_rtcp_is_dropped_and_takes_no_place(ends: tuple[Line, SrtpSession]) -> None:
    line, peer = ends
    sealed = peer.protect_rtcp(rtcp())
    forged = sealed[:9] + bytes([sealed[9] ^ 1]) + sealed[10:]
    batch = line.open(forged, sealed[:12], kind=RowKind.RTCP)
    assert drops(batch) == [Drop.AUTHENTICATION, Drop.MALFORMED]
    assert not line.tables.sessions[0].rtcp_streams["used"].any()
    assert drops(line.open(sealed, sealed, kind=RowKind.RTCP)) == [Drop.NONE, Drop.REPLAYED]


def test_senders_of_rtcp_are_bounded_and_an_idle_one_gives_way(ends: tuple[Line, SrtpSession]) -> None:
    line, peer = ends
    for ssrc in range(RTCP_SENDERS):
        assert drops(line.open(peer.protect_rtcp(rtcp(ssrc)), kind=RowKind.RTCP, now=ssrc)) == [Drop.NONE]
    late = peer.protect_rtcp(rtcp(500))
    assert drops(line.open(late, kind=RowKind.RTCP, now=30 * SECOND)) == [Drop.FULL]
    assert drops(line.open(late, kind=RowKind.RTCP, now=61 * SECOND)) == [Drop.NONE]
    assert set(line.tables.sessions[0].rtcp_streams["ssrc"].tolist()) == {*range(1, RTCP_SENDERS), 500}


def test_no_index_is_ever_sealed_twice(ends: tuple[Line, SrtpSession]) -> None:
    line, _ = ends
    indices = [100, 101, 101, 100, 99, 3000, 1000, 952, 953, 3000]
    batch, _ = line.seal(*[(index, rtp(index)) for index in indices])
    good, bad = Drop.NONE, Drop.NONCE_REFUSED
    assert drops(batch) == [good, good, bad, bad, good, good, good, bad, good, bad]
    again, _ = line.seal((3000, rtp(3000)))
    assert drops(again) == [bad]


def test_an_index_beyond_48_bits_is_refused() -> None:
    profile = ProtectionProfile.AEAD_AES_128_GCM
    line = Line(make_session_keys(profile, *masters(profile)[0], *masters(profile)[1]))
    batch, _ = line.seal(((1 << 48) - 1, rtp(0xFFFF)), (1 << 48, rtp(0)), (-1, rtp(0)))
    assert drops(batch) == [Drop.NONE, Drop.NONCE_REFUSED, Drop.NONCE_REFUSED]


def test_rtcp_indices_count_up_and_end() -> None:
    profile = ProtectionProfile.AEAD_AES_128_GCM
    line = Line(make_session_keys(profile, *masters(profile)[0], *masters(profile)[1]))
    batch = line.seal_rtcp(rtcp(1), rtcp(2))
    assert [datagram(batch, i)[-4:] for i in range(2)] == [b"\x80\0\0\0", b"\x80\0\0\1"]
    line.tables.sessions[0].rtcp_index = 0x7FFF_FFFF
    batch = line.seal_rtcp(rtcp(), rtcp(), b"\x80\xc9")
    assert drops(batch) == [Drop.NONE, Drop.NONCE_REFUSED, Drop.MALFORMED]


def test_a_full_arena_stops_the_batch_where_it_can_go_on(ends: tuple[Line, SrtpSession]) -> None:
    line, peer = ends
    packets = [(index, rtp(index, 500)) for index in range(10)]
    batch, done = line.seal(*packets, arena=2000)
    assert 0 < done < 10
    assert not any(batch.rows[i].length for i in range(done, 10))
    assert int(batch.state[BYTES_USED]) <= 2000
    rest, finished = line.seal(*packets[done:])
    assert finished == 10 - done
    for i in range(done):
        assert peer.unprotect(datagram(batch, i)) == packets[i][1]
    for i in range(finished):
        assert peer.unprotect(datagram(rest, i)) == packets[done + i][1]


def test_rows_of_no_concern_are_left_alone(ends: tuple[Line, SrtpSession]) -> None:
    line, _ = ends
    batch = make_batch(3, 1000, OUT_ROW)
    batch.rows[0].kind, batch.rows[0].length = OutKind.DATAGRAM, 7
    batch.rows[1].kind, batch.rows[1].drop = OutKind.RTP, Drop.NO_PATH
    batch.rows[2].kind, batch.rows[2].transport = OutKind.RTP, -1
    assert line.protect(batch, np.zeros(1, np.uint8)) == 3
    assert drops(batch) == [Drop.NONE, Drop.NO_PATH, Drop.NO_KEYS]
    assert batch.rows[0].length == 7


def test_without_keys_nothing_is_opened_or_sealed(ends: tuple[Line, SrtpSession]) -> None:
    line, peer = ends
    kernels.clear_session(line.tables.sessions, 0)
    assert drops(line.open(peer.protect(rtp(1)))) == [Drop.NO_KEYS]
    assert drops(line.open(peer.protect_rtcp(rtcp()), kind=RowKind.RTCP)) == [Drop.NO_KEYS]
    assert drops(line.seal((1, rtp(1)))[0]) == [Drop.NO_KEYS]
    assert not any(line.tables.sessions[0][name] for name in ("receive_rtp", "send_rtp", "send_rtcp"))


def trial(line: Line, packet: bytes) -> bytes | int:
    arena = np.frombuffer(b"..." + packet, np.uint8).copy()
    before = arena.tobytes(), line.tables.receive.tobytes(), line.tables.sessions.tobytes()
    tables = line.tables
    length = int(kernels.open_unknown(arena, 3, len(packet), tables.sessions, 0, tables.scratch))
    assert (arena.tobytes(), tables.receive.tobytes(), tables.sessions.tobytes()) == before
    return length if length < 0 else tables.scratch[1024 : 1024 + length].tobytes()


def test_a_packet_of_an_unknown_ssrc_is_tried_and_opens_again_once_it_is_known(
    ends: tuple[Line, SrtpSession],
) -> None:
    line, peer = ends
    first, second = peer.protect(rtp(65000)), peer.protect(rtp(65001))
    batch = line.open(first, source=-1)
    assert drops(batch) == [Drop.UNKNOWN_SSRC]
    assert datagram(batch, 0) == first
    for _ in range(2):
        assert trial(line, first) == rtp(65000)
        assert trial(line, second) == rtp(65001)
    assert drops(line.open(first, second, second)) == [Drop.NONE, Drop.NONE, Drop.REPLAYED]


def test_what_cannot_be_tried_says_why(ends: tuple[Line, SrtpSession]) -> None:
    line, peer = ends
    sealed = peer.protect(rtp(1))
    assert trial(line, sealed[:-1] + bytes([sealed[-1] ^ 1])) == -1
    assert trial(line, sealed[:11]) == -2
    assert trial(line, b"\x40" + sealed[1:]) == -2
    assert trial(line, sealed + bytes(2048)) == -2
    kernels.clear_session(line.tables.sessions, 0)
    assert trial(line, sealed) == -2


def test_new_keys_begin_with_a_clean_slate(ends: tuple[Line, SrtpSession]) -> None:
    line, peer = ends
    line.open(peer.protect_rtcp(rtcp()), kind=RowKind.RTCP)
    line.seal_rtcp(rtcp())
    ring = make_command_ring(1)
    CommandQueue(ring).append(Operation.SET_KEYS, 0, values=line.keys.command_values(), data=line.keys.command_body())
    kernels.set_keys(line.tables.sessions, ring.records[0])
    session = line.tables.sessions[0]
    assert session.rtcp_index == 0
    assert not session.rtcp_streams["used"].any()


def test_random_bytes_are_never_taken_for_packets(ends: tuple[Line, SrtpSession]) -> None:
    line, _ = ends
    generator = np.random.default_rng(3)
    for kind in (RowKind.RTP, RowKind.RTCP):
        packets = [generator.bytes(int(size)) for size in generator.integers(0, 200, 300)]
        packets += [b"\x9f" + packet for packet in packets] + [b"\x80" + packet for packet in packets]
        batch = line.open(*packets, kind=kind)
        assert set(drops(batch)) <= {Drop.MALFORMED, Drop.AUTHENTICATION}
        for packet in packets:
            outcome: Any = trial(line, packet)
            assert outcome in (-1, -2)

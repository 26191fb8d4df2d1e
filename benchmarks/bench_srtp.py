"""What sealing and opening a packet costs: ns of CPU, by profile and by who does it.

    python -m benchmarks.bench_srtp --json srtp.json

Batches through the kernels, packet by packet through this library's plain door (`srtp.session`, libsrtp below), and
through pylibsrtp itself. Packets of 1200 bytes as of a picture, of 160 as of a voice.
"""

import os
from collections.abc import Callable
from typing import Any

import numpy as np
from pylibsrtp import Policy, Session

from benchmarks.micro import Stopwatch, arguments, report, rounded
from visiomedia.batch import OUT_ROW, ROW, ROWS_USED, OutKind, PacketBatch, RowKind, append_datagram, make_batch
from visiomedia.jit import compile_for
from visiomedia.srtp.crypto import make_session_keys
from visiomedia.srtp.examples import install
from visiomedia.srtp.kernels import protect, unprotect
from visiomedia.srtp.profiles import ProtectionProfile
from visiomedia.srtp.session import SrtpSession
from visiomedia.srtp.tables import make_srtp_tables

BATCH = 64
HEADER = 12
SSRC = 0x5EC
SIZES = (1200, 160)
POLICIES = {
    ProtectionProfile.AEAD_AES_128_GCM: Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
    ProtectionProfile.AEAD_AES_256_GCM: Policy.SRTP_PROFILE_AEAD_AES_256_GCM,
    ProtectionProfile.AES128_CM_SHA1_80: Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
}


def header(index: int) -> bytes:
    """A fixed RTP header."""
    return bytes([0x80, 96]) + (index & 0xFFFF).to_bytes(2, "big") + bytes(4) + SSRC.to_bytes(4, "big")


class Kernels:
    """Batches. What one sealed another opens: keys for both directions are the same."""

    def __init__(self, profile: ProtectionProfile, *, libsrtp: bool) -> None:
        lengths = profile.lengths
        masters = (os.urandom(lengths.key), os.urandom(lengths.salt)) * 2
        self._keys = make_session_keys(profile, *masters, is_portable=libsrtp)
        self._tables = make_srtp_tables(1, 1, 1)
        install(self._keys, self._tables.sessions[0])
        self._inbound, self._outbound = (make_batch(BATCH, BATCH * 2048, row) for row in (ROW, OUT_ROW))
        self._pool = np.frombuffer(os.urandom(2048), np.uint8).copy()
        self._index = 0

    def round(self, size: int, watch: Stopwatch) -> None:
        """Seal a batch and open it again."""
        sealed = self._fill(size)
        tables, last, zero = self._tables, np.int64(BATCH), np.int64(0)
        given = (sealed.rows, zero, last, sealed.state, sealed.arena, self._pool)
        given = (*given, tables.sessions, tables.send, tables.scratch)  # type: ignore[assignment]
        watch.run("seal", BATCH, compile_for(protect, given), *given)
        assert not sealed.rows["drop"].any(), "all are sealed"
        opened = self._inbound
        opened.state[:] = 0
        for row in sealed.rows:
            data = sealed.arena[row.offset : row.offset + row.length].tobytes()
            place = append_datagram(opened, data, arrival=0, address=bytes(16), port=1)
            opened.rows[place].kind, opened.rows[place].transport, opened.rows[place].source = RowKind.RTP, 0, 0
        opening = (opened.rows, opened.arena, zero, last, zero, tables.sessions, tables.receive, tables.scratch)
        watch.run("open", BATCH, compile_for(unprotect, opening), *opening)
        assert not opened.rows["drop"].any(), "all are opened"

    def _fill(self, size: int) -> PacketBatch:
        batch = self._outbound
        batch.rows[:] = 0
        batch.state[:] = 0
        for row in batch.rows:
            row.kind, row.ssrc, row.index = OutKind.RTP, SSRC, self._index
            row.prefix[:HEADER] = np.frombuffer(header(self._index), np.uint8)
            row.prefix_length = row.header_length = HEADER
            row.slices, row.slice_length[0] = 1, size - HEADER
            self._index += 1
        batch.state[ROWS_USED] = BATCH
        return batch


class OneByOne:
    """Packet by packet, through two functions of Python."""

    def __init__(self, seal: Callable[[bytes], bytes], open_: Callable[[bytes], bytes]) -> None:
        self._seal, self._open = seal, open_
        self._index = 0

    def round(self, size: int, watch: Stopwatch) -> None:
        """Seal so many and open them again."""
        packets = [header(self._index + number) + bytes(size - HEADER) for number in range(BATCH)]
        self._index += BATCH
        sealed = watch.run("seal", BATCH, lambda: [self._seal(packet) for packet in packets])
        opened = watch.run("open", BATCH, lambda: [self._open(packet) for packet in sealed])
        assert opened == packets, "what was sealed opens"


def contestants(profile: ProtectionProfile) -> dict[str, Any]:
    """Whoever can do it, under its name."""
    lengths = profile.lengths
    masters = (os.urandom(lengths.key), os.urandom(lengths.salt)) * 2
    ours = SrtpSession(profile, *masters)
    key = masters[0] + masters[1]
    sends, takes = (
        Session(Policy(key=key, ssrc_type=kind, srtp_profile=POLICIES[profile]))
        for kind in (Policy.SSRC_ANY_OUTBOUND, Policy.SSRC_ANY_INBOUND)
    )
    found: dict[str, Any] = {}
    if profile is not ProtectionProfile.AES128_CM_SHA1_80:
        found["kernels, OpenSSL"] = Kernels(profile, libsrtp=False)
    found["kernels, libsrtp"] = Kernels(profile, libsrtp=True)
    found["srtp.session"] = OneByOne(ours.protect, ours.unprotect)
    found["pylibsrtp"] = OneByOne(sends.protect, takes.unprotect)
    return found


def main() -> None:
    """Measure and print."""
    chosen = arguments("bench_srtp", __doc__)
    rounds = 30 if chosen.quick else 300
    rows = []
    for profile in POLICIES:
        for size in SIZES:
            entrants = {name: (entrant, Stopwatch()) for name, entrant in contestants(profile).items()}
            for entrant, _ in entrants.values():
                entrant.round(size, Stopwatch())  # compiles
            for _ in range(rounds):
                for entrant, watch in entrants.values():
                    entrant.round(size, watch)
            for name, (_, watch) in entrants.items():
                ns = watch.medians()
                row = {"profile": profile.name, "packet_bytes": size, "path": name}
                rows.append({**row, "seal_ns": rounded(ns["seal"]), "open_ns": rounded(ns["open"])})
    report("SRTP, ns of CPU a packet", rows, chosen.json)


if __name__ == "__main__":
    main()

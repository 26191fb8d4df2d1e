"""What each stage of the line costs alone: ns of CPU a packet, by each path through it.

    python -m benchmarks.bench_plane --json plane.json

One publisher sends frames of six packets of 1200 bytes to fifty receivers in virtual time, and sockets carry the same
over loopback. Stages before the fan-out count received packets, those behind it forwarded ones. Paths: kernels with
OpenSSL, kernels with libsrtp, and the plain-Python references that kernels must agree with, where a stage has one.
"""

import socket
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.micro import Stopwatch, arguments, report, rounded
from visiomedia.batch import OUT_ROW, ROW, ROWS_USED, OutKind, PacketBatch, append_datagram, make_batch
from visiomedia.clock import NANOSECONDS
from visiomedia.engine import Address
from visiomedia.jit import KERNELS, compile_for
from visiomedia.line import Capacities, begin, reset
from visiomedia.net.addresses import address_to_bytes, path_command
from visiomedia.net.portable import PortableUdp
from visiomedia.net.tables import PathKind, make_net_tables
from visiomedia.net.udp import BatchUdp
from visiomedia.routing.kernels import fan_out, receive_media
from visiomedia.rtp.kernels import parse
from visiomedia.simulation.line import STEP_NS, Stream, VirtualLine
from visiomedia.srtp.kernels import protect, unprotect
from visiomedia.transport.kernels import demux

RECEIVERS = 50
FRAMES, FRAME = 8, 6
PAYLOAD = 1160
CAPACITIES = Capacities(
    transports=64, sources=64, tracks=64, subscriptions=256, paths=64, batch_rows=64, out_rows=1024, history_mb=4
)
LOOPBACK = "127.0.0.1"
DATAGRAMS = 48
"""Datagrams of one call that reads or sends: eight frames of six."""


class Stages:
    """The line's stages one by one, as one path has them."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.watch = Stopwatch()
        self._functions: dict[str, Callable[..., Any]] = {}

    def __call__(self, stage: Callable[..., Any], packets: int, *given: Any) -> Any:
        """Run a stage on so many packets."""
        name = stage.__name__
        if name not in self._functions:
            self._functions[name] = self._choose(stage, given)
        return self.watch.run(name, packets, self._functions[name], *given)

    def _choose(self, stage: Callable[..., Any], given: tuple[Any, ...]) -> Callable[..., Any]:
        if self.path == "references":
            oracle = next((each.oracle for each in KERNELS if each.function is stage), None)
            if oracle is not None:
                return oracle
        return compile_for(stage, given)


def has_reference(stage: str) -> bool:
    """Whether the stage of this name is registered with one."""
    return any(each.name.endswith(f".{stage}") for each in KERNELS)


def measure_line(path: str, rounds: int) -> dict[str, float]:
    """ns a packet of each stage."""
    line = VirtualLine(CAPACITIES, libsrtp=path == "libsrtp")
    publisher = line.endpoint()
    (video,) = publisher.publish()
    line.turn()
    for _ in range(RECEIVERS):
        line.endpoint().subscribe(video)
    line.turn()
    stages = Stages(path)
    for number in range(rounds + 1):
        line.network.run(STEP_NS / NANOSECONDS)
        if number == 1:
            stages.watch = Stopwatch()  # the first round has compiled
        one_round(line, video, stages)
    return stages.watch.medians()


def one_round(line: VirtualLine, video: Stream, stages: Stages) -> None:
    """Frames arrive and are fanned out to everybody."""
    tables, batch, out, now = line.tables, line.batch, line.out, np.int64(line.now)
    compile_for(begin, (tables, batch, out, now))(tables, batch, out, now)
    host, port = address_to_bytes(video.endpoint.address.host), video.endpoint.address.port
    for frame in range(FRAMES):
        for sealed in video.frame(bytes(PAYLOAD), key=frame == 0, packets=FRAME):
            append_datagram(batch, sealed, arrival=line.now, address=host, port=port)
    count = np.int64(batch.state[ROWS_USED])
    rows, arena, zero, rtp, srtp = batch.rows, batch.arena, np.int64(0), tables.rtp, tables.srtp
    stages(demux, int(count), rows, arena, zero, count, tables.net, tables.transport)
    stages(unprotect, int(count), rows, arena, zero, count, now, srtp.sessions, srtp.receive, srtp.scratch)
    stages(parse, int(count), rows, arena, zero, count, rtp.extension_maps, rtp.payload_types)
    stages(
        receive_media,
        int(count),
        *(rows, arena, zero, count, tables.routing, rtp.receptions, rtp.nacks, rtp.arrivals, rtp.payload_types, now),
    )
    assert not rows["drop"][:count].any(), "every packet is taken"
    more = True
    while more:
        waiting = min(len(out.rows), int(count) * RECEIVERS)
        more = stages(fan_out, waiting, tables.routing, rtp.receptions, rtp.extension_maps, out)
        last = np.int64(out.state[ROWS_USED])
        pool = tables.routing.history.pool
        given = (out.rows, zero, last, out.state, out.arena, pool, srtp.sessions, srtp.send, srtp.scratch)
        stages(protect, int(last), *given)
        assert not out.rows["drop"][:last].any(), "every packet leaves"
        compile_for(reset, (out,))(out)


def measure_sockets(open_sockets: Callable[[list[str], int], BatchUdp | PortableUdp], rounds: int) -> dict[str, float]:
    """ns a datagram of reading, and of sending to one receiver that keeps up."""
    watch = Stopwatch()
    sockets = open_sockets([LOOPBACK], 0)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind((LOOPBACK, 0))
        other.setblocking(False)
        try:
            port = sockets.sockets[0].getsockname()[1]
            net = make_net_tables(4)
            values, body = path_command(Address(0, *other.getsockname()), 0)
            path = net.paths[0]
            path.kind, path.socket, path.port, path.sockaddr_length = PathKind.UDP, values[2], values[3], values[4]
            path.address[:], path.sockaddr[:] = np.frombuffer(body[:16], np.uint8), np.frombuffer(body[16:], np.uint8)
            inbound, outbound = make_batch(64, 64 * 2048, ROW), make_batch(64, 64 * 2048, OUT_ROW)
            for number in range(rounds + 1):
                if number == 1:
                    watch = Stopwatch()
                for _ in range(DATAGRAMS):
                    other.sendto(bytes(1200), (LOOPBACK, port))
                clear(inbound)
                watch.run("receive", DATAGRAMS, sockets.receive, inbound, 1)
                assert inbound.state[ROWS_USED] == DATAGRAMS, "loopback loses nothing"
                fill(outbound)
                watch.run("send", DATAGRAMS, sockets.send, outbound, net.paths)
                while received(other):
                    pass
        finally:
            sockets.close()
    return watch.medians()


def clear(batch: PacketBatch) -> None:
    """Empty a batch."""
    batch.state[:] = 0


def fill(batch: PacketBatch) -> None:
    """Datagrams to one receiver."""
    clear(batch)
    for number in range(DATAGRAMS):
        row = batch.rows[number]
        row.kind, row.drop, row.path, row.offset, row.length = OutKind.DATAGRAM, 0, 0, number * 2048, 1200
    batch.state[ROWS_USED] = DATAGRAMS


def received(other: socket.socket) -> bool:
    """Whether something was there to be read."""
    try:
        return bool(other.recv(2048))
    except BlockingIOError:
        return False


def main() -> None:
    """Measure and print."""
    chosen = arguments("bench_plane", __doc__)
    rounds = 20 if chosen.quick else 200
    by_path = {
        "kernels, OpenSSL": measure_sockets(BatchUdp, rounds) | measure_line("openssl", rounds),
        "kernels, libsrtp": measure_line("libsrtp", rounds),
        "references": {
            stage: ns
            for stage, ns in measure_line("references", 2 if chosen.quick else 5).items()
            if has_reference(stage)
        },
        "portable sockets": measure_sockets(PortableUdp, rounds),
    }
    rows = [
        {"stage": stage, "path": path, "ns_per_packet": rounded(ns)}
        for path, figures in by_path.items()
        for stage, ns in figures.items()
    ]
    note = (
        "receive to receive_media: a received packet; fan_out, protect, send: a forwarded one; send: 48 to one receiver"
    )
    report(f"1 to {RECEIVERS}, {FRAME} packets a frame, {PAYLOAD + 20} bytes of payload", rows, chosen.json, note=note)


if __name__ == "__main__":
    main()

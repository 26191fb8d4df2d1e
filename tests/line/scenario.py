"""One call as a list of turns, everything drawn from a seed: what every path through the line must answer alike.

    python -m tests.line.scenario SEED

prints hashes of each turn's datagrams.
"""

import hashlib
import sys

from visiomedia.rtp.extensions import ExtensionKind
from visiomedia.rtp.rtcp import Nack, PictureLoss, ReceiverReport, ReportBlock
from visiomedia.simulation.line import IDS, MS, Stream, VirtualLine

STEPS = 120
LOSS = 0.05


def run_scenario(seed: int, *, libsrtp: bool = False) -> list[str]:
    """Hashes of each turn's media and of its RTCP. ``libsrtp``: it seals and opens though the host has a faster way."""
    line = VirtualLine(seed=seed, libsrtp=libsrtp)
    random = line.random
    publisher = line.endpoint()
    other_ids = {ExtensionKind.MID: 1, ExtensionKind.AUDIO_LEVEL: 20, ExtensionKind.TRANSPORT_WIDE_CC: 5}
    receivers = [line.endpoint(), line.endpoint(other_ids), line.endpoint({}, takes_reduced_size=False)]
    (microphone,) = publisher.publish(is_audio=True)
    layers = publisher.publish(layers=2)
    line.turn()
    watched = [
        (receiver, receiver.subscribe(layers[0], mid="v"), receiver.subscribe(microphone, mid="a"))
        for receiver in receivers[:2]
    ]
    number = 0

    def elements(*more: tuple[int, bytes]) -> list[tuple[int, bytes]]:
        nonlocal number
        number += 1
        return [(IDS[ExtensionKind.TRANSPORT_WIDE_CC], (number & 0xFFFF).to_bytes(2, "big")), *more]

    def send(stream: Stream, payload: bytes, *more: tuple[int, bytes], marker: bool) -> None:
        packet = stream.make(payload, marker=marker, elements=elements(*more), padding=random.randrange(4))
        if random.random() >= LOSS:
            sealed = publisher.session.protect(packet)
            publisher.arrive(sealed, at=line.now - random.randrange(5 * MS))

    step = 0

    def each() -> None:
        nonlocal step
        step += 1
        level = (IDS[ExtensionKind.AUDIO_LEVEL], bytes([random.randrange(128)]))
        send(microphone, random.randbytes(80), level, marker=step == 1)
        for layer, stream in enumerate(layers):
            if layer == 1 and 40 < step < 90:
                continue  # the higher layer stops, and comes back
            is_key = stream.is_key_frame_due() or step == 1
            for packet in range(1 + layer):
                start = bytes([0x10 if packet == 0 else 0, 0 if is_key and packet == 0 else 1])
                send(stream, start + random.randbytes(random.randrange(1, 1100)), marker=packet == layer)
        if step % 20 == 0:
            publisher.send_rtcp(*(stream.report() for stream in (microphone, *layers)))
        if step == 60:
            late = receivers[2]
            watched.append((late, late.subscribe(layers[0]), late.subscribe(microphone)))
        for receiver, video, _ in watched:
            came = receiver.media(video)
            if came and random.random() < 0.3:
                lost = {(came[-1].sequence_number - random.randrange(1, 40)) & 0xFFFF for _ in range(3)}
                block = ReportBlock(video.ssrc, 10, 1, came[-1].sequence_number, 90)
                receiver.send_rtcp(ReceiverReport(1, (block,)), Nack(1, video.ssrc, tuple(sorted(lost))))
            if random.random() < 0.02:
                receiver.send_rtcp(ReceiverReport(1), PictureLoss(1, video.ssrc))

    hashes = []
    for _ in range(STEPS):
        line.pass_time(0.01, each)
        media = b"".join(data for data in line.wire if not 192 <= data[1] <= 223)
        rtcp = b"".join(data for data in line.wire if 192 <= data[1] <= 223)
        hashes.append(f"{hashlib.sha256(media).hexdigest()} {hashlib.sha256(rtcp).hexdigest()}")
        line.wire.clear()
    assert all(receiver.media(video) for receiver, video, _ in watched), "everybody was sent something"
    return hashes


if __name__ == "__main__":
    print("\n".join(run_scenario(int(sys.argv[1]))))

"""Record how a Chromium publisher sends a picture of 1280x720: lengths and times, no content.

    python -m benchmarks.record_trace 20 benchmarks/chromium_trace.json

The browser calls ``examples/echo.py`` in a private network, and what it sends there is read off the wire.
"""

import argparse
import asyncio
import json
import socket
import struct
import sys
import threading
import time
from collections import Counter
from pathlib import Path

from tests.browser.chromium import chromium
from tests.browser.server import running_example
from tests.network.namespace import enter_private_network

SETTLING_S = 12.0
"""The browser's estimate of the bandwidth rises from 300 kbit/s."""

ETHERNET, IP, UDP = 14, 20, 8
MEDIA_PORT = 7882
ALL_PROTOCOLS = 0x0003
TAG = 16
"""Of AES-GCM, which both sides prefer."""

PAGE = """<!doctype html><canvas id="camera" width="1280" height="720"></canvas>
<video id="echo" autoplay muted></video>
<script type="module">
const canvas = document.getElementById('camera'), paper = canvas.getContext('2d')
const grain = paper.createImageData(160, 90)
const noise = document.createElement('canvas')
noise.width = 160
noise.height = 90
setInterval(() => {
  for (let i = 0; i < grain.data.length; i += 4) {
    const level = 120 + Math.random() * 24
    grain.data.set([level, level, level, 255], i)
  }
  noise.getContext('2d').putImageData(grain, 0, 0)
  paper.drawImage(noise, 0, 0, 1280, 720)
  const time = performance.now() / 1000
  for (let i = 0; i < 12; i++) {
    paper.fillStyle = `hsl(${i * 30} 70% 50%)`
    paper.beginPath()
    paper.arc(640 + 400 * Math.sin(time * (1 + i / 7) + i), 360 + 250 * Math.cos(time * (1 + i / 5)), 60, 0, 7)
    paper.fill()
  }
}, 33)
const pc = new RTCPeerConnection()
pc.addTrack(canvas.captureStream(30).getVideoTracks()[0])
pc.ontrack = event => document.getElementById('echo').srcObject = new MediaStream([event.track])
await pc.setLocalDescription()
const response = await fetch('/offer', { method: 'POST', body: pc.localDescription.sdp })
await pc.setRemoteDescription({ type: 'answer', sdp: await response.text() })
</script>"""


class Wire(threading.Thread):
    """Packets of media that go to the server: (seconds, SSRC, RTP timestamp, bytes before sealing)."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.packets: list[tuple[float, int, int, int]] = []
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ALL_PROTOCOLS))
        self._socket.bind(("lo", 0))

    def run(self) -> None:
        """Until the process ends."""
        while True:
            frame, address = self._socket.recvfrom(2048)
            now = time.monotonic()
            at = ETHERNET + IP + UDP
            # On loopback each packet is seen as it leaves and as it comes.
            if address[2] != socket.PACKET_OUTGOING or frame[12:14] != b"\x08\x00" or frame[ETHERNET + 9] != 17:
                continue
            port, length = struct.unpack_from("!HH", frame, ETHERNET + IP + 2)
            if port != MEDIA_PORT or not 0x80 <= frame[at] <= 0xBF or 192 <= frame[at + 1] <= 223:
                continue
            timestamp, ssrc = struct.unpack_from("!II", frame, at + 4)
            self.packets.append((now, ssrc, timestamp, length - UDP - TAG))


def frames(packets: list[tuple[float, int, int, int]]) -> list[list[tuple[int, int]]]:
    """Of the stream that sent most: (µs after the frame's first packet, bytes) of each packet of each frame."""
    volume: Counter[int] = Counter()
    for _, ssrc, _, size in packets:
        volume[ssrc] += size
    ssrc = volume.most_common(1)[0][0]
    found: dict[int, list[tuple[float, int]]] = {}
    for now, source, timestamp, size in packets:
        if source == ssrc:
            found.setdefault(timestamp, []).append((now, size))
    whole = list(found.values())[1:-1]
    return [[(round((now - frame[0][0]) * 1e6), size) for now, size in frame] for frame in whole]


async def record(seconds: float) -> list[list[tuple[int, int]]]:
    """Let the browser call, wait until it sends as much as it wants to, and listen for so long."""
    async with running_example("echo") as url, chromium() as browser:
        page = await browser.open(f"{url.rstrip('/')}/recorded", html=PAGE)
        await page.wait_connected()
        await asyncio.sleep(SETTLING_S)
        wire = Wire()
        wire.start()
        await asyncio.sleep(seconds)
        return frames(list(wire.packets))


def main() -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.record_trace", description=__doc__)
    parser.add_argument("seconds", type=float)
    parser.add_argument("file", type=Path)
    chosen = parser.parse_args()
    enter_private_network()
    recorded = asyncio.run(record(chosen.seconds))
    lines = ",\n".join(json.dumps(frame, separators=(",", ":")) for frame in recorded)
    chosen.file.write_text(f'{{"seconds":{chosen.seconds},"frames":[\n{lines}\n]}}\n')
    packets = sum(map(len, recorded))
    bits = 8 * sum(size for frame in recorded for _, size in frame)
    print(f"{len(recorded)} frames, {packets} packets, {bits / chosen.seconds / 1e6:.2f} Mbit/s")
    return 0


if __name__ == "__main__":
    sys.exit(main())

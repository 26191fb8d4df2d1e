"""Echo: send a browser its own camera and microphone back.

    python examples/echo.py        then open http://127.0.0.1:7880

Three things happen for each visitor: the page posts an *offer* (what it would like to send and get), we take it in
with ``receive_offer``, say that each of its tracks is to be sent back by the section it comes in, and return the
*answer*. From there on packets go from socket to socket in kernels; Python sees none of them.
"""

from collections.abc import AsyncIterator

from aiohttp import web

from visiomedia.net import interface_addresses
from visiomedia.peer import DataChannel, Peer
from visiomedia.plane import Plane

PLANE = web.AppKey("plane", Plane)
peers: set[Peer] = set()

PAGE = """<!doctype html><meta charset="utf-8"><title>Echo</title>
<style>body { font: 16px sans-serif; margin: 2em } video { width: 20em; background: #222 }</style>
<h1>Echo</h1><p id="state">asking for camera and microphone …</p>
<video id="mine" autoplay muted playsinline></video> <video id="echo" autoplay playsinline></video>
<script type="module">
const state = document.getElementById('state')
const media = await navigator.mediaDevices.getUserMedia({ audio: true, video: true })
document.getElementById('mine').srcObject = media
const pc = new RTCPeerConnection()
for (const track of media.getTracks()) pc.addTrack(track, media)
pc.ontrack = event => document.getElementById('echo').srcObject = event.streams[0]
pc.onconnectionstatechange = () => state.textContent = pc.connectionState
await pc.setLocalDescription()
const response = await fetch('/offer', { method: 'POST', body: pc.localDescription.sdp })
await pc.setRemoteDescription({ type: 'answer', sdp: await response.text() })
</script>"""


async def plane(app: web.Application) -> AsyncIterator[None]:
    """The packet plane lives as long as the server: one UDP port for everybody, on every address of this machine."""
    async with Plane(interface_addresses(), 7882) as app[PLANE]:
        yield


async def offer(request: web.Request) -> web.Response:
    """One visitor: an offer in, an answer out."""
    peer = Peer(request.app[PLANE], on_closed=lambda reason: peers.discard(peer), on_data_channel=echo)
    peers.add(peer)  # a peer lives as long as somebody holds it
    for transceiver in peer.receive_offer(await request.text()):
        if transceiver.track is not None:
            transceiver.send(transceiver.track)
    return web.Response(text=peer.answer())


def echo(channel: DataChannel) -> None:
    """A data channel that the visitor has opened: what comes in goes out again."""
    channel.on_message = channel.send


async def index(request: web.Request) -> web.Response:
    """The page."""
    return web.Response(text=PAGE, content_type="text/html")


app = web.Application()
app.cleanup_ctx.append(plane)
app.add_routes([web.get("/", index), web.post("/offer", offer)])

if __name__ == "__main__":
    web.run_app(app, host="127.0.0.1", port=7880, print=lambda _: print("open http://127.0.0.1:7880", flush=True))

"""Forward: a call between everyone who opens the page, with nothing but plain WebRTC calls.

Who opens it publishes by one POST of an offer, and watches each other person by one more. Tracks are forwarded,
never decoded: each watcher gets the same packets under numbers of its own.
"""

from collections.abc import AsyncIterator

from aiohttp import web

from visiomedia.net import interface_addresses
from visiomedia.peer import Peer
from visiomedia.plane import Plane

PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Forward</title><style>video { width: 20em }
body { font: 16px sans-serif; background: #111; color: #eee }</style><h1>Forward</h1><p>asking for your camera …</p>
<main></main><script type="module">
const me = crypto.randomUUID(), watched = new Map(), show = (srcObject, muted) => document.querySelector('main')
  .appendChild(Object.assign(document.createElement('video'), { autoplay: true, playsInline: true, muted, srcObject }))
async function connect(pc, path) {  // one POST: our offer there, the server's answer back
  await pc.setLocalDescription()
  const sdp = await (await fetch(path, { method: 'POST', body: pc.localDescription.sdp })).text()
  await pc.setRemoteDescription({ type: 'answer', sdp })
}
function watch(name) {
  const pc = new RTCPeerConnection(), stream = new MediaStream(), video = show(stream, false)
  watched.set(name, () => { pc.close(); video.remove(); watched.delete(name) })
  pc.ontrack = event => stream.addTrack(event.track)
  for (const kind of ['audio', 'video']) pc.addTransceiver(kind, { direction: 'recvonly' })
  connect(pc, `/watch/${name}/${me}`).catch(() => watched.get(name)?.())
}
const media = await navigator.mediaDevices.getUserMedia({ audio: true, video: true }), pc = new RTCPeerConnection()
show(media, true).srcObject.getTracks().forEach(track => pc.addTrack(track, media))
addEventListener('pagehide', () => pc.close())
await connect(pc, `/publish/${me}`)
for (;; await new Promise(resolve => setTimeout(resolve, 500))) {
  const others = (await (await fetch('/people')).json()).filter(name => name !== me)
  document.querySelector('p').textContent = `${pc.connectionState}; others here: ${others.length}`
  for (const name of others) if (!watched.has(name)) watch(name)
  for (const [name, stop] of watched) if (!others.includes(name)) stop()
}</script>"""
PLANE = web.AppKey("plane", Plane)
routes = web.RouteTableDef()
peers: dict[str, Peer] = {}  # by path: /publish/NAME, and /watch/NAME/WATCHER of those who watch NAME


async def open_plane(app: web.Application) -> AsyncIterator[None]:
    async with Plane(interface_addresses(), 7882) as app[PLANE]:  # one UDP port for everybody, on every address
        yield


@routes.get("/")
async def index(request: web.Request) -> web.Response:
    return web.Response(text=PAGE, content_type="text/html")


@routes.get("/people")
async def people(request: web.Request) -> web.Response:
    return web.json_response([path[9:] for path, peer in peers.items() if path[:9] == "/publish/" and peer.tracks])


@routes.post("/publish/{name}")
@routes.post("/watch/{name}/{watcher}")
async def negotiate(request: web.Request) -> web.Response:
    publisher = peers.get(f"/publish/{request.match_info['name']}") if "watcher" in request.match_info else None
    peers[request.path] = peer = Peer(request.app[PLANE], on_closed=lambda reason: peers.pop(request.path, None))
    for section in peer.receive_offer(await request.text()):
        for track in publisher.tracks if publisher else []:
            if track.kind == section.kind:
                section.send(track)  # under SSRCs of this watcher's own
    return web.Response(text=peer.answer())


if __name__ == "__main__":
    app = web.Application()
    app.add_routes(routes)
    app.cleanup_ctx.append(open_plane)
    web.run_app(app, host="127.0.0.1", port=7880, print=lambda _: print("open http://127.0.0.1:7880", flush=True))

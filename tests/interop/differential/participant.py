"""One participant of a scripted session, with the unmodified ``livekit`` SDK: a process driven by lines of JSON.

It does what it is asked for, and tells every event that an application can hear of, as plain values.
"""

import asyncio
import contextlib
import json
import sys
import typing
from collections.abc import Callable
from typing import Any

import numpy as np
from livekit.rtc import room as sdk_room

from livekit import rtc

WIDTH, HEIGHT = 640, 360
SAMPLE_RATE = 48_000
TOPIC, METHOD = "notes", "greet"

UNTOLD = frozenset({"connection_quality_changed", "active_speakers_changed", "token_refreshed", "room_updated"})
"""Events that depend on time, network and loudness (LiveKit counts a room's participants every five seconds); tests of
their own hold them."""


def tell(**message: Any) -> None:
    print(json.dumps(message), flush=True)


def plain(value: Any) -> Any:
    """What an event carries, as JSON has it."""
    if isinstance(value, rtc.Participant):
        return {"participant": value.identity}
    if isinstance(value, rtc.TrackPublication):
        return publication(value)
    if isinstance(value, rtc.Track):
        return {"track": rtc.TrackKind.Name(value.kind)}
    if isinstance(value, rtc.DataPacket):
        sender = value.participant.identity if value.participant else None
        kind = rtc.DataPacketKind.Name(value.kind)
        return {"data": value.data.decode(), "kind": kind, "topic": value.topic or "", "from": sender}
    if isinstance(value, dict):
        return {str(key): plain(inner) for key, inner in sorted(value.items())}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if isinstance(value, str | int | float | bool) or value is None:
        return value
    return type(value).__name__


def publication(found: rtc.TrackPublication) -> dict[str, Any]:
    """A publication, without what is drawn by lot."""
    return {
        "kind": rtc.TrackKind.Name(found.kind),
        "source": rtc.TrackSource.Name(found.source),
        "name": found.name,
        "muted": found.muted,
        "simulcast": found.simulcasted,
        "mime": found.mime_type.lower(),
        "size": [found.width, found.height],
    }


class Participant:
    """One process is one participant, who may leave and come again."""

    def __init__(self) -> None:
        self._room = rtc.Room()
        self._tellers: dict[str, Callable[..., None]] = {}
        self._published: dict[str, rtc.LocalTrackPublication] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def _listen(self) -> None:
        for event in typing.get_args(sdk_room.EventTypes):
            if event not in UNTOLD:
                self._tellers[event] = self._teller(event)
                self._room.on(event, self._tellers[event])
        self._room.register_text_stream_handler(TOPIC, self._take_text)

    @staticmethod
    def _teller(event: str) -> Callable[..., None]:
        return lambda *values: tell(event=event, values=[plain(value) for value in values])

    def _take_text(self, reader: rtc.TextStreamReader, identity: str) -> None:
        async def read() -> None:
            tell(event="text_stream", values=[await reader.read_all(), identity])

        self._start(read())

    def _start(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    @staticmethod
    async def _show(source: rtc.VideoSource) -> None:
        pixels = np.full((HEIGHT, WIDTH, 3), 90, np.uint8).tobytes()
        while True:
            source.capture_frame(rtc.VideoFrame(WIDTH, HEIGHT, rtc.VideoBufferType.RGB24, pixels))
            await asyncio.sleep(0.05)

    @staticmethod
    async def _speak(source: rtc.AudioSource) -> None:
        size = SAMPLE_RATE // 100
        for begin in range(0, 1 << 40, size):
            wave = 4000 * np.sin(2 * np.pi * 440 * np.arange(begin, begin + size) / SAMPLE_RATE)
            await source.capture_frame(rtc.AudioFrame(wave.astype(np.int16).tobytes(), SAMPLE_RATE, 1, size))

    def _remote(self, identity: str, kind: str) -> rtc.RemoteTrackPublication:
        wanted = rtc.TrackKind.Value(kind)
        found = self._room.remote_participants[identity].track_publications.values()
        return next(one for one in found if one.kind == wanted)

    async def _publish(self, kind: str, simulcast: bool) -> None:
        track: rtc.LocalTrack
        if kind == "KIND_VIDEO":
            camera = rtc.VideoSource(WIDTH, HEIGHT)
            track, source = rtc.LocalVideoTrack.create_video_track("camera", camera), rtc.TrackSource.SOURCE_CAMERA
            self._start(self._show(camera))
        else:
            microphone = rtc.AudioSource(SAMPLE_RATE, 1)
            track = rtc.LocalAudioTrack.create_audio_track("microphone", microphone)
            source = rtc.TrackSource.SOURCE_MICROPHONE
            self._start(self._speak(microphone))
        options = rtc.TrackPublishOptions(source=source, simulcast=simulcast, video_codec=rtc.VideoCodec.VP8)
        self._published[kind] = await self._room.local_participant.publish_track(track, options)

    def state(self) -> dict[str, Any]:
        """What an application could read now."""
        if not self._room.isconnected():
            return {"connected": False}
        everybody: list[rtc.Participant] = [self._room.local_participant, *self._room.remote_participants.values()]
        return {
            "connected": True,
            "room": [self._room.name, self._room.metadata],
            "people": {
                one.identity: {
                    "name": one.name,
                    "metadata": one.metadata,
                    "attributes": dict(sorted(one.attributes.items())),
                    "tracks": sorted(
                        (publication(each) for each in one.track_publications.values()), key=lambda each: each["kind"]
                    ),
                }
                for one in sorted(everybody, key=lambda one: one.identity)
            },
        }

    async def do(self, request: dict[str, Any]) -> Any:
        """One request; what it returns is its result."""
        if request["do"] == "connect":
            self._room = rtc.Room()  # one that was left is not joined by again
            self._listen()
        room = self._room
        own = room.local_participant if request["do"] not in ("connect", "state") else None
        match request["do"]:
            case "connect":
                # By two peer connections, as our node has it, so that both servers are asked the same.
                automatic = request.get("auto_subscribe", True)
                options = rtc.RoomOptions(auto_subscribe=automatic, single_peer_connection=False)
                await room.connect(request["url"], request["token"], options)
                room.local_participant.register_rpc_method(METHOD, self._greet)
            case "state":
                return self.state()
            case _ if own is None:
                raise AssertionError("connected before")
            case "publish":
                await self._publish(request["kind"], request.get("simulcast", False))
            case "unpublish":
                await own.unpublish_track(self._published.pop(request["kind"]).sid)
            case "mute" | "unmute":
                track = self._published[request["kind"]].track
                assert track is not None
                getattr(track, request["do"])()
            case "data":
                await own.publish_data(
                    request["text"],
                    reliable=request["reliable"],
                    topic=request.get("topic", ""),
                    destination_identities=request.get("to", []),
                )
            case "text":
                await own.send_text(request["text"], topic=TOPIC, destination_identities=request.get("to", []))
            case "call":
                return await own.perform_rpc(
                    destination_identity=request["to"], method=request["method"], payload="hello", response_timeout=4
                )
            case "set_metadata":
                await own.set_metadata(request["value"])
            case "set_name":
                await own.set_name(request["value"])
            case "set_attributes":
                await own.set_attributes(request["value"])
            case "subscribe" | "unsubscribe":
                self._remote(request["to"], request["kind"]).set_subscribed(request["do"] == "subscribe")
            case "leave":
                room.off("disconnected", self._tellers["disconnected"])  # the SDK tells of it now and then
                for task in self._tasks:
                    task.cancel()
                await room.disconnect()
        return None

    @staticmethod
    async def _greet(call: rtc.RpcInvocationData) -> str:
        return f"{call.payload} {call.caller_identity}"


async def main() -> None:
    participant = Participant()
    loop = asyncio.get_running_loop()
    requests = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(requests), sys.stdin)
    while line := await requests.readline():
        request = json.loads(line)
        try:
            result = await participant.do(request)
        except Exception as error:  # whatever it is, the test is who must hear of it
            tell(done=request["do"], error=f"{type(error).__name__}: {error}")
        else:
            tell(done=request["do"], result=result)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main())

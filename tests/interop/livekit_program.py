"""A program with the unmodified ``livekit`` SDK, driven by lines of JSON: a process of its own, since the SDK's native
library aborts the whole process when a server's message is not to its liking.

It reads ``{"do": ...}`` from stdin, answers each with ``{"done": ...}`` and tells what it sees as ``{"event": ...}``.
"""

import asyncio
import contextlib
import json
import sys
from typing import Any

import numpy as np

from livekit import rtc

WIDTH, HEIGHT, FRAME_RATE = 640, 360, 20
COLOUR = (200, 40, 90)
TONE = 440.0
SAMPLE_RATE = 48_000


def tell(**message: Any) -> None:
    print(json.dumps(message), flush=True)


class Program:
    """One participant."""

    def __init__(self) -> None:
        self._room = rtc.Room()
        self._tracks: dict[str, Any] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        on = self._room.on
        on("participant_connected", lambda who: tell(event="joined", identity=who.identity))
        on("participant_disconnected", lambda who: tell(event="left", identity=who.identity))
        on("track_muted", lambda who, what: self._tell_of("muted", who))
        on("track_unmuted", lambda who, what: self._tell_of("unmuted", who))
        on("track_unpublished", lambda what, who: self._tell_of("unpublished", who))
        on("track_subscribed", self._subscribed)
        on("data_received", self._received)
        on("disconnected", lambda reason: tell(event="disconnected", reason=int(reason)))

    def _tell_of(self, event: str, who: rtc.Participant) -> None:
        if who.identity != self._room.local_participant.identity:
            tell(event=event, identity=who.identity)

    def _received(self, packet: rtc.DataPacket) -> None:
        sender = packet.participant.identity if packet.participant else ""
        tell(
            event="data",
            text=packet.data.decode(),
            sender=sender,
            reliable=packet.kind == rtc.DataPacketKind.KIND_RELIABLE,
        )

    def _start(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _subscribed(self, track: rtc.Track, publication: object, who: rtc.Participant) -> None:
        is_video = track.kind == rtc.TrackKind.KIND_VIDEO
        tell(event="subscribed", kind="video" if is_video else "audio", identity=who.identity)
        self._start(self._watch(track) if is_video else self._listen(track))

    async def _watch(self, track: rtc.Track) -> None:
        count = 0
        async for each in rtc.VideoStream(track, format=rtc.VideoBufferType.RGB24):
            frame = each.frame
            pixels = np.frombuffer(frame.data, np.uint8).reshape(frame.height, frame.width, 3)
            middle = pixels[frame.height // 4 : -frame.height // 4, frame.width // 4 : -frame.width // 4]
            count += 1
            if count % 10 == 0:
                colour = [round(value) for value in middle.mean(axis=(0, 1))]
                tell(event="picture", width=frame.width, height=frame.height, colour=colour)

    async def _listen(self, track: rtc.Track) -> None:
        heard = np.zeros(0, np.int16)
        async for each in rtc.AudioStream(track, sample_rate=SAMPLE_RATE, num_channels=1):
            heard = np.concatenate([heard, np.frombuffer(each.frame.data, np.int16)])
            if len(heard) >= SAMPLE_RATE // 2:
                spectrum = np.abs(np.fft.rfft(heard * np.hanning(len(heard))))
                loudest = float(spectrum.argmax() * SAMPLE_RATE / len(heard))
                tell(event="sound", frequency=loudest, level=float(np.abs(heard).max()))
                heard = heard[:0]

    async def _show(self, source: rtc.VideoSource) -> None:
        pixels = np.empty((HEIGHT, WIDTH, 3), np.uint8)
        pixels[...] = COLOUR
        while True:
            source.capture_frame(rtc.VideoFrame(WIDTH, HEIGHT, rtc.VideoBufferType.RGB24, pixels.tobytes()))
            await asyncio.sleep(1 / FRAME_RATE)

    async def _speak(self, source: rtc.AudioSource) -> None:
        size = SAMPLE_RATE // 100
        for begin in range(0, 1 << 40, size):
            wave = 8000 * np.sin(2 * np.pi * TONE * np.arange(begin, begin + size) / SAMPLE_RATE)
            await source.capture_frame(rtc.AudioFrame(wave.astype(np.int16).tobytes(), SAMPLE_RATE, 1, size))

    async def do(self, request: dict[str, Any]) -> None:
        """One request."""
        me = self._room.local_participant if request["do"] != "connect" else None
        match request["do"]:
            case "connect":
                await self._room.connect(request["url"], request["token"])
            case "publish":
                assert me is not None
                camera, microphone = rtc.VideoSource(WIDTH, HEIGHT), rtc.AudioSource(SAMPLE_RATE, 1)
                for kind, track, source in (
                    ("video", rtc.LocalVideoTrack.create_video_track("camera", camera), "SOURCE_CAMERA"),
                    ("audio", rtc.LocalAudioTrack.create_audio_track("microphone", microphone), "SOURCE_MICROPHONE"),
                ):
                    options = rtc.TrackPublishOptions(source=rtc.TrackSource.Value(source))
                    self._tracks[kind] = track, await me.publish_track(track, options)
                self._start(self._show(camera))
                self._start(self._speak(microphone))
            case "data":
                assert me is not None
                await me.publish_data(
                    request["text"], reliable=request["reliable"], destination_identities=request.get("to", [])
                )
            case "mute":
                self._tracks[request["kind"]][0].mute()
            case "unmute":
                self._tracks[request["kind"]][0].unmute()
            case "unpublish":
                assert me is not None
                await me.unpublish_track(self._tracks[request["kind"]][1].sid)
            case "leave":
                for task in self._tasks:
                    task.cancel()
                await self._room.disconnect()


async def main() -> None:
    program = Program()
    loop = asyncio.get_running_loop()
    requests = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(requests), sys.stdin)
    while line := await requests.readline():
        request = json.loads(line)
        try:
            await program.do(request)
        except Exception as error:  # whatever it is, the test is who must hear of it
            tell(done=request["do"], error=repr(error))
        else:
            tell(done=request["do"])


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main())

"""One websocket: messages out through a bounded queue, requests in, as protobuf or as its JSON."""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable

from aiohttp import WSCloseCode, WSMsgType, web
from google.protobuf import json_format
from google.protobuf.message import DecodeError
from livekit.protocol import rtc

from visiomedia.errors import ParseError

logger = logging.getLogger(__name__)

CLOSE_TIMEOUT = 5.0
"""Seconds that a client may take to read what is left and to close."""


class Connection:
    """A websocket that is open. ``send`` never waits; ``write`` is the task that does."""

    def __init__(self, socket: web.WebSocketResponse, *, max_queue: int, abort: Callable[[], None]) -> None:
        self.has_overflowed = False
        """The client has read too little for too long."""
        self._socket = socket
        self._max_queue = max_queue
        self._abort = abort
        self._queue: deque[bytes | str] = deque()
        self._queued = 0
        self._ready = asyncio.Event()
        self._close_code: int | None = None
        self._speaks_json = False

    def send(self, message: rtc.SignalResponse) -> None:
        """Queue a message. One too many closes the websocket: the client may come back."""
        if self._close_code is not None:
            return
        frame = json_format.MessageToJson(message, indent=None) if self._speaks_json else message.SerializeToString()
        self._queued += len(frame)
        if self._queued > self._max_queue:
            self.has_overflowed = True
            self._queue.clear()
            self.close(WSCloseCode.TRY_AGAIN_LATER)
            # Who does not read would not read a goodbye either.
            self._abort()
            return
        self._queue.append(frame)
        self._ready.set()

    def close(self, code: int = WSCloseCode.OK) -> None:
        """Close once everything queued is written. Harmless when it is closing."""
        if self._close_code is None:
            self._close_code = code
            self._ready.set()

    async def write(self) -> None:
        """Write what is queued, until the end."""
        with contextlib.suppress(ConnectionError):
            while self._queue or self._close_code is None:
                if not self._queue:
                    self._ready.clear()
                    await self._ready.wait()
                    continue
                frame = self._queue.popleft()
                # Text goes to who sent text; what was queued before stays as it is.
                await (self._socket.send_str(frame) if isinstance(frame, str) else self._socket.send_bytes(frame))
                self._queued -= len(frame)

    async def end(self) -> None:
        """Say goodbye, and wait for the client's, within reason. Harmless when it was said."""
        with contextlib.suppress(ConnectionError):
            await self._socket.close(code=self._close_code or WSCloseCode.OK)

    async def read(self) -> rtc.SignalRequest | None:
        """The next request; None at the end. Raises ParseError."""
        message = await self._socket.receive()
        if message.type is WSMsgType.BINARY:
            return _parse(message.data)
        if message.type is WSMsgType.TEXT:
            self._speaks_json = True
            return _parse_json(message.data)
        return None


def _parse(data: bytes) -> rtc.SignalRequest:
    try:
        return rtc.SignalRequest.FromString(data)
    except DecodeError as error:
        raise ParseError("SignalRequest", "it is no protobuf of that kind") from error


def _parse_json(text: str) -> rtc.SignalRequest:
    try:
        return json_format.Parse(text, rtc.SignalRequest(), ignore_unknown_fields=True)
    except (json_format.ParseError, RecursionError) as error:
        raise ParseError("SignalRequest", "it is no JSON of that kind") from error

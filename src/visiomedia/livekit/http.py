"""What clients call over HTTP: the websocket at ``/rtc``, and what they ask when it does not open."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from aiohttp import web

from visiomedia.conference.grants import Grants
from visiomedia.conference.participant import LeaveReason
from visiomedia.errors import ParseError, VisiomediaError
from visiomedia.livekit import messages
from visiomedia.livekit.access import AccessRefusedError, bearer
from visiomedia.livekit.client import Client, parse_client
from visiomedia.livekit.connection import CLOSE_TIMEOUT, Connection
from visiomedia.livekit.endpoint import Endpoint
from visiomedia.livekit.service import LiveKitService
from visiomedia.livekit.tokens import AccessToken

logger = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

NO_SUCH_PATH = "404 page not found\n"


class LiveKitHttp:
    """The handlers of one service."""

    def __init__(self, service: LiveKitService) -> None:
        self._service = service
        self._serving: set[asyncio.Task[object]] = set()

    def routes(self) -> list[web.AbstractRouteDef]:
        """To be added to an application."""
        return [
            web.get("/", self.health),
            web.get("/rtc", self.signal),
            web.get("/rtc/validate", self.validate),
            # One peer connection is not spoken here: clients that are told so by 404, and by no text that they know,
            # come back to /rtc.
            web.get("/rtc/v1", self.no_such_path),
            web.get("/rtc/v1/validate", self.no_such_path),
            web.get("/settings/regions", self.no_such_path),
        ]

    async def health(self, request: web.Request) -> web.Response:
        """Clients ask for it while their user still thinks."""
        return web.Response(text="OK")

    async def no_such_path(self, request: web.Request) -> web.Response:
        """What we do not have."""
        return web.Response(status=404, text=NO_SUCH_PATH)

    async def validate(self, request: web.Request) -> web.Response:
        """Why a websocket did not open. The answer is the same as the websocket's."""
        try:
            self._service.admit(bearer(request.headers, request.query))
            parse_client(request.query)
        except AccessRefusedError as refusal:
            return web.Response(status=refusal.status, text=refusal.text)
        except ParseError as error:
            return web.Response(status=400, text=str(error))
        return web.Response(text="success")

    async def signal(self, request: web.Request) -> web.StreamResponse:
        """The websocket."""
        if request.headers.get("Upgrade", "").lower() != "websocket":
            return web.Response(status=404)
        if "join_request" in request.query:
            # A client that would have one peer connection.
            return await self.no_such_path(request)
        try:
            token, grants = self._service.admit(bearer(request.headers, request.query))
            client = parse_client(request.query)
        except AccessRefusedError as refusal:
            return web.Response(status=refusal.status, text=refusal.text)
        except ParseError as error:
            return web.Response(status=400, text=str(error))
        settings = self._service.settings
        socket = web.WebSocketResponse(
            heartbeat=settings.heartbeat, max_msg_size=settings.max_message, timeout=CLOSE_TIMEOUT
        )
        try:
            await socket.prepare(request)
        except ConnectionError:
            return web.Response(status=400)  # it has gone away meanwhile: nobody reads this
        task = asyncio.current_task()
        assert task is not None, "a handler is a task"
        self._serving.add(task)
        connection = Connection(socket, max_queue=settings.max_queue, abort=_abort(request))
        try:
            await self._serve(connection, token, grants, client)
        finally:
            self._serving.discard(task)
        return socket

    async def _serve(self, connection: Connection, token: AccessToken, grants: Grants, client: Client) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                reader = group.create_task(self._converse(connection, token, grants, client))
                writer = group.create_task(connection.write())
                # All is said: nothing that still comes matters.
                writer.add_done_callback(lambda _: reader.cancel())
        finally:
            # Not before both have ended: only then is the client's own goodbye waited for. A socket that is closed
            # without it may take back what it has sent last, which says why.
            await connection.end()

    async def _converse(self, connection: Connection, token: AccessToken, grants: Grants, client: Client) -> None:
        endpoint = None
        try:
            endpoint = self._enter(connection, token, grants, client)
            if endpoint is not None:
                await endpoint.serve(connection)
        finally:
            if endpoint is not None:
                endpoint.detach(connection)
            connection.close()

    def _enter(self, connection: Connection, token: AccessToken, grants: Grants, client: Client) -> Endpoint | None:
        reason = LeaveReason.STATE_MISMATCH
        try:
            if client.is_back:
                endpoint = self._service.resume(token, grants, client, connection)
            else:
                endpoint = self._service.join(token, grants, client, connection)
        except VisiomediaError as error:
            # A limit that was reached since the checks, or a plane that is full.
            logger.warning("a participant is not let in: %s", error)
            endpoint, reason = None, LeaveReason.JOIN_FAILURE
        if endpoint is None:
            connection.send(messages.leave(reason))
        return endpoint

    async def close(self, app: web.Application) -> None:
        """End every session, and wait until the clients have been told."""
        self._service.close()
        if self._serving:
            await asyncio.wait(self._serving, timeout=CLOSE_TIMEOUT)


@web.middleware
async def cross_origin(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Pages of any origin may call: what they may do is in their token."""
    if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
        allowed = request.headers.get("Access-Control-Request-Headers", "*")
        headers = {
            "Access-Control-Allow-Methods": request.headers["Access-Control-Request-Method"],
            "Access-Control-Allow-Headers": allowed,
            "Access-Control-Max-Age": "600",
        }
        response: web.StreamResponse = web.Response(status=204, headers=headers)
    else:
        response = await handler(request)
    if not response.prepared:
        origin = "*" if request.path.endswith("/validate") else request.headers.get("Origin")
        if origin is not None:
            response.headers["Access-Control-Allow-Origin"] = origin
        response.headers["Access-Control-Expose-Headers"] = "*"
        response.headers["Vary"] = ", ".join(filter(None, (response.headers.get("Vary"), "Origin")))
    return response


def _abort(request: web.Request) -> Callable[[], None]:
    """Ends the TCP connection of a request, whatever it is in the middle of."""

    def abort() -> None:
        if request.transport is not None:
            request.transport.abort()

    return abort


def add_service(app: web.Application, service: LiveKitService) -> None:
    """Mount a service in an application. It ends when the application shuts down."""
    handlers = LiveKitHttp(service)
    app.middlewares.append(cross_origin)
    app.add_routes(handlers.routes())
    app.on_shutdown.append(handlers.close)

"""The node's web applications, and its life: open, serve, tell clients to leave, close."""

import asyncio
import contextlib
import errno
import logging
import signal
import time
from collections.abc import Awaitable, Callable

from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from examples.conference.logs import FIELDS, AccessLogger
from examples.conference.metrics import make_registry
from examples.conference.page import Page
from examples.conference.settings import Endpoint, NodeSettings, SettingsRefusedError
from examples.conference.visitors import Visitors
from visiomedia.conference.conference import Conference
from visiomedia.conference.driver import ConferenceDriver
from visiomedia.conference.participant import LeaveReason
from visiomedia.errors import ConfigurationError
from visiomedia.livekit.http import add_service
from visiomedia.livekit.server import PlanePeers
from visiomedia.livekit.service import LiveKitService
from visiomedia.net.addresses import interface_addresses
from visiomedia.plane import Plane

logger = logging.getLogger("node")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

MONITORING = ("/healthz", "/metrics")
LAST_WORDS = 1.0
"""Seconds that aiohttp waits, after ours, for requests that still run."""


class PortTakenError(Exception):
    """Somebody else listens there."""


class Gate:
    """Lets requests in until the node stops, and knows when the last one has ended."""

    def __init__(self) -> None:
        self.is_closed = False
        self._inside = 0
        self._is_empty = asyncio.Event()
        self._is_empty.set()

    @web.middleware
    async def guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """The middleware."""
        if request.path in MONITORING:
            return await handler(request)
        if self.is_closed:
            return web.Response(status=503, text="the server is stopping", headers={"Connection": "close"})
        self._inside += 1
        self._is_empty.clear()
        try:
            return await handler(request)
        finally:
            self._inside -= 1
            if not self._inside:
                self._is_empty.set()

    async def until_empty(self) -> None:
        """Wait until nobody is inside."""
        await self._is_empty.wait()


class Monitoring:
    """``/healthz`` and ``/metrics``."""

    def __init__(self, gate: Gate, registry: CollectorRegistry) -> None:
        self._gate = gate
        self._registry = registry

    def routes(self) -> list[web.AbstractRouteDef]:
        """To be added to an application."""
        return [web.get("/healthz", self.health), web.get("/metrics", self.metrics)]

    async def health(self, request: web.Request) -> web.Response:
        """Whether somebody may be sent here."""
        if self._gate.is_closed:
            return web.json_response({"status": "stopping"}, status=503)
        return web.json_response({"status": "ok"})

    async def metrics(self, request: web.Request) -> web.Response:
        """For Prometheus."""
        return web.Response(body=generate_latest(self._registry), headers={"Content-Type": CONTENT_TYPE_LATEST})


class Node:
    """One node. ``run`` is its whole life."""

    def __init__(self, settings: NodeSettings, *, started: float) -> None:
        """Args:
        started: monotonic seconds, when the process began.
        """
        self._settings = settings
        self._started = started
        self._gate = Gate()

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT. Raises PortTakenError, SettingsRefusedError."""
        asked, hurried = asyncio.Event(), asyncio.Event()

        def stop() -> None:
            # Who asks twice does not want to wait.
            (hurried if asked.is_set() else asked).set()

        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop)
        async with contextlib.AsyncExitStack() as opened:
            plane = await self._open_plane(opened)
            settings = self._settings.service()
            conference = Conference(settings.room, max_rooms=settings.max_rooms)
            driver = ConferenceDriver(conference, clock=plane.clock)
            service = LiveKitService(
                PlanePeers(plane), self._settings.secrets, settings, conference=driver, clock=plane.clock
            )
            page = Page()
            visitors = Visitors(conference, self._settings.secrets, are_let_in=self._settings.dev)
            app = web.Application()
            add_service(app, service)
            app.middlewares.extend([self._gate.guard, page.front])
            app.add_routes([*page.routes(), *visitors.routes()])
            monitoring = Monitoring(self._gate, make_registry(plane, service))
            if self._settings.metrics_bind is None:
                app.add_routes(monitoring.routes())
            else:
                beside = web.Application()
                beside.add_routes(monitoring.routes())
                # Before the other, so that it ends after it.
                await self._serve(opened, beside, self._settings.metrics_bind, "metrics_bind")
            http = await self._serve(opened, app, self._settings.http, "bind")
            self._tell_ready(http, plane)
            await asked.wait()
            await self._see_off(driver, hurried)
        logger.info("stopped")

    async def _open_plane(self, opened: contextlib.AsyncExitStack) -> Plane:
        media = self._settings.media
        try:
            return await opened.enter_async_context(Plane(media.addresses or interface_addresses(), media.port))
        except ConfigurationError as error:
            if error.setting == "port":
                raise PortTakenError(f"UDP port {media.port} (media.port) cannot be had: {error}") from error
            raise SettingsRefusedError([f"media.addresses: got {error.got!r}, wants {error.wanted}"]) from error

    async def _serve(
        self, opened: contextlib.AsyncExitStack, app: web.Application, endpoint: Endpoint, setting: str
    ) -> Endpoint:
        """Serve an application; returns where, with the port that port 0 has become."""
        runner = web.AppRunner(
            app,
            access_log_class=AccessLogger,
            access_log=logging.getLogger("node.access"),
            shutdown_timeout=LAST_WORDS,
        )
        await runner.setup()
        opened.push_async_callback(runner.cleanup)
        try:
            await web.TCPSite(runner, endpoint.host or None, endpoint.port).start()
        except OSError as error:
            # asyncio puts the address into the text, and keeps the number.
            reason = error.strerror or str(error)
            if error.errno == errno.EADDRNOTAVAIL:
                raise SettingsRefusedError(
                    [f"{setting}: got '{endpoint}', wants an address of this machine"]
                ) from error
            raise PortTakenError(f"TCP port {endpoint.port} ({setting}) cannot be had: {reason}") from error
        bound = Endpoint(endpoint.host, runner.addresses[0][1])
        logger.info("%s: listening on %s", setting, bound, extra={FIELDS: {"setting": setting, "listens": str(bound)}})
        return bound

    def _tell_ready(self, http: Endpoint, plane: Plane) -> None:
        locals_ = plane.local_addresses
        port, hosts = locals_[0].port, [address.host for address in locals_]
        where = str(Endpoint(http.host or "127.0.0.1", http.port))
        seconds = time.monotonic() - self._started
        fields = {"http": str(http), "media_port": port, "media_addresses": hosts, "seconds": round(seconds, 3)}
        logger.info("media flow over UDP port %d of %s", port, ", ".join(hosts))
        logger.info(
            "ready after %.1f s: open http://%s/ in a browser; LiveKit's clients connect to ws://%s",
            seconds,
            where,
            where,
            extra={FIELDS: fields},
        )

    async def _see_off(self, driver: ConferenceDriver, hurried: asyncio.Event) -> None:
        """Let nobody in, tell everybody to leave, and give them some time to do so."""
        self._gate.is_closed = True
        people = sum(len(room.participants) for room in driver.conference.rooms.values())
        logger.info("stopping: %d in %d rooms are told to leave", people, len(driver.conference.rooms))
        driver.close(LeaveReason.SERVER_SHUTDOWN)
        waits = [asyncio.ensure_future(wait) for wait in (self._gate.until_empty(), hurried.wait())]
        timeout = self._settings.shutdown_timeout
        ended, _ = await asyncio.wait(waits, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        if not ended:
            logger.warning("some clients are still there after %g s and are cut off", timeout)
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)

"""The servers that are measured, each a process of its own on one core, started as its documentation says.

A server that is not installed is named with the command that installs it (``make rivals`` runs them all).
"""

import asyncio
import contextlib
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import psutil

from benchmarks.network import ADDRESS
from benchmarks.rivals import INSTALL, JANUS, LIVEKIT, LIVEKIT_VERSION, NotInstalledError

PATIENCE = 90.0
"""Seconds to start: the first start of ours compiles."""


@dataclass(frozen=True)
class Usage:
    """What a server's processes have used. ``threads_ns``: of a core, by process and thread."""

    threads_ns: dict[str, int]
    rss_mb: float

    def cpu_since(self, earlier: "Usage") -> float:
        """Seconds of a core: user and system time of all threads."""
        return sum(used - earlier.threads_ns.get(name, 0) for name, used in self.threads_ns.items()) / 1e9


@dataclass
class Server:
    """One that runs. ``url``: its HTTP address; ``path``: which of our own ways, or how it was set up."""

    name: str
    path: str
    url: str
    process: asyncio.subprocess.Process

    def usage(self) -> Usage:
        """Of its process and all of that one's children. The scheduler's account is exact; ticks of 10 ms are not."""
        own = psutil.Process(self.process.pid)
        threads: dict[str, int] = {}
        rss = 0
        for process in (own, *own.children(recursive=True)):
            rss += process.memory_info().rss
            for thread in Path(f"/proc/{process.pid}/task").iterdir():
                with contextlib.suppress(OSError):  # it has just ended
                    threads[str(thread)] = int((thread / "schedstat").read_text().split()[0])
        return Usage(threads, rss / 1e6)


@asynccontextmanager
async def _running(
    name: str, path: str, url: str, command: list[str], *, core: int, variables: Mapping[str, str] | None = None
) -> AsyncIterator[Server]:
    """A process on one core, once its address answers."""
    with tempfile.TemporaryFile() as log:
        process = await asyncio.create_subprocess_exec(
            "taskset",
            "--cpu-list",
            str(core),
            *command,
            stdout=log,
            stderr=log,
            env={**os.environ, **(variables or {})},
        )
        try:
            await _until_it_answers(process, url)
        except BaseException:
            log.seek(0)
            print(log.read()[-4000:].decode(errors="replace"), file=sys.stderr)
            if process.returncode is None:
                process.kill()
                await process.wait()
            raise
        try:
            yield Server(name, path, url, process)
        finally:
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), 20)
            except TimeoutError:
                process.kill()
                await process.wait()


async def _until_it_answers(process: asyncio.subprocess.Process, url: str) -> None:
    async with asyncio.timeout(PATIENCE), aiohttp.ClientSession() as session:
        while process.returncode is None:
            try:
                async with session.get(url) as answer:
                    if answer.status < 500:
                        return
            except aiohttp.ClientConnectionError:
                pass
            await asyncio.sleep(0.1)
    raise RuntimeError(f"the server ended with status {process.returncode} before it answered")


@asynccontextmanager
async def visiomedia(way: str, *, core: int, port: int = 7880, stalled: bool = False) -> AsyncIterator[Server]:
    """The node of this project, as ``make serve`` starts it. ``stalled``: with what holds its loop up."""
    module = "benchmarks.stalled_node" if stalled else "examples.conference"
    command = [
        *(sys.executable, "-m", module, "--dev", f"--bind={ADDRESS}:{port}"),
        *(f"--media-addresses={ADDRESS}", f"--media-port={port + 2}", "--log-level=warning"),
    ]
    variables = {"VISIOMEDIA_PLANE": way}
    async with _running(
        "visiomedia", way, f"http://{ADDRESS}:{port}", command, core=core, variables=variables
    ) as server:
        yield server


@asynccontextmanager
async def livekit(*, core: int) -> AsyncIterator[Server]:
    """LiveKit's server. Raises: NotInstalledError."""
    if not LIVEKIT.exists():
        raise NotInstalledError(f"livekit: {INSTALL['livekit']}")
    config = f"port: 8880\nrtc:\n  tcp_port: 8881\n  udp_port: 8882\n  node_ip: {ADDRESS}\nlogging:\n  level: error\n"
    command = [str(LIVEKIT), "--dev", "--bind", ADDRESS, "--node-ip", ADDRESS, "--config-body", config]
    async with _running(
        "livekit", LIVEKIT_VERSION, f"http://{ADDRESS}:8880", command, core=core, variables={"GOMAXPROCS": "1"}
    ) as server:
        yield server


@asynccontextmanager
async def janus(event_loops: int, *, core: int, port: int = 8188) -> AsyncIterator[Server]:
    """Janus with its videoroom; ``event_loops``: 0 is its default, a thread a peer. Raises: NotInstalledError."""
    if not JANUS.exists():
        raise NotInstalledError(f"janus: {INSTALL['janus']}")
    with tempfile.TemporaryDirectory(prefix="visiomedia-janus") as name:
        folder = Path(name)
        loops = f"  event_loops = {event_loops}\n" if event_loops else ""
        (folder / "janus.jcfg").write_text(
            "general: {\n  debug_level = 2\n"
            f'  plugins_folder = "{_janus_folder("plugins")}"\n'
            f'  transports_folder = "{_janus_folder("transports")}"\n'
            f"  session_timeout = 0\n{loops}}}\n"
            "media: {\n}\n"
            f'nat: {{\n  ice_lite = true\n  ice_enforce_list = "{ADDRESS}"\n}}\n'
            'plugins: {\n  disable = "libjanus_audiobridge.so,libjanus_sip.so,libjanus_nosip.so,libjanus_lua.so,'
            "libjanus_duktape.so,libjanus_recordplay.so,libjanus_streaming.so,libjanus_textroom.so,"
            'libjanus_videocall.so,libjanus_voicemail.so,libjanus_echotest.so"\n}\n'
            'transports: {\n  disable = "libjanus_mqtt.so,libjanus_nanomsg.so,libjanus_pfunix.so,'
            'libjanus_rabbitmq.so,libjanus_http.so"\n}\n'
        )
        (folder / "janus.transport.websockets.jcfg").write_text(
            'general: {\n  json = "compact"\n  ws = true\n'
            f'  ws_port = {port}\n  ws_ip = "{ADDRESS}"\n}}\nadmin: {{\n}}\n'
        )
        (folder / "janus.plugin.videoroom.jcfg").write_text("general: {\n}\n")
        command = [str(JANUS), "--configs-folder", str(folder), "--interface", ADDRESS]
        path = f"event_loops={event_loops}" if event_loops else "default"
        async with _running("janus", path, f"http://{ADDRESS}:{port}", command, core=core) as server:
            yield server


@asynccontextmanager
async def aiortc(*, core: int, port: int = 8388) -> AsyncIterator[Server]:
    """aiortc, made to forward (``benchmarks.aiortc_server``)."""
    command = [sys.executable, "-m", "benchmarks.aiortc_server", ADDRESS, str(port)]
    async with _running("aiortc", "", f"http://{ADDRESS}:{port}", command, core=core) as server:
        yield server


def _janus_folder(kind: str) -> str:
    found = next(Path("/usr/lib").glob(f"*/janus/{kind}"), None)
    if found is None:
        raise NotInstalledError(f"janus: {INSTALL['janus']}")
    return str(found)


@dataclass(frozen=True)
class Contestant:
    """A server that can be measured, under the name and path that its rows carry."""

    name: str
    path: str
    start: Callable[[int], AbstractAsyncContextManager[Server]]
    """On a core."""
    scenarios: frozenset[str] | None = None
    """Those that it can carry, where not all."""


CONTESTANTS = (
    Contestant("visiomedia", "thread", lambda core: visiomedia("thread", core=core, port=7880)),
    Contestant("visiomedia", "portable", lambda core: visiomedia("portable", core=core, port=7980)),
    Contestant("livekit", LIVEKIT_VERSION, lambda core: livekit(core=core)),
    Contestant("janus", "event_loops=1", lambda core: janus(1, core=core, port=8188)),
    Contestant("janus", "default", lambda core: janus(0, core=core, port=8288)),
    Contestant("aiortc", "", lambda core: aiortc(core=core), frozenset({"1x10", "1x100"})),
)

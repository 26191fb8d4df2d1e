"""Whether this machine is fit to forward media, and what to do where it is not: each row is decided by asking it."""

import contextlib
import ctypes.util
import importlib.util
import os
import platform
import resource
import shutil
import socket
import struct
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

from visiomedia.jit import HAS_NUMBA, cache_directory, running_python
from visiomedia.net.addresses import interface_addresses
from visiomedia.net.segmentation import segments_per_message
from visiomedia.net.sockets import (
    SO_RCVBUFFORCE,
    SO_RXQ_OVFL,
    SO_SNDBUFFORCE,
    SO_TIMESTAMPNS,
    SOCKET_BUFFER,
    kernels_available,
)
from visiomedia.srtp.crypto import evp_library
from visiomedia.turns import PLANE_NICE, come_first

HTTP_PORT, MEDIA_PORT = 7880, 7882
WANTED_FILES = 4096
WANTED_MEMORY = 1 << 30
UDP_GRO = 104
CPU_INFORMATION = Path("/proc/cpuinfo")
PATIENCE = 1.0


class Verdict(StrEnum):
    """What a finding means for whoever runs a server here."""

    FIT = "fit"
    SLOWER = "works, but slower or less"
    UNFIT = "not fit"


@dataclass(frozen=True, slots=True)
class Finding:
    """One row: what was asked, what was found, what it means, and what to do (empty where nothing)."""

    what: str
    found: str
    verdict: Verdict
    advice: str = ""


def _judge(what: str, found: str, is_fit: bool, advice: str, otherwise: Verdict = Verdict.SLOWER) -> Finding:
    return Finding(what, found, Verdict.FIT, "") if is_fit else Finding(what, found, otherwise, advice)


@contextmanager
def _loopback() -> Iterator[tuple[socket.socket, socket.socket]]:
    """A receiver and a sender that is connected to it."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
    ):
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(PATIENCE)
        sender.connect(receiver.getsockname())
        yield receiver, sender


def python() -> Finding:
    """The interpreter, and the compiler of kernels."""
    advice = "install numba (`pip install numba`): without it every packet passes through plain Python"
    return _judge("Python", running_python(), HAS_NUMBA, advice)


def system() -> Finding:
    """The operating system."""
    found = f"{platform.system()} {platform.release()}, {platform.machine()}"
    return _judge(
        "system", found, kernels_available(), "batches want numba on 64-bit Linux; here each datagram is a call"
    )


def processors() -> Finding:
    """How many cores this process may use."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return _judge("cores", str(cores), cores >= 2, "two or more let signalling and media run beside each other")


def memory() -> Finding:
    """What the machine has."""
    size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return _judge("memory", f"{size / 1e9:.1f} GB", size >= WANTED_MEMORY, "a server wants 1 GB or more")


def kernels() -> Finding:
    """Where compiled kernels are kept."""
    folder = cache_directory()
    if folder is None:
        advice = "name a folder that can be written in VISIOMEDIA_CACHE_DIR: else every start compiles for a minute"
        return Finding("kernel cache", "nowhere to write", Verdict.SLOWER, advice)
    kept = sum(1 for _ in folder.glob("*/*.nbi"))
    advice = "run `python -m visiomedia warmup` once, so that no start waits for it"
    return _judge("kernel cache", f"{folder}, {kept} kernels", kept > 0, advice)


def segmentation() -> Finding:
    """UDP GSO, tried over loopback."""
    most = segments_per_message()
    found = f"{most} datagrams a message" if most > 1 else "refused"
    return _judge("UDP GSO", found, most > 1, "Linux 4.18 or later sends whole frames by one call: about half the cost")


def coalescing() -> Finding:
    """UDP GRO, tried over loopback: two datagrams that were sent as one are read as one."""
    try:
        with _loopback() as (receiver, sender):
            receiver.setsockopt(socket.IPPROTO_UDP, UDP_GRO, 1)
            if segments_per_message() > 1:
                sender.sendmsg([bytes(200)], [(socket.IPPROTO_UDP, 103, struct.pack("H", 100))])
                is_there = len(receiver.recv(4096)) == 200
            else:
                is_there = True
    except OSError as error:
        return Finding("UDP GRO", error.strerror or str(error), Verdict.SLOWER, "Linux 5.0 or later reads in batches")
    return _judge("UDP GRO", "works" if is_there else "not on loopback", is_there, "")


def arrival_times() -> Finding:
    """The kernel's own arrival times."""
    advice = "without the kernel's arrival times a busy loop looks like a slow network"
    if sys.platform != "linux":
        return Finding("arrival times", "this system gives none", Verdict.SLOWER, advice)
    with _loopback() as (receiver, sender):
        receiver.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        sender.send(b"when")
        _, control, _, _ = receiver.recvmsg(16, 128)
    stamped = any(kind == SO_TIMESTAMPNS for _, kind, _ in control)
    return _judge("arrival times", "by the kernel" if stamped else "none", stamped, advice)


def overflow_counts() -> Finding:
    """Whether the kernel tells what a full socket buffer lost."""
    try:
        with _loopback() as (receiver, _):
            receiver.setsockopt(socket.SOL_SOCKET, SO_RXQ_OVFL, 1)
    except OSError as error:
        return Finding(
            "lost datagrams", error.strerror or str(error), Verdict.SLOWER, "what a full buffer loses is not seen"
        )
    return Finding("lost datagrams", "counted by the kernel", Verdict.FIT)


def _buffer(what: str, option: int, beyond_limit: int, limit: str) -> Finding:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, option, SOCKET_BUFFER)
        granted = probe.getsockopt(socket.SOL_SOCKET, option)
        if sys.platform == "linux":
            with contextlib.suppress(PermissionError):  # only root goes beyond the limit, as the plane then does
                probe.setsockopt(socket.SOL_SOCKET, beyond_limit, SOCKET_BUFFER)
            granted = probe.getsockopt(socket.SOL_SOCKET, option) // 2  # doubled, for the system's own accounts
    advice = f"as root: sysctl -w net.core.{limit}={SOCKET_BUFFER}, and the same line in /etc/sysctl.d"
    return _judge(what, f"{granted >> 10} kB of {SOCKET_BUFFER >> 10}", granted >= SOCKET_BUFFER, advice)


def receive_buffer() -> Finding:
    """Bytes of a burst that wait for the plane."""
    return _buffer("receive buffer", socket.SO_RCVBUF, SO_RCVBUFFORCE, "rmem_max")


def send_buffer() -> Finding:
    """Bytes of a fan-out that wait for the network."""
    return _buffer("send buffer", socket.SO_SNDBUF, SO_SNDBUFFORCE, "wmem_max")


def cipher_instructions() -> Finding:
    """What the processor has for AES-GCM."""
    try:
        text = CPU_INFORMATION.read_text()
    except OSError:
        return Finding("AES in hardware", "unknown", Verdict.FIT)
    flags = {
        word for line in text.splitlines() if line.lower().startswith(("flags", "features")) for word in line.split()
    }
    wide = [name for name in ("vaes", "vpclmulqdq") if name in flags]
    has = "aes" in flags and ("pclmulqdq" in flags or "pmull" in flags)
    found = ", ".join(["AES and carry-less multiplication", *wide]) if has else "none"
    return _judge(
        "AES in hardware", found, has, "encryption costs many times as much without: choose another processor"
    )


def encryption() -> Finding:
    """Where AES-GCM comes from."""
    library = evp_library()
    found = f"OpenSSL in {Path(library).name}" if library else "libsrtp"
    return _judge("AES-GCM", found, library is not None, "install OpenSSL's libcrypto: its EVP is three times as fast")


def opus() -> Finding:
    """libopus, for whoever mixes or records."""
    found = ctypes.util.find_library("opus")
    advice = "apt-get install libopus0, for mixing and recording; forwarding needs none"
    if found is None and importlib.util.find_spec("av") is not None:
        return Finding("libopus", "in PyAV's wheel", Verdict.FIT)
    return _judge("libopus", found or "missing", found is not None, advice)


def extras() -> Finding:
    """What can be installed beside the library."""
    wanted = {"aiohttp": "http", "av": "codecs", "livekit.protocol": "livekit", "pydantic_settings": "node"}
    missing = []
    for module, extra in wanted.items():
        try:
            is_there = importlib.util.find_spec(module) is not None
        except ModuleNotFoundError:
            is_there = False
        if not is_there:
            missing.append(extra)
    advice = f"pip install 'visiomedia[{','.join(missing)}]'"
    return _judge("extras", ", ".join(missing) + " missing" if missing else "all installed", not missing, advice)


def descriptors() -> Finding:
    """How many sockets a process may have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    advice = f"ulimit -n {WANTED_FILES}, or LimitNOFILE= of the service: each participant has a websocket"
    return _judge("open files", f"{soft} (at most {hard})", soft >= WANTED_FILES or soft < 0, advice)


def priority() -> Finding:
    """Whether packets may come before what else wants their core."""
    with ThreadPoolExecutor(1) as thread:
        is_allowed = thread.submit(come_first).result()
    advice = f"root, LimitNICE={PLANE_NICE} of the service, or CAP_SYS_NICE: else packets wait while Python is busy"
    return _judge("priority", f"nice {PLANE_NICE}" if is_allowed else "as all else", is_allowed, advice)


def _port(number: int, kind: socket.SocketKind, purpose: str) -> Finding:
    name = "TCP" if kind is socket.SOCK_STREAM else "UDP"
    with socket.socket(socket.AF_INET, kind) as probe:
        if kind is socket.SOCK_STREAM:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do
        try:
            probe.bind(("0.0.0.0", number))  # noqa: S104  # closed at once, and never listened on
        except OSError as error:
            advice = f"somebody uses it, perhaps a node that runs already; another one is chosen by {purpose}"
            return Finding(f"port {number} {name}", error.strerror or str(error), Verdict.SLOWER, advice)
    return Finding(f"port {number} {name}", "free", Verdict.FIT)


def http_port() -> Finding:
    """The node's HTTP port."""
    return _port(HTTP_PORT, socket.SOCK_STREAM, "--bind")


def media_port() -> Finding:
    """The port of all media."""
    return _port(MEDIA_PORT, socket.SOCK_DGRAM, "--media-port")


def addresses() -> Finding:
    """Where others may reach this machine."""
    found = interface_addresses()
    outside = [address for address in found if address not in ("127.0.0.1", "::1")]
    return _judge(
        "addresses",
        ", ".join(found) or "none",
        bool(outside),
        "only this machine can take part: connect it to a network",
    )


def loopback() -> Finding:
    """Whether datagrams pass at all, and how long one takes."""
    try:
        with _loopback() as (receiver, sender):
            begun = time.perf_counter()
            sender.send(b"there")
            receiver.recv(16)
            took = time.perf_counter() - begun
    except OSError as error:
        advice = "bring the loopback interface up: ip link set lo up"
        return Finding("UDP", error.strerror or str(error), Verdict.UNFIT, advice)
    return Finding("UDP", f"a datagram over loopback took {took * 1e6:.0f} µs", Verdict.FIT)


def node_js() -> Finding:
    """What builds the node's page, where it is a clone."""
    found = shutil.which("node")
    advice = "none needed: `make serve` installs one of its own from PyPI to build the page"
    return Finding("Node.js", found or "missing", Verdict.FIT, "" if found else advice)


PROBES: tuple[Callable[[], Finding], ...] = (
    python,
    system,
    processors,
    memory,
    kernels,
    loopback,
    segmentation,
    coalescing,
    arrival_times,
    overflow_counts,
    receive_buffer,
    send_buffer,
    cipher_instructions,
    encryption,
    opus,
    extras,
    descriptors,
    priority,
    http_port,
    media_port,
    addresses,
    node_js,
)


def examine(probes: Sequence[Callable[[], Finding]] = PROBES) -> list[Finding]:
    """Every finding; a probe that fails in a way nobody thought of is a finding too."""
    findings = []
    for probe in probes:
        try:
            findings.append(probe())
        except Exception as error:
            name = probe.__name__.replace("_", " ")
            findings.append(
                Finding(name, f"{type(error).__name__}: {error}", Verdict.SLOWER, "this could not be asked")
            )
    return findings


def is_fit(findings: Sequence[Finding]) -> bool:
    """Whether a server can run here at all."""
    return all(finding.verdict is not Verdict.UNFIT for finding in findings)


def as_json(findings: Sequence[Finding]) -> list[dict[str, str]]:
    """For programs."""
    return [{name: str(value) for name, value in asdict(finding).items()} for finding in findings]

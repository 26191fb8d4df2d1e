"""``python -m visiomedia``: warmup compiles the kernels, doctor says what this host can do."""

import argparse
import os
import platform
import socket
import sys
import time
from collections.abc import Sequence

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from visiomedia import __version__
from visiomedia.errors import VisiomediaError
from visiomedia.jit import HAS_NUMBA, cache_directory, running_python, warm_up


def warmup(console: Console) -> None:
    """Compile every kernel of the plane and of SCTP, or load it from the cache, with progress shown."""
    from visiomedia.line import Capacities
    from visiomedia.plane import warm_up_stages
    from visiomedia.sctp import warm_up_stages as sctp_stages

    started = time.monotonic()
    if not HAS_NUMBA:
        console.print("numba is not installed: references run in place of kernels, slowly")
        return
    stages = warm_up_stages(Capacities()) + sctp_stages()
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total}"))
    with Progress(*columns, TimeElapsedColumn(), console=console) as progress:
        task = progress.add_task("kernels", total=len(stages))
        for name, done in warm_up(stages):
            progress.update(task, completed=done, description=f"kernels: {name}" if name else "kernels are warm")
            if not console.is_terminal and name:
                console.print(f"compiling or loading {name} ({done + 1} of {len(stages)})")
    console.print(f"ready in {time.monotonic() - started:.1f} s; kept in {cache_directory() or 'no folder'}")


def doctor(console: Console) -> None:
    """What this host offers, and what to do about what is missing."""
    from visiomedia.net.addresses import interface_addresses
    from visiomedia.net.sockets import kernels_available
    from visiomedia.srtp.crypto import evp_library

    table = Table("what", "here", "matters because")
    table.add_row("visiomedia", __version__, "")
    table.add_row("runs on", f"{running_python()}, {platform.machine()}, {os.cpu_count()} cores", "")
    table.add_row("kernel cache", str(cache_directory() or "nowhere"), "without one every start compiles")
    batched = "recvmmsg, sendmmsg" if kernels_available() else "one call a datagram"
    table.add_row("UDP", batched, "batches need Linux and numba")
    table.add_row("AES-GCM", evp_library() or "libsrtp", "OpenSSL's EVP is three times as fast")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        granted = probe.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2
    advice = "bursts fit" if granted >= 4 << 20 else "set net.core.rmem_max=4194304 to survive bursts"
    table.add_row("receive buffer", f"{granted >> 10} kB", advice)
    table.add_row("addresses", ", ".join(interface_addresses()), "where peers reach this host")
    console.print(table)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m visiomedia", description=__doc__)
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True)
    warm = commands.add_parser("warmup", help="compile the kernels now, so that no server waits for it")
    warm.add_argument("--cpu", choices=("host", "generic"), default="host", help="generic: for images that move")
    commands.add_parser("doctor", help="say what this host can do")
    chosen = parser.parse_args(arguments)
    console = Console()
    if chosen.command == "warmup" and chosen.cpu == "generic" and os.environ.get("NUMBA_CPU_NAME") != "generic":
        # numba reads its settings when it is first imported, which has happened: start again with them.
        os.environ["NUMBA_CPU_NAME"] = "generic"
        os.execv(sys.executable, [sys.executable, "-m", "visiomedia", *(arguments or sys.argv[1:])])  # noqa: S606  # ourselves
    try:
        if chosen.command == "warmup":
            warmup(console)
        else:
            doctor(console)
    except VisiomediaError as error:
        Console(stderr=True).print(f"[red]{error}")
        return 2
    return 0

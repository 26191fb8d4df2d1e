"""``python -m visiomedia``: warmup compiles the kernels, doctor says whether this machine is fit, and what to do."""

import argparse
import os
import sys
import time
from collections.abc import Sequence

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from visiomedia import __version__
from visiomedia.errors import VisiomediaError
from visiomedia.jit import CPUS, HAS_NUMBA, cache_directory, choose_cpu, compilations, warm_up


def warmup(console: Console) -> None:
    """Compile every kernel of the plane and of SCTP, or load it from the cache, with progress shown."""
    from visiomedia.line import Capacities
    from visiomedia.sctp import warm_up_stages as sctp_stages
    from visiomedia.turns import warm_up_stages

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
    console.print(
        f"ready in {time.monotonic() - started:.1f} s, {compilations()} functions compiled; "
        f"kept in {cache_directory() or 'no folder'}"
    )


COLOURS = {"fit": "green", "works, but slower or less": "yellow", "not fit": "red"}


def doctor(console: Console, *, as_json: bool = False) -> int:
    """Whether this machine is fit, and what to do; 0 where it is."""
    from visiomedia import doctor

    findings = doctor.examine()
    if as_json:
        console.print_json(data=doctor.as_json(findings))
        return 0 if doctor.is_fit(findings) else 1
    table = Table("what", "found", "verdict", "what to do", title=f"visiomedia {__version__}")
    for finding in findings:
        colour = COLOURS[finding.verdict]
        table.add_row(finding.what, finding.found, f"[{colour}]{finding.verdict}", finding.advice)
    console.print(table)
    if not doctor.is_fit(findings):
        console.print("[red]This machine is not fit: do what stands in the last column.")
        return 1
    to_do = sum(bool(finding.advice) and finding.verdict != "fit" for finding in findings)
    console.print(f"This machine is fit{f', and could be better in {to_do} ways' if to_do else ''}.")
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m visiomedia", description=__doc__)
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True)
    warm = commands.add_parser("warmup", help="compile the kernels now, so that no server waits for it")
    warm.add_argument("--cpu", choices=CPUS, default=CPUS[0], help="generic: for images that move")
    examined = commands.add_parser("doctor", help="say whether this machine is fit, and what to do")
    examined.add_argument("--json", action="store_true", help="for programs")
    chosen = parser.parse_args(arguments)
    console = Console()
    try:
        if chosen.command == "warmup":
            if HAS_NUMBA and choose_cpu(chosen.cpu):
                # numba learns what it compiles for when it is imported, which has happened: start again.
                os.execv(sys.executable, [sys.executable, "-m", "visiomedia", *(arguments or sys.argv[1:])])  # noqa: S606  # ourselves
            warmup(console)
        else:
            return doctor(console, as_json=chosen.json)
    except VisiomediaError as error:
        Console(stderr=True).print(f"[red]{error}")
        return 2
    return 0

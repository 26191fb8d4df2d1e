"""What forwarding costs, ours and the rivals on this machine in one run: CPU of the server's processes a packet.

    python -m benchmarks.bench_forward --quick --json forward.json

Servers run on core 0, their participants on core 1, in a network of their own. Every participant is a real WebRTC
client that joins as the server's own clients do: ICE, DTLS, and a sample of its packets opened and compared. Servers
take turns at the same packet rate. Method: benchmarks/README.md.
"""

import argparse
import asyncio
import contextlib
import os
import resource
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from benchmarks import network, rivals, traffic
from benchmarks.load import Load, Measured
from benchmarks.machine import describe_machine, write_json
from benchmarks.scenarios import AUDIO_BYTES, PACKET_BYTES, SCENARIOS, Scenario
from benchmarks.servers import CONTESTANTS, Contestant
from visiomedia.srtp.profiles import ProtectionProfile

SERVER_CORE = 0
LOAD_CORE = 1
ALLOWED_LOSS = 0.001
ATTEMPTS = 2
"""How often a run that lost more is made before its figures are called void."""

PACKETS_S = 20_000
JOINS_S = 10
OPEN_FILES = 20_000

GCM, CM = ProtectionProfile.AEAD_AES_128_GCM, ProtectionProfile.AES128_CM_SHA1_80


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A scenario under a profile, its bursts, and whether its limits are looked for."""

    scenario: str
    bursts: tuple[int, ...] = (6,)
    profile: ProtectionProfile = GCM
    finds_limit: bool = False
    """The highest rate without loss; and latency at half of it, also while people join."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much is measured."""

    cases: tuple[Case, ...]
    runs: int
    run_s: float
    packets_s: int = PACKETS_S
    """Forwarded packets a second, at which servers are compared."""


QUICK = Plan(cases=(Case(scenario="1x10"), Case(scenario="1x100"), Case(scenario="25x24")), runs=3, run_s=1.5)
DEFAULT = Plan(
    cases=(
        Case(scenario="1x10"),
        Case(scenario="1x100", bursts=(6, 1, 16), finds_limit=True),
        Case(scenario="1x100", profile=CM),
        Case(scenario="25x24", finds_limit=True),
        Case(scenario="100x2"),
        Case(scenario="50x4"),
        Case(scenario="audio10x100", bursts=(1,)),
        Case(scenario="1x1000"),
    ),
    runs=5,
    run_s=2.0,
)
FULL = Plan(
    cases=(
        *(replace(case, finds_limit=True) for case in DEFAULT.cases),
        Case(scenario="25x24", bursts=(1, 16)),
        Case(scenario="25x24", profile=CM),
        Case(scenario="audio10x1000", bursts=(1,)),
    ),
    runs=7,
    run_s=4.0,
)


@dataclass
class Entrant:
    """One server with a case's people on it, and its runs by burst."""

    load: Load
    runs: dict[int, list[Measured]] = field(default_factory=dict)
    void: dict[int, int] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """For progress and complaints."""
        return f"{self.load.server.name} {self.load.server.path}".strip()


class Benchmark:
    """A plan while it is measured."""

    def __init__(self, plan: Plan, contestants: Sequence[Contestant], say: Callable[[str], None]) -> None:
        self.plan, self.contestants, self.say = plan, contestants, say
        self.rows: list[dict[str, Any]] = []
        self.complaints: list[str] = []

    async def measure(self) -> None:
        """Everything, case by case."""
        for case in self.plan.cases:
            async with contextlib.AsyncExitStack() as stack:
                await self._measure_case(case, SCENARIOS[case.scenario], stack)

    async def _measure_case(self, case: Case, scenario: Scenario, stack: contextlib.AsyncExitStack) -> None:
        entrants = []
        for contestant in self.contestants:
            if contestant.scenarios is not None and scenario.name not in contestant.scenarios:
                continue
            self.say(f"{case.scenario} {contestant.name} {contestant.path}: {scenario.receivers} receivers come in")
            try:
                server = await stack.enter_async_context(contestant.start(SERVER_CORE))
                load = Load(server, scenario, case.profile)
                stack.push_async_callback(load.close)
                await load.open()
            except (OSError, RuntimeError, TimeoutError) as error:
                self.complaints.append(f"{case.scenario} {contestant.name} {contestant.path}: {error!r}")
                continue
            entrants.append(Entrant(load))
        for burst in case.bursts:
            for number in range(self.plan.runs):
                for entrant in entrants:
                    self.say(f"{case.scenario} {entrant.title}: bursts of {burst}, run {number + 1}")
                    await self._run(entrant, burst)
            for entrant in entrants:
                self.rows.append(row(entrant.load, burst, entrant.runs[burst], void=entrant.void[burst]))
        if case.finds_limit:
            for entrant in entrants:
                await self._find_limit(entrant, case.bursts[0])

    async def _run(self, entrant: Entrant, burst: int) -> None:
        runs = entrant.runs.setdefault(burst, [])
        entrant.void.setdefault(burst, 0)
        for _ in range(ATTEMPTS):
            measured = await entrant.load.run(self.plan.run_s, self.plan.packets_s, burst)
            if measured.loss <= ALLOWED_LOSS:
                break
            entrant.void[burst] += 1
        if measured.wrong or not measured.opened:
            self.complaints.append(
                f"{entrant.load.scenario.name} {entrant.title}: of the packets that were opened {measured.wrong} were "
                f"not what was published, {measured.opened} were"
            )
        runs.append(measured)

    async def _find_limit(self, entrant: Entrant, burst: int) -> None:
        """The highest rate whose run loses nothing, and latencies at half of it."""
        load = entrant.load
        cost = statistics.median(run.cpu_us_per_packet for run in entrant.runs[burst])
        if not cost:
            self.complaints.append(f"{load.scenario.name} {entrant.title}: nothing arrived any more")
            return
        limit, share = await find_limit(
            load, burst, 0.6e6 / cost, self.plan.run_s, lambda rate: self.say(f"{entrant.title}: {rate:,.0f} packets/s")
        )
        if not limit:
            self.complaints.append(f"{load.scenario.name} {entrant.title}: no rate was without loss")
            return
        for each in self.rows:
            if each["scenario"] == load.scenario.name and each["burst"] == burst and is_of(each, load):
                each["packets_per_core_s"] = round(limit)
                each["cpu_share_at_limit"] = round(share, 2)
        for joins_s in (0, JOINS_S):
            self.say(f"{load.scenario.name} {entrant.title}: half its load, {joins_s} people a second join")
            runs = [await load.run(self.plan.run_s * 2, limit / 2, burst, joins_s=joins_s)]
            self.rows.append(row(load, burst, runs, void=0, load_share=0.5, joins_s=joins_s))


async def find_limit(
    load: Load, burst: int, first: float, seconds: float, say: Callable[[float], None]
) -> tuple[float, float]:
    """(highest packets/s without loss, share of a core that the server used then); zeros where there is none."""
    rate, best, share, too_much = first, 0.0, 0.0, 0.0
    for _ in range(12):
        say(rate)
        measured = await load.run(seconds, rate, burst)
        if measured.loss <= ALLOWED_LOSS:
            best, share = rate, measured.cpu_share
            rate = (best * too_much) ** 0.5 if too_much else rate * 1.25
        else:
            too_much = rate
            rate = (best * too_much) ** 0.5 if best else rate * 0.6
        if best and too_much and too_much < best * 1.1:
            break
    return best, share


def is_of(each: dict[str, Any], load: Load) -> bool:
    """Whether a row of costs is this server's."""
    mine = (load.server.name, load.server.path, load.profile.name)
    return (each["server"], each["path"], each["profile"]) == mine and "load_share" not in each


def row(load: Load, burst: int, runs: Sequence[Measured], *, void: int, **more: Any) -> dict[str, Any]:
    """As ``--json`` writes it: medians of the runs, their losses together."""
    sent = sum(run.sent for run in runs)
    latencies = np.concatenate([run.latencies_ms for run in runs])
    costs = [run.cpu_us_per_packet for run in runs]
    scenario = load.scenario
    return {
        "server": load.server.name,
        "path": load.server.path,
        "scenario": scenario.name,
        "burst": 0 if scenario.traced else burst,
        "profile": load.profile.name,
        "packet_bytes": 0 if scenario.traced else AUDIO_BYTES if scenario.audio else PACKET_BYTES,
        "receivers": scenario.receivers,
        "packets": sent,
        "packets_s": round(statistics.median(run.packets_s for run in runs)),
        "cpu_us_per_packet": round(statistics.median(costs), 2),
        "cpu_us_per_packet_least": round(min(costs), 2),
        "cpu_us_per_packet_most": round(max(costs), 2),
        "latency_p50_ms": round(float(np.percentile(latencies, 50)), 3) if len(latencies) else None,
        "latency_p99_ms": round(float(np.percentile(latencies, 99)), 3) if len(latencies) else None,
        "loss": round(max(0.0, 1 - sum(run.received for run in runs) / sent), 6),
        "rss_mb": round(statistics.median(run.rss_mb for run in runs), 1),
        "runs": len(runs),
        "void_runs": void,
        **more,
    }


def show(console: Console, rows: Sequence[dict[str, Any]], complaints: Sequence[str]) -> None:
    """Print the table."""
    table = Table(
        title=f"Forwarding over loopback without UDP_GRO; servers on core {SERVER_CORE}, load on core {LOAD_CORE}\n"
        f"{describe_machine()}",
        caption="medians; CPU: user and system time of all of a server's processes, divided by packets that arrived",
    )
    for name in ("scenario", "burst", "profile", "server", "path"):
        table.add_column(name)
    for name in ("packets/s", "µs CPU/packet", "least–most", "packets/s a core", "p50 ms", "p99 ms", "loss", "RSS MB"):
        table.add_column(name, justify="right")
    before = None
    for each in rows:
        about = (each["scenario"], str(each["burst"] or "trace"), each["profile"].removeprefix("AEAD_"))
        table.add_row(
            *(about if about != before else ("", "", "")),
            each["server"],
            each["path"],
            f"{each['packets_s']:,}" + (f" +{each['joins_s']} joins/s" if each.get("joins_s") else ""),
            f"{each['cpu_us_per_packet']:.2f}",
            f"{each['cpu_us_per_packet_least']:.2f}–{each['cpu_us_per_packet_most']:.2f}",
            f"{each['packets_per_core_s']:,}" if "packets_per_core_s" in each else "",
            f"{each['latency_p50_ms']:.2f}" if each["latency_p50_ms"] is not None else "",
            f"{each['latency_p99_ms']:.2f}" if each["latency_p99_ms"] is not None else "",
            f"{each['loss']:.3%}" + (" VOID" if each["loss"] > ALLOWED_LOSS else ""),
            f"{each['rss_mb']:.0f}",
        )
        before = about
    console.print(table)
    for complaint in complaints:
        console.print(complaint, markup=False)


async def run(plan: Plan, contestants: Sequence[Contestant], console: Console) -> Benchmark:
    """Measure everything, with progress shown."""
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("compiling or loading kernels", total=len(plan.cases))

        def say(description: str) -> None:
            progress.update(task, description=description)
            if not console.is_terminal:
                console.print(description)

        traffic.compile_carry()
        benchmark = Benchmark(plan, contestants, say)
        await benchmark.measure()
        return benchmark


def prepare(console: Console) -> list[Contestant]:
    """Leave the machine's network, take the load's core, and say which servers are missing."""
    for name, command in rivals.missing().items():
        console.print(f"not measured: {name}, which `{rivals.INSTALL_ALL}` installs: {command}", markup=False)
    network.enter()
    os.sched_setaffinity(0, {LOAD_CORE})
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    absent = rivals.missing()
    return [each for each in CONTESTANTS if each.name not in absent]


def main() -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bench_forward", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="1x10, 1x100 and 25x24, short runs: three minutes")
    parser.add_argument("--full", action="store_true", help="more profiles, bursts and limits: two hours")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    parser.add_argument("--scenario", action="append", metavar="NAME", help="only this one of the plan's; repeatable")
    parser.add_argument("--server", action="append", metavar="NAME", help="only this one; repeatable")
    chosen = parser.parse_args()
    console = Console(width=None if sys.stdout.isatty() else 160)
    if len(os.sched_getaffinity(0)) < 2:
        console.print("this benchmark wants two cores: one for the servers, one for their load")
        return 1
    plan = QUICK if chosen.quick else FULL if chosen.full else DEFAULT
    if chosen.scenario:
        plan = replace(plan, cases=tuple(case for case in plan.cases if case.scenario in chosen.scenario))
    contestants = [each for each in prepare(console) if not chosen.server or each.name in chosen.server]
    benchmark = asyncio.run(run(plan, contestants, console))
    show(console, benchmark.rows, benchmark.complaints)
    if chosen.json:
        write_json(chosen.json, benchmark.rows)
    return 1 if benchmark.complaints or not benchmark.rows else 0


if __name__ == "__main__":
    sys.exit(main())

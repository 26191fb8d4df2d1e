"""``make differential``: the session against both servers, and what differs. ``--record`` keeps what LiveKit's said."""

import argparse
import asyncio
import json
import sys
from typing import Any

from benchmarks.rivals import LIVEKIT_VERSION, NotInstalledError, build_livekit
from rich.console import Console

from tests.interop.differential.comparison import RECORDING, differences, unneeded
from tests.interop.differential.script import LONG_QUIET, play, refusals
from tests.interop.differential.servers import interface, livekit
from tests.interop.test_livekit_sdk import URL, node
from tests.network.namespace import enter_private_network

console = Console()


async def said_by_ours() -> dict[str, Any]:
    """What the node says."""
    with console.status("the session against the node"):
        async with node():
            return {"steps": await play(URL), "refusals": await refusals(URL)}


async def said_by_livekit(binary: Any) -> dict[str, Any]:
    """What LiveKit's server says."""
    with console.status(f"the session against LiveKit {LIVEKIT_VERSION}"):
        async with livekit(binary) as url:
            return {"server": LIVEKIT_VERSION, "steps": await play(url, LONG_QUIET), "refusals": await refusals(url)}


def main() -> int:
    """0 where both say the same but for what is intended."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--record", action="store_true", help="keep what LiveKit's server said, for CI")
    parser.add_argument("--recorded", action="store_true", help="compare with what is kept, as CI does")
    chosen = parser.parse_args()
    try:
        binary = None if chosen.recorded else build_livekit()
    except NotInstalledError as missing:
        console.print(f"[red]{missing}")
        return 2
    enter_private_network()
    with interface():
        theirs = asyncio.run(said_by_livekit(binary)) if binary else json.loads(RECORDING.read_text())
        ours = asyncio.run(said_by_ours())
    if chosen.record and binary is not None:
        RECORDING.write_text(json.dumps(theirs, indent=1, ensure_ascii=False, sort_keys=True) + "\n")
        console.print(f"recorded: {len(theirs['steps'])} steps, {len(theirs['refusals'])} refusals")
    found = differences(ours, theirs)
    for line in found:
        console.print(line, markup=False, highlight=False)
    stale = unneeded(ours, theirs)
    for name in stale:
        console.print(f"an intended difference that is none any more: {name}", markup=False)
    if not found and not stale:
        console.print(f"{len(theirs['steps'])} steps and {len(theirs['refusals'])} refusals: the same, but as intended")
    return 1 if found or stale else 0


if __name__ == "__main__":
    sys.exit(main())

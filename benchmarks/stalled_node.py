"""The node with an application in it that now and then keeps the event loop to itself.

As a plugin would that reads a file or renders a picture on the loop: 100 ms once a second. ``bench_turns`` runs it.
"""

import asyncio
import sys
import time

from examples.conference import __main__ as node
from examples.conference.app import Node

EVERY_S, STALL_S = 1.0, 0.1


async def stall() -> None:
    """For ever."""
    while True:
        await asyncio.sleep(EVERY_S - STALL_S)
        time.sleep(STALL_S)  # noqa: ASYNC251  # that is what is measured


class StalledNode(Node):
    """Serves all the same."""

    async def run(self) -> None:
        """As any node, beside what holds it up."""
        stalling = asyncio.create_task(stall())
        try:
            await super().run()
        finally:
            stalling.cancel()


if __name__ == "__main__":
    setattr(node, "Node", StalledNode)  # noqa: B010  # it is another module's
    sys.exit(node.main())

"""A transfer over data channels through a network that gets worse and better again: a minute in a second or two.

    python examples/simulated_transfer.py --seed 7 --plot transfer.png

No socket, no waiting: the engines of both ends run in virtual time, and a seed repeats everything to the byte.
"""

import argparse
from pathlib import Path

from visiomedia.engine import Address
from visiomedia.sctp import Association, MessageReceived
from visiomedia.simulation import Conditions, GilbertElliott, Host, Network

SECONDS = 60
GOOD = Conditions(delay=0.02, rate=10e6)
SCRIPT = (
    (20.0, Conditions(delay=0.02, rate=2e6)),
    (40.0, Conditions(delay=0.02, rate=10e6, loss=GilbertElliott.bursts(0.005, 3))),
)
MESSAGE = bytes(16_000)
LOW_WATER = 500_000

Second = tuple[float, float]
"""Mbit/s received, and ms that a datagram waits in the link's queue."""


def run(seed: int) -> list[Second]:
    """What each second of the transfer was like."""
    network = Network(seed)
    addresses = Address(0, "192.0.2.1", 1), Address(0, "192.0.2.2", 2)
    sender, receiver = (
        Host(
            network,
            Association(
                is_client=number == 0, remote_maximum_message=0, entropy=network.random("entropy", number).randbytes
            ),
            address,
        )
        for number, address in enumerate(addresses)
    )
    link = network.link(lambda data: receiver.receive(data, addresses[0]), GOOD, script=SCRIPT)
    sender.add_link(addresses[1], link)
    receiver.add_link(addresses[0], network.link(lambda data: sender.receive(data, addresses[1]), GOOD))
    for host, other in ((sender, addresses[1]), (receiver, addresses[0])):
        host.engine.associate(other, network.now)
    channel = sender.engine.open_channel("transfer", network.now)
    for host in (sender, receiver):
        host.pump()

    seconds = []
    for _ in range(SECONDS):
        waits = []
        for _ in range(100):
            while sender.engine.buffered_amount(channel) < LOW_WATER:
                sender.engine.send(channel, MESSAGE, network.now)
            sender.pump()
            network.run(0.01)
            waits.append(link.queueing)
        came = sum(len(event.data) for event in receiver.events if isinstance(event, MessageReceived))
        receiver.events.clear()
        seconds.append((came * 8 / 1e6, 1000 * sum(waits) / len(waits)))
    return seconds


def plot(seconds: list[Second], picture: Path) -> None:
    """What arrived and what waited, a point a second."""
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(2, sharex=True, figsize=(8, 4.5), layout="constrained")
    for place, (name, colour) in enumerate((("Mbit/s received", "C0"), ("ms in the link's queue", "C1"))):
        axes[place].plot([second[place] for second in seconds], colour, drawstyle="steps-mid")
        axes[place].set(ylabel=name, ylim=(0, None))
        axes[place].grid(alpha=0.3)
    axes[0].set_title("10 Mbit/s, then 2 Mbit/s, then 10 Mbit/s with 0.5 % lost in bursts", fontsize=10)
    axes[1].set_xlabel("seconds")
    figure.savefig(picture, dpi=100)


def main() -> None:
    """Print a line a second."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--plot", type=Path, metavar="PNG", help="draw it (pip install matplotlib)")
    chosen = parser.parse_args()
    seconds = run(chosen.seed)
    for number, (rate, wait) in enumerate(seconds):
        print(f"{number:3} s {rate:6.2f} Mbit/s {wait:6.1f} ms {'#' * round(rate * 4)}")
    if chosen.plot:
        plot(seconds, chosen.plot)


if __name__ == "__main__":
    main()

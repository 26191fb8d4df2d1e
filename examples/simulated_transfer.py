"""A transfer over data channels through a network that gets worse and better again: a minute in a second or two.

    python examples/simulated_transfer.py --seed 7 --plot transfer.png

No socket, no waiting: the engines of both ends run in virtual time, and a seed repeats everything to the byte.
"""

import argparse
from pathlib import Path

from visiomedia.engine import Address
from visiomedia.sctp import Association, MessageReceived
from visiomedia.simulation import Conditions, GilbertElliott, Host, Network

GOOD = Conditions(delay=0.02, rate=10e6)
NARROW = Conditions(delay=0.02, rate=2e6)
LOSSY = Conditions(delay=0.02, rate=10e6, loss=GilbertElliott.bursts(0.005, 3))
MESSAGE = bytes(16_000)
LOW_WATER = 500_000


def run(seed: int) -> list[tuple[float, float]]:
    """Of each second: Mbit/s received, and ms that a datagram waits in the link's queue."""
    network, a, b = Network(seed), Address(0, "192.0.2.1", 1), Address(0, "192.0.2.2", 2)

    def host(own: Address, other: Address) -> Host[Association]:
        random = network.random(own).randbytes
        made = Host(network, Association(is_client=own is a, remote_maximum_message=0, entropy=random), own)
        made.engine.associate(other, network.now)
        return made

    sender, receiver = host(a, b), host(b, a)
    link = network.link(lambda data: receiver.receive(data, a), GOOD, script=[(20, NARROW), (40, LOSSY)])
    sender.add_link(b, link)
    receiver.add_link(a, network.link(lambda data: sender.receive(data, b), GOOD))
    channel = sender.engine.open_channel("transfer", network.now)
    receiver.pump()
    seconds = []
    for _ in range(60):
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


def plot(seconds: list[tuple[float, float]], picture: Path) -> None:
    """What arrived and what waited, a step a second."""
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(2, sharex=True, figsize=(8, 4.5), layout="constrained")
    for place, name in enumerate(("Mbit/s received", "ms in the link's queue")):
        axes[place].plot([second[place] for second in seconds], f"C{place}", drawstyle="steps-mid")
        axes[place].set(ylabel=name, ylim=(0, None), xlabel="seconds" if place else None)
        axes[place].grid(alpha=0.3)
    axes[0].set_title("10 Mbit/s, then 2 Mbit/s, then 10 Mbit/s with 0.5 % lost in bursts", fontsize=10)
    figure.savefig(picture, dpi=100)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--plot", type=Path, metavar="PNG", help="draw it (pip install matplotlib)")
    chosen = parser.parse_args()
    lines = run(chosen.seed)
    for number, (rate, wait) in enumerate(lines):
        print(f"{number:3} s {rate:6.2f} Mbit/s {wait:6.1f} ms {'#' * round(rate * 4)}")
    if chosen.plot:
        plot(lines, chosen.plot)

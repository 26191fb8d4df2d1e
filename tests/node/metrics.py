"""What the node says of itself at ``/metrics``."""

import aiohttp
from prometheus_client.parser import text_string_to_metric_families


def values(exposition: str) -> dict[str, float]:
    """Each sample by its name and its labels' values, separated by spaces."""
    return {
        sample.name + "".join(f" {value}" for value in sample.labels.values()): sample.value
        for family in text_string_to_metric_families(exposition)
        for sample in family.samples
    }


async def measure(session: aiohttp.ClientSession) -> dict[str, float]:
    """All of it, now."""
    async with session.get("/metrics") as answer:
        return values(await answer.text())


def rows(measured: dict[str, float]) -> dict[str, int]:
    """Rows in use, by table."""
    prefix = "visiomedia_rows "
    return {name.removeprefix(prefix): int(count) for name, count in measured.items() if name.startswith(prefix)}


def events(measured: dict[str, float]) -> dict[str, int]:
    """What LiveKit's clients did, by name."""
    prefix = "visiomedia_livekit_events_total "
    return {name.removeprefix(prefix): int(count) for name, count in measured.items() if name.startswith(prefix)}

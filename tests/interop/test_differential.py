"""Our node tells clients what LiveKit's own server told them in the same session: ``make differential`` records it."""

import json

import pytest

from tests.interop.differential.comparison import INTENDED, RECORDING, differences, unneeded
from tests.interop.differential.script import SESSION, play, refusals
from tests.interop.test_livekit_sdk import URL, interface, node

__all__ = ["interface"]

pytestmark = [pytest.mark.interop, pytest.mark.timeout(240)]


def test_the_recording_is_of_this_session() -> None:
    recorded = json.loads(RECORDING.read_text())
    assert [step["step"] for step in recorded["steps"]] == [[who, what] for who, what in SESSION]


def test_each_intended_difference_has_its_reason() -> None:
    assert all(len(one.reason) > 30 for one in INTENDED)


@pytest.mark.usefixtures("interface")
async def test_clients_are_told_what_livekits_server_tells_them() -> None:
    async with node():
        ours = {"steps": await play(URL), "refusals": await refusals(URL)}
    recorded = json.loads(RECORDING.read_text())
    assert differences(ours, recorded) == []
    assert unneeded(ours, recorded) == []


def test_a_difference_is_found_where_there_is_one() -> None:
    recorded = json.loads(RECORDING.read_text())
    changed = json.loads(RECORDING.read_text())
    changed["steps"][1]["told"]["bob"] = []
    changed["refusals"]["expired: /rtc/validate"] = [404, "gone"]
    found = differences(changed, recorded)
    assert len(found) == 2
    assert "told bob" in found[0] and "expired" in found[1]

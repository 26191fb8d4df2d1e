"""Our node tells clients what LiveKit's own server told them in the same session: ``make differential`` records it."""

import json
from typing import Any

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
        ours: dict[str, Any] = {"steps": await play(URL), "refusals": await refusals(URL)}
    recorded = json.loads(RECORDING.read_text())
    assert not [case for case, said in ours["refusals"].items() if said[2]], "no refusal repeats the token"
    assert all(said[0] == 404 for case, said in ours["refusals"].items() if "/rtc/v1" in case)
    assert differences(ours, recorded) == []
    assert unneeded(ours, recorded) == []


def test_a_difference_is_found_where_there_is_one() -> None:
    recorded = json.loads(RECORDING.read_text())
    changed = json.loads(RECORDING.read_text())
    del changed["steps"][1]["told"]["bob"]["events"][0]
    changed["refusals"]["expired: /rtc/validate"] = recorded["refusals"]["wrong secret: /rtc/validate"]
    changed["refusals"]["fine: /rtc/v1/validate"] = [500, "boom", ""]
    data = next(one["told"]["carol"]["events"] for one in changed["steps"] if one["step"][1]["do"] == "data")
    data += data
    order = next(
        one["told"]["carol"]["order"] for one in changed["steps"] if one["step"] == ["bob2", {"do": "connect"}]
    )
    order["bob"].reverse()
    found = differences(changed, recorded)
    assert [line.partition(":\n")[0].rpartition(", ")[2] for line in found] == [
        "told bob",
        "told carol",
        "told carol",
        "expired: /rtc/validate",
        "fine: /rtc/v1/validate",
    ]

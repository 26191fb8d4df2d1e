"""A conference on an event loop."""

import asyncio

import pytest

from visiomedia.conference.conference import Conference
from visiomedia.conference.driver import ConferenceDriver
from visiomedia.conference.events import HouseEvent, ParticipantEvent, ParticipantsUpdated, Removed, RoomClosed
from visiomedia.conference.grants import Grants
from visiomedia.conference.participant import Arrival, LeaveReason, Participant
from visiomedia.conference.room import Room
from visiomedia.conference.settings import RoomSettings


def join(driver: ConferenceDriver, identity: str) -> tuple[Room, Participant]:
    now = driver.clock.monotonic()
    room = driver.conference.open("r1", now)
    participant = room.join(Arrival(identity=identity, grants=Grants()), now)
    room.activate(participant, now)
    return room, participant


async def test_each_gets_its_own_events_and_the_house_the_rest() -> None:
    house: list[HouseEvent] = []
    driver = ConferenceDriver(Conference(), on_event=lambda room, event: house.append(event))
    _, alice = join(driver, "alice")
    heard: list[ParticipantEvent] = []
    driver.attach(alice, heard.append)
    driver.pump()
    assert any(isinstance(event, ParticipantsUpdated) for event in heard)
    driver.detach(alice)
    driver.close(LeaveReason.SERVER_SHUTDOWN)
    assert not any(isinstance(event, Removed) for event in heard)
    assert isinstance(house[-1], RoomClosed) and not driver.conference.rooms


async def test_timeouts_come_by_themselves() -> None:
    ended = asyncio.Event()

    def listen(room: Room, event: HouseEvent) -> None:
        if isinstance(event, RoomClosed):
            ended.set()

    driver = ConferenceDriver(Conference(RoomSettings(empty_timeout=0.01)), on_event=listen)
    driver.conference.open("r1", driver.clock.monotonic())
    driver.pump()
    async with asyncio.timeout(5):
        await ended.wait()
    assert not driver.conference.rooms


async def test_what_a_handler_causes_is_handed_out_as_well() -> None:
    driver = ConferenceDriver(Conference())
    room, alice = join(driver, "alice")
    removed: list[ParticipantEvent] = []

    def leave(event: ParticipantEvent) -> None:
        if isinstance(event, ParticipantsUpdated):
            room.leave(alice, LeaveReason.PARTICIPANT_REMOVED, driver.clock.monotonic())
            driver.pump()
        else:
            removed.append(event)

    driver.attach(alice, leave)
    driver.pump()
    assert Removed in [type(event) for event in removed]
    driver.close()


async def test_a_handler_that_fails_is_removed_and_the_others_are_told(caplog: pytest.LogCaptureFixture) -> None:
    driver = ConferenceDriver(Conference(RoomSettings(participant_interval=0.0)))
    room, alice = join(driver, "alice")
    _, bob = join(driver, "bob")
    heard: list[ParticipantEvent] = []

    def fail(event: ParticipantEvent) -> None:
        raise RuntimeError("a fault")

    driver.attach(alice, fail)
    driver.attach(bob, heard.append)
    driver.pump()
    assert set(room.participants) == {"bob"}
    assert any(isinstance(event, ParticipantsUpdated) and alice in event.participants for event in heard)
    assert "session failed" in caplog.text
    driver.close()

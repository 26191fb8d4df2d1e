"""Who speaks, from audio levels in virtual time."""

import pytest

from tests.conference.gathering import Gathering
from visiomedia.conference.events import SpeakersChanged
from visiomedia.conference.participant import LeaveReason
from visiomedia.conference.speakers import SpeakerSettings
from visiomedia.conference.track import Source, Track
from visiomedia.errors import ConfigurationError


def hear(gathering: Gathering, track: Track, levels: list[int | None]) -> list[dict[str, float]]:
    """Feed levels, 50 ms apart; returns what is told."""
    told = []
    for level in levels:
        gathering.now += 0.05
        gathering.room.hear({track: level}, gathering.now)
        for event in gathering.events():
            if isinstance(event, SpeakersChanged):
                told.append({speaker.participant.identity: speaker.level for speaker in event.speakers})
    return told


@pytest.fixture
def gathering() -> Gathering:
    return Gathering()


@pytest.fixture
def track(gathering: Gathering) -> Track:
    return gathering.publish(gathering.join("alice"))


def test_somebody_who_speaks_is_told_after_an_interval_and_the_level_settles(
    gathering: Gathering, track: Track
) -> None:
    told = hear(gathering, track, [20] * 60)
    # 20 dB below full scale is an amplitude of 0.1, and the next eighth above it.
    assert told == [{"alice": 0.125}]


def test_a_louder_voice_rises_to_its_level(gathering: Gathering, track: Track) -> None:
    told = hear(gathering, track, [2] * 60)
    levels = [one["alice"] for one in told]
    assert levels == sorted(levels) and levels[-1] == 0.875  # 10 ** (-2 / 20) is 0.79


def test_silence_soft_noise_and_single_clicks_are_no_speech(gathering: Gathering, track: Track) -> None:
    assert hear(gathering, track, [127] * 40) == []
    assert hear(gathering, track, [36] * 40) == []
    assert hear(gathering, track, [None] * 40) == []
    assert hear(gathering, track, [10, *[127] * 9] * 4) == []


def test_who_stops_is_told_as_silent_once(gathering: Gathering, track: Track) -> None:
    hear(gathering, track, [20] * 20)
    told = hear(gathering, track, [127] * 60)
    assert told[-1] == {"alice": 0.0} and told.count({"alice": 0.0}) == 1
    assert gathering.room.speakers() == ()


def test_who_mutes_is_told_as_silent_without_another_sample(gathering: Gathering, track: Track) -> None:
    hear(gathering, track, [10] * 20)
    assert gathering.room.speakers()
    gathering.room.set_muted(track, True, gathering.now)
    events = [event for event in gathering.advance(1) if isinstance(event, SpeakersChanged)]
    assert [[speaker.level for speaker in event.speakers] for event in events] == [[0.0]]


def test_who_leaves_while_speaking_is_not_told_any_more(gathering: Gathering, track: Track) -> None:
    gathering.join("bob")
    hear(gathering, track, [10] * 20)
    gathering.room.leave(track.publisher, LeaveReason.CLIENT_INITIATED, gathering.now)
    assert not [event for event in gathering.advance(5) if isinstance(event, SpeakersChanged)]
    assert gathering.room.speakers() == ()


def test_of_two_microphones_the_louder_counts(gathering: Gathering, track: Track) -> None:
    other = gathering.publish(track.publisher, "other", Source.SCREEN_SHARE_AUDIO)
    gathering.events()
    for _ in range(20):
        gathering.now += 0.05
        gathering.room.hear({track: 30, other: 6}, gathering.now)
    assert max(speaker.level for speaker in gathering.room.speakers()) == 0.5
    last = [event for event in gathering.events() if isinstance(event, SpeakersChanged)][-1]
    assert [speaker.level for speaker in last.speakers] == [0.5]


def test_a_quiet_room_sets_no_timer(gathering: Gathering, track: Track) -> None:
    hear(gathering, track, [10] * 20)
    gathering.advance(100)
    assert gathering.room.next_timeout() is None


@pytest.mark.parametrize("wrong", [{"active_level": 128}, {"smoothing": 0.0}, {"interval": 0.0}, {"steps": 0}])
def test_settings_that_cannot_work_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError):
        SpeakerSettings(**wrong)  # type: ignore[arg-type]  # a table

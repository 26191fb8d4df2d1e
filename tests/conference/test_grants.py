"""What grants cover."""

import pytest

from tests.conference.gathering import Gathering
from visiomedia.conference.events import DataSent
from visiomedia.conference.grants import Grants
from visiomedia.conference.refusals import Refusal, RefusedError
from visiomedia.conference.track import Kind, Source, TrackDescription

ONLY_AUDIO = frozenset({Source.MICROPHONE, Source.SCREEN_SHARE_AUDIO})


@pytest.mark.parametrize("source", list(Source))
@pytest.mark.parametrize(
    ("grants", "allowed"),
    [
        (Grants(), set(Source)),
        (Grants(can_publish=False), set()),
        (Grants(can_publish=False, can_publish_sources=ONLY_AUDIO), set()),
        (Grants(can_publish_sources=ONLY_AUDIO), set(ONLY_AUDIO)),
    ],
)
def test_sources_that_may_be_published(grants: Grants, allowed: set[Source], source: Source) -> None:
    gathering = Gathering()
    alice = gathering.join("alice", can_publish=grants.can_publish, can_publish_sources=grants.can_publish_sources)
    description = TrackDescription(cid="c", kind=Kind.AUDIO, source=source)
    if source in allowed:
        assert gathering.room.announce(alice, description).source is source
        return
    with pytest.raises(RefusedError) as refused:
        gathering.room.announce(alice, description)
    assert refused.value.refusal is Refusal.NOT_ALLOWED
    assert not alice.announced


def test_messages_need_their_own_grant() -> None:
    gathering = Gathering()
    alice, bob = gathering.join("alice", can_publish_data=False, can_publish=True), gathering.join("bob")
    gathering.advance(1)
    with pytest.raises(RefusedError) as refused:
        gathering.room.send(alice, b"hi", is_reliable=True)
    assert refused.value.refusal is Refusal.NOT_ALLOWED
    assert gathering.events() == []
    gathering.room.send(None, b"hi", is_reliable=False, identities=["bob"])
    (event,) = gathering.events()
    assert isinstance(event, DataSent)
    assert (event.recipients, event.payload, event.is_reliable) == ((bob,), b"hi", False)

"""Peer: what offers do to its rows. No media: descriptions in, answers out, and the plane's tables in between."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
import pytest
from benchmarks.clients import Answer, ScriptedClient, audio_section, video_section

from visiomedia.batch import RowKind
from visiomedia.errors import CapacityError, InvalidStateError, NegotiationError, ParseError
from visiomedia.ice.credentials import Credentials
from visiomedia.line import Capacities
from visiomedia.peer.peer import Peer
from visiomedia.plane import Plane
from visiomedia.routing.tables import MAX_LAYERS
from visiomedia.rtp.extensions import serialize_extensions
from visiomedia.rtp.packet import RtpPacket
from visiomedia.sdp.description import SessionDescription
from visiomedia.simulation.line import SMALL, rows_in_use
from visiomedia.transport import DtlsIdentity
from visiomedia.turns import Way

IDENTITY = DtlsIdentity.generate()
BOTH = [audio_section("sendrecv"), video_section("sendrecv", ("q", "h", "f"))]


@asynccontextmanager
async def a_plane(**capacities: int) -> AsyncIterator[Plane]:
    sizes = Capacities(**{**vars(SMALL), **capacities})
    async with Plane(["127.0.0.1"], 0, capacities=sizes, identity=IDENTITY, way=Way.LOOP) as plane:
        yield plane


async def rows(plane: Plane) -> dict[str, int]:
    """What is taken, once all commands have been applied."""
    written, read = 0, 1
    handed = plane.tables.transport.handed_state
    for turn in range(1000):  # rows handed up are worked on for a millisecond at a time
        await asyncio.sleep(0)
        if turn >= 3 and plane.commands.waiting == 0 and handed[written] == handed[read]:
            break
    assert plane.commands.waiting == 0
    return rows_in_use(plane.tables) | {
        "ufrags": len(plane.directory),
        "handshakes": plane.limiter.in_progress,
    }


async def nothing_is_left(plane: Plane) -> bool:
    return not any((await rows(plane)).values())


def hand_up(plane: Plane, peer: Peer, packet: bytes) -> None:
    """As the turn does with an opened packet of an unbound SSRC."""
    tables = plane.tables.transport
    record = tables.handed[tables.handed_state[0] % len(tables.handed)]
    record.kind, record.length = RowKind.RTP, len(packet)
    record.transport, record.generation = peer.transport
    record.body[: len(packet)] = np.frombuffer(packet, np.uint8)
    tables.handed_flows[record.flow] += 1
    tables.handed_state[0] += 1
    plane.wake()


def negotiate(peer: Peer, offer: str) -> str:
    """Offer and answer, with nothing sent."""
    peer.receive_offer(offer)
    return peer.answer()


def parsed(answer: str) -> SessionDescription:
    return SessionDescription.parse(answer)


async def test_a_rejected_section_gets_no_track_and_stays_rejected() -> None:
    async with a_plane() as plane:
        offer = ScriptedClient(BOTH).offer().replace("m=video 9", "m=video 0")
        async with Peer(plane) as peer:
            (audio,) = peer.receive_offer(offer)
            answer = parsed(peer.answer())
            assert (audio.kind, [track.kind for track in peer.tracks]) == ("audio", ["audio"])
            assert [section.is_rejected for section in answer.media] == [False, True]
            assert (await rows(plane))["tracks"] == 1
        assert await nothing_is_left(plane)


async def test_a_format_we_do_not_have_rejects_its_section_only() -> None:
    async with a_plane() as plane, Peer(plane) as peer:
        offer = ScriptedClient(BOTH).offer().replace("VP8/90000", "theora/90000")
        peer.receive_offer(offer)
        answer = parsed(peer.answer())
        assert [track.kind for track in peer.tracks] == ["audio"]
        assert [section.is_rejected for section in answer.media] == [False, True]


async def test_a_second_offer_adds_a_track_and_leaves_the_first_as_it_was() -> None:
    async with a_plane() as plane, Peer(plane) as peer:
        client = ScriptedClient(BOTH[:1])
        peer.receive_offer(client.offer())
        first, (track,) = peer.answer(), peer.tracks
        client.sections = BOTH
        before = await rows(plane)
        assert [section.kind for section in peer.receive_offer(client.offer())] == ["audio", "video"]
        second = peer.answer()
        assert peer.tracks[0] is track
        assert [each.kind for each in peer.tracks] == ["audio", "video"]
        assert Answer.parse(first).ufrag == Answer.parse(second).ufrag
        (session, version), (same, later) = (answer.splitlines()[1].split()[1:3] for answer in (first, second))
        assert (same, int(later)) == (session, int(version) + 1)
        assert await rows(plane) == before | {"tracks": 2}


@pytest.mark.parametrize("how", ["inactive", "recvonly", "port 0"])
async def test_a_track_that_its_publisher_takes_away_ends_for_its_watchers(how: str) -> None:
    async with a_plane() as plane, Peer(plane) as publisher, Peer(plane) as watcher:
        client = ScriptedClient(BOTH)
        negotiate(publisher, client.offer())
        audio, video = publisher.tracks
        watching = ScriptedClient([audio_section("recvonly"), video_section("recvonly")])
        sections = watcher.receive_offer(watching.offer())
        for section, track in zip(sections, (audio, video), strict=True):
            section.send(track)
        watcher.answer()
        ended = []
        video.on_closed.append(lambda: ended.append(video))
        head, tail = client.offer().split("m=video 9")
        if how == "port 0":
            offer = f"{head}m=video 0{tail}"
        else:
            offer = f"{head}m=video 9{tail.replace('a=sendrecv', f'a={how}')}"
        publisher.receive_offer(offer)
        publisher.answer()
        assert (ended, video.is_closed, audio.is_closed) == ([video], True, False)
        assert publisher.tracks == [audio]
        assert (await rows(plane))["tracks"] == 1
        # The watcher's section is free for what comes next, from its next offer on.
        negotiate(publisher, client.offer())
        new = publisher.tracks[1]
        assert new is not video
        _, section = watcher.receive_offer(watching.offer())
        section.send(new)
        answer = parsed(watcher.answer())
        assert [each.direction.sends for each in answer.media] == [True, True]


async def test_an_ice_restart_answers_with_new_credentials_and_keeps_the_rest() -> None:
    async with a_plane() as plane, Peer(plane) as peer:
        client = ScriptedClient(BOTH)
        peer.receive_offer(client.offer())
        first, tracks = Answer.parse(peer.answer()), peer.tracks
        before = await rows(plane)
        client.local = Credentials.generate()
        peer.receive_offer(client.offer())
        second = Answer.parse(peer.answer())
        assert (second.ufrag != first.ufrag, second.password != first.password) == (True, True)
        assert second.fingerprint == first.fingerprint
        assert peer.tracks == tracks
        # Both are answered until the new one carries (RFC 8445 section 9.1.1.1).
        assert await rows(plane) == before | {"ufrags": 2}
        peer.receive_offer(client.offer())
        assert Answer.parse(peer.answer()).ufrag == second.ufrag


MALFORMED = {
    "no description": ("v=0", "x=1", ParseError),
    "a description cut short": ("m=audio 9 UDP/TLS/RTP/SAVPF 111", "m=audio", ParseError),
    "no mid": ("a=mid:1\r\n", "", NegotiationError),
    "the same mid twice": ("a=mid:1", "a=mid:0", NegotiationError),
    "no ufrag": ("a=ice-ufrag", "a=x-ufrag", NegotiationError),
    "a short ufrag": ("a=ice-ufrag:", "a=ice-ufrag:x\r\na=y:", ParseError),
    "no password": ("a=ice-pwd", "a=x-pwd", NegotiationError),
    "a short password": ("a=ice-pwd:", "a=ice-pwd:short\r\na=y:", ParseError),
    "no fingerprint": ("a=fingerprint", "a=x-fingerprint", NegotiationError),
    "a fingerprint that is none": ("a=fingerprint:sha-256 ", "a=fingerprint:sha-256 zz:", ParseError),
    "nothing to accept": ("m=audio 9|m=video 9", "m=audio 0|m=video 0", NegotiationError),
}


def malformed(offer: str, what: str) -> str:
    found, put, _ = MALFORMED[what]
    for old, new in zip(found.split("|"), put.split("|"), strict=True):
        assert old in offer
        offer = offer.replace(old, new)
    return offer


@pytest.mark.parametrize("what", MALFORMED)
async def test_a_first_offer_that_cannot_be_ends_the_peer_and_leaves_no_row(what: str) -> None:
    async with a_plane() as plane:
        peer = Peer(plane)
        with pytest.raises(MALFORMED[what][2]):
            negotiate(peer, malformed(ScriptedClient(BOTH).offer(), what))
        assert peer.closed.done()
        assert await nothing_is_left(plane)
        with pytest.raises(InvalidStateError):
            peer.receive_offer(ScriptedClient(BOTH).offer())


@pytest.mark.parametrize("what", MALFORMED)
async def test_a_later_offer_that_cannot_be_changes_nothing(what: str) -> None:
    async with a_plane() as plane, Peer(plane) as peer:
        client = ScriptedClient(BOTH)
        peer.receive_offer(client.offer())
        first, tracks = Answer.parse(peer.answer()), peer.tracks
        before = await rows(plane)
        with pytest.raises(MALFORMED[what][2]):
            negotiate(peer, malformed(client.offer(), what))
        assert await rows(plane) == before
        assert peer.tracks == tracks
        assert not peer.closed.done()
        peer.receive_offer(client.offer())
        assert Answer.parse(peer.answer()).ufrag == first.ufrag


@pytest.mark.parametrize("changed", ["certificate", "role"])
async def test_a_later_offer_with_another_certificate_or_role_is_refused(changed: str) -> None:
    async with a_plane() as plane, Peer(plane) as peer:
        client = ScriptedClient(BOTH)
        negotiate(peer, client.offer())
        before = await rows(plane)
        offer = client.offer()
        if changed == "role":
            offer = offer.replace("setup:actpass", "setup:passive")
        else:
            assert ScriptedClient.certificate is not None
            offer = offer.replace(
                ScriptedClient.certificate.fingerprint.serialize(), IDENTITY.certificate.fingerprint.serialize()
            )
        with pytest.raises(NegotiationError, match="new transport"):
            negotiate(peer, offer)
        assert await rows(plane) == before
        negotiate(peer, client.offer())


@pytest.mark.parametrize("table", ["transports", "tracks"])
async def test_a_full_plane_refuses_a_peer_and_takes_the_next_once_there_is_room(table: str) -> None:
    async with a_plane(**{table: 2 if table == "tracks" else 1}) as plane:
        async with Peer(plane) as first:
            first.receive_offer(ScriptedClient(BOTH).offer())
            first.answer()
            before = await rows(plane)
            second = Peer(plane)
            with pytest.raises(CapacityError) as error:
                second.receive_offer(ScriptedClient(BOTH).offer())
            assert error.value.table == table
            assert await rows(plane) == before
        assert await nothing_is_left(plane)
        async with Peer(plane) as third:
            third.receive_offer(ScriptedClient(BOTH).offer())
            assert len(parsed(third.answer()).media) == 2


async def test_a_later_offer_for_which_there_is_no_room_changes_nothing() -> None:
    async with a_plane(tracks=2) as plane, Peer(plane) as peer:
        client = ScriptedClient(BOTH[:1])
        negotiate(peer, client.offer())
        before, tracks = await rows(plane), peer.tracks
        client.sections = [*BOTH, video_section("sendonly")]
        with pytest.raises(CapacityError):
            peer.receive_offer(client.offer())
        assert (await rows(plane), peer.tracks, list(peer.transceivers)) == (before, tracks, ["0"])
        with pytest.raises(InvalidStateError):
            peer.answer()
        client.sections = BOTH
        negotiate(peer, client.offer())
        assert len(peer.tracks) == 2


async def test_an_ssrc_that_finds_no_row_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    async with a_plane(sources=1) as plane, Peer(plane) as peer:
        negotiate(peer, ScriptedClient([video_section("sendonly")]).offer())
        for ssrc in (1, *[2] * 20):
            hand_up(plane, peer, RtpPacket(96, 1, 2, ssrc, b"x").serialize())
        # The first one has lost its layer to the second, which finds a row once that one's is free again.
        await rows(plane)
        hand_up(plane, peer, RtpPacket(96, 1, 2, 2, b"x").serialize())
        assert (await rows(plane))["sources"] == 1
    assert [record.getMessage() for record in caplog.records if record.name == "visiomedia.peer.sources"] == [
        "an SSRC is not bound: sources is full: 1 rows"
    ]


async def test_more_layers_than_there_are_rows_for_are_not_all_taken() -> None:
    async with a_plane() as plane, Peer(plane) as peer:
        rids = tuple(f"r{number}" for number in range(12))
        client = ScriptedClient([video_section("sendonly", rids), video_section("sendonly")])
        negotiate(peer, client.offer())
        for number, rid in enumerate(rids):
            elements = [(4, b"0"), (10, rid.encode())]
            profile, data = serialize_extensions(elements)
            packet = RtpPacket(96, 1, 2, number + 1, b"x", extension_profile=profile, extension_data=data)
            hand_up(plane, peer, packet.serialize())
        assert (await rows(plane))["sources"] == MAX_LAYERS


async def test_restarts_without_end_take_no_place_from_other_peers() -> None:
    async with a_plane(transports=2) as plane, Peer(plane) as restless:
        client = ScriptedClient(BOTH)
        for _ in range(20):
            client.local = Credentials.generate()
            negotiate(restless, client.offer())
        assert (await rows(plane))["ufrags"] <= 2
        async with Peer(plane) as other:
            other.receive_offer(ScriptedClient(BOTH).offer())
            other.answer()


async def test_answers_and_closes_out_of_turn_are_refused() -> None:
    async with a_plane() as plane:
        peer = Peer(plane)
        with pytest.raises(InvalidStateError):
            peer.answer()
        with pytest.raises(InvalidStateError):
            _ = peer.transport
        sections = peer.receive_offer(ScriptedClient(BOTH).offer())
        peer.answer()
        with pytest.raises(InvalidStateError):
            peer.answer()
        track = peer.tracks[0]
        peer.close()
        peer.close()
        assert await peer.closed == "closed here"
        with pytest.raises(InvalidStateError):
            sections[0].send(track)
        assert await nothing_is_left(plane)

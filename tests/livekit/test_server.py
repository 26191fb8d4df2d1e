"""The application on a plane."""

from aiohttp.test_utils import TestClient, TestServer

from visiomedia.conference.conference import Conference
from visiomedia.conference.driver import ConferenceDriver
from visiomedia.livekit.server import make_app
from visiomedia.plane import Plane


async def test_an_application_on_a_plane_answers() -> None:
    driver = ConferenceDriver(Conference())
    driver.conference.open("r1", driver.clock.monotonic())
    driver.pump()
    app = make_app(Plane(["127.0.0.1"], 0), {"key": "secret"}, conference=driver)
    async with TestClient(TestServer(app)) as client:
        assert (await client.get("/")).status == 200
        assert (await client.get("/rtc/validate")).status == 401
    assert not driver.conference.rooms, "its end is that of its rooms"

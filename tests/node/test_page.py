"""The page as the node serves it, the tokens it gives to visitors, and that the page speaks both languages."""

import json
import re
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from examples.conference.page import CONTENT_SECURITY_POLICY, Page
from examples.conference.settings import DEV_KEYS
from examples.conference.visitors import Visitors
from visiomedia.conference.conference import Conference
from visiomedia.conference.grants import Grants
from visiomedia.conference.participant import Arrival
from visiomedia.conference.settings import RoomSettings
from visiomedia.livekit.http import cross_origin
from visiomedia.livekit.tokens import verify

WEB = Path(__file__).parents[2] / "examples" / "conference" / "web"
HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}

Client = TestClient[web.Request, web.Application]


async def health(request: web.Request) -> web.Response:
    return web.Response(text="OK")


@pytest.fixture
def built(tmp_path: Path) -> Path:
    """What a build leaves behind."""
    folder = tmp_path / "dist"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text("<!doctype html><title>page</title>")
    (folder / "assets" / "index-Abc123.js").write_text("script")
    (tmp_path / "secret").write_text("not the page's")
    return folder


def app_of(page: Page) -> web.Application:
    app = web.Application(middlewares=[cross_origin, page.front])
    app.add_routes([web.get("/", health), *page.routes()])
    return app


@pytest.fixture
def page(built: Path) -> Page:
    return Page(built)


@pytest.fixture
def missing_page(tmp_path: Path) -> Page:
    return Page(tmp_path / "none")


@pytest_asyncio.fixture
async def client(page: Page) -> AsyncIterator[Client]:
    async with TestClient(TestServer(app_of(page))) as opened:
        yield opened


async def test_the_root_is_the_page_for_browsers_and_ok_for_who_asks_for_health(client: Client) -> None:
    answer = await client.get("/", headers=HTML)
    assert "<title>page</title>" in await answer.text()
    assert answer.headers["Content-Type"].startswith("text/html")
    for headers in ({}, {"Accept": "*/*"}, {"Accept": "application/json"}):
        answer = await client.get("/", headers=headers)
        assert (answer.status, await answer.text()) == (200, "OK")
        assert "Accept" in answer.headers["Vary"], "a cache must not give one for the other"
    assert (await client.head("/")).status == 200


async def test_every_rooms_link_is_the_same_document_under_a_strict_policy(client: Client) -> None:
    answer = await client.get("/r/abc-defg-hij")
    assert answer.headers["Content-Security-Policy"] == CONTENT_SECURITY_POLICY
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert "camera=(self)" in answer.headers["Permissions-Policy"]
    assert "geolocation=()" in answer.headers["Permissions-Policy"]
    assert answer.headers["Cache-Control"] == "no-cache"
    again = await client.get("/r/other", headers={"If-None-Match": answer.headers["ETag"]})
    assert again.status == 304


async def test_assets_are_kept_for_ever(client: Client) -> None:
    answer = await client.get("/assets/index-Abc123.js")
    assert (answer.status, await answer.text()) == (200, "script")
    assert "immutable" in answer.headers["Cache-Control"]
    assert (await client.get("/assets/gone.js")).status == 404


@pytest.mark.parametrize("path", ["/assets/..%2f..%2fsecret", "/assets/%2e%2e/secret", "/assets/..%5c..%5csecret"])
async def test_nothing_outside_of_the_build_is_served(client: Client, path: str) -> None:
    answer = await client.get(path)
    assert answer.status == 404
    assert "not the page's" not in await answer.text()


async def test_a_page_that_is_not_built_says_how_to_build_it(missing_page: Page) -> None:
    async with TestClient(TestServer(app_of(missing_page))) as client:
        answer = await client.get("/", headers=HTML)
        assert answer.status == 503
        assert "make serve" in await answer.text()
        assert await (await client.get("/")).text() == "OK"


# --- visitors ------------------------------------------------------------------------------------------------------


def conference_with(*names: str, room: str = "r", most: int = 0) -> Conference:
    conference = Conference(RoomSettings(max_participants=most))
    for name in names:
        grants = Grants(room=room, room_join=True)
        conference.open(room, 0.0).join(Arrival(identity=f"identity-of-{name}", grants=grants, name=name), 0.0)
    return conference


async def ask(visitors: Visitors, body: object, **headers: str) -> tuple[int, dict[str, str]]:
    app = web.Application()
    app.add_routes(visitors.routes())
    async with TestClient(TestServer(app)) as client:
        data = body if isinstance(body, str) else json.dumps(body)
        answer = await client.post("/api/token", data=data, headers=headers)
        assert answer.headers["Cache-Control"] == "no-store"
        return answer.status, await answer.json()


def visitors(conference: Conference | None = None, *, are_let_in: bool = True) -> Visitors:
    return Visitors(conference or Conference(), DEV_KEYS, are_let_in=are_let_in)


async def test_a_visitor_gets_a_token_for_one_room_and_an_identity_to_keep() -> None:
    status, answer = await ask(visitors(), {"room": "abc-defg-hij", "name": "  Zoé   Ngô ", "identity": ""})
    assert status == 200
    token = verify(answer["token"], DEV_KEYS, time.time())
    assert (token.name, token.identity) == ("Zoé Ngô", answer["identity"])
    assert token.grants is not None and token.grants.room == "abc-defg-hij"
    assert token.grants.room_join and not token.grants.room_admin
    assert token.expires_at is not None and token.expires_at > time.time() + 3600
    again = await ask(visitors(), {"room": "abc-defg-hij", "name": "Zoé", "identity": answer["identity"]})
    assert again[1]["identity"] == answer["identity"]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("no json", "bad_request"),
        ("[]", "bad_request"),
        ({"name": "Zoé"}, "bad_room"),
        ({"room": "../etc", "name": "Zoé"}, "bad_room"),
        ({"room": "r" * 65, "name": "Zoé"}, "bad_room"),
        ({"room": 5, "name": "Zoé"}, "bad_room"),
        ({"room": "r", "name": "   "}, "bad_name"),
        ({"room": "r", "name": "Z\u202eo\u0007"}, "bad_name"),
        ({"room": "r", "name": None}, "bad_name"),
    ],
    ids=str,
)
async def test_what_no_page_of_ours_asks_is_refused(body: object, reason: str) -> None:
    assert await ask(visitors(), body) == (400, {"error": reason})


async def test_an_identity_of_another_form_is_replaced() -> None:
    _, answer = await ask(visitors(), {"room": "r", "name": "Zoé", "identity": "admin"})
    assert answer["identity"] != "admin"


async def test_a_name_that_is_in_the_room_is_told_before_cameras_are_opened() -> None:
    conference = conference_with("Zoé")
    assert await ask(visitors(conference), {"room": "r", "name": "zoé"}) == (409, {"error": "name_taken"})
    assert (await ask(visitors(conference), {"room": "other", "name": "Zoé"}))[0] == 200
    back = {"room": "r", "name": "Zoé", "identity": "identity-of-Zoé"}
    assert (await ask(visitors(conference), back))[1] == {"error": "name_taken"}, "not a form that we give out"


async def test_who_reloads_the_page_is_not_kept_out_by_oneself() -> None:
    first = await ask(visitors(), {"room": "r", "name": "Zoé"})
    conference = Conference()
    grants = Grants(room="r", room_join=True)
    conference.open("r", 0.0).join(Arrival(identity=first[1]["identity"], grants=grants, name="Zoé"), 0.0)
    back = {"room": "r", "name": "Zoé", "identity": first[1]["identity"]}
    assert (await ask(visitors(conference), back))[0] == 200


async def test_a_full_room_is_told() -> None:
    conference = conference_with("Zoé", most=1)
    assert await ask(visitors(conference), {"room": "r", "name": "Ann"}) == (403, {"error": "room_full"})


async def test_a_node_that_is_not_for_ones_own_machine_gives_no_tokens() -> None:
    assert await ask(visitors(are_let_in=False), {"room": "r", "name": "Zoé"}) == (403, {"error": "login_required"})


async def test_a_page_of_another_site_gets_no_token() -> None:
    body = {"room": "r", "name": "Zoé"}
    assert await ask(visitors(), body, Origin="https://elsewhere.example") == (403, {"error": "other_origin"})
    assert (await ask(visitors(), body, Origin="http://node.example:7880", Host="node.example:7880"))[0] == 200


# --- the page's texts ----------------------------------------------------------------------------------------------


def texts(language: str) -> dict[str, str]:
    found: dict[str, str] = json.loads((WEB / "src" / "locales" / f"{language}.json").read_text())
    return found


def test_every_text_is_there_in_both_languages_with_the_same_values() -> None:
    english, french = texts("en"), texts("fr")
    assert list(english) == list(french)
    for key in english:
        assert english[key].strip() and french[key].strip(), key
        assert sorted(re.findall(r"\{\w+\}", english[key])) == sorted(re.findall(r"\{\w+\}", french[key])), key


def test_no_text_stands_in_the_code_and_none_is_unused() -> None:
    sources = "\n".join(file.read_text() for file in sorted((WEB / "src").rglob("*.ts*")))
    for key in texts("en"):
        # Those of problems, states and qualities are put together from their name.
        named = key.startswith(("problem.", "state.", "quality.")) or key == "language"
        assert named or f"'{key}'" in sources or key.startswith("device."), f"{key} is used nowhere"
    literal = re.findall(r">\s*([A-Z][a-z]+ [a-z ]+)\s*<", sources)
    assert literal == [], "texts belong into locales"


def test_every_problem_says_what_happened_and_what_to_do() -> None:
    source = (WEB / "src" / "problems.ts").read_text()
    names = re.findall(r"^  '(\w+)',$", source, re.MULTILINE)
    assert len(names) > 15
    for language in ("en", "fr"):
        for name in names:
            assert f"problem.{name}" in texts(language) and f"problem.{name}.do" in texts(language)
    refusals = re.findall(r'_refuse\(\d+, "(\w+)"\)|return \d+, "(\w+)"', Path(WEB.parent / "visitors.py").read_text())
    for refusal in (one or other for one, other in refusals):
        assert refusal in [*names, "bad_request"], f"the page does not know {refusal}"

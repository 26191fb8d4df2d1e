"""What the documentation promises: its programs run as printed, and its pages are all there."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest
import yaml

from tests.documents import ROOT, lines_of, printed

DOCS = ROOT / "docs"


@pytest.fixture
def program(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A program of the tutorial, running as its reader saves it."""
    file = tmp_path / request.param
    file.write_text(printed("docs/tutorial.md")[request.param])
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    running = subprocess.Popen(
        [sys.executable, str(file)], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        yield running
    finally:
        running.terminate()
        running.communicate(timeout=20)


async def answering(url: str, program: subprocess.Popen[bytes]) -> None:
    """Wait until somebody listens there."""
    async with asyncio.timeout(30), aiohttp.ClientSession() as session:
        while program.poll() is None:
            try:
                async with session.get(url):
                    return
            except aiohttp.ClientConnectionError:
                await asyncio.sleep(0.05)
    pytest.fail("the program ended")


def test_the_tutorials_server_has_forty_lines() -> None:
    assert lines_of(printed("docs/tutorial.md")["stage.py"]) <= 40


@pytest.mark.parametrize("program", ["rooms.py"], indirect=True)
async def test_the_tutorials_rooms_let_friends_in_and_nobody_else(program: subprocess.Popen[bytes]) -> None:
    url = "http://127.0.0.1:7880"
    await answering(url, program)
    async with aiohttp.ClientSession() as session:
        async with session.post(f"{url}/token", data={"name": "alice", "password": "guess"}) as answer:
            assert answer.status == 403
        async with session.post(f"{url}/token", data={"name": "alice", "password": "wonderland"}) as answer:
            token = await answer.text()
        async with session.get(f"{url}/rtc/validate", params={"access_token": token}) as answer:
            assert (answer.status, await answer.text()) == (200, "success")


def test_the_librarys_example_holds() -> None:
    code = printed("docs/library.md")["example"]
    assert "assert" in code
    exec(compile(code, "docs/library.md", "exec"), {})


def test_every_page_is_in_the_navigation_and_every_picture_is_shown() -> None:
    configuration = yaml.safe_load((ROOT / "mkdocs.yml").read_text())

    def pages(entry: object) -> Iterator[str]:
        if isinstance(entry, str):
            yield entry
        elif isinstance(entry, dict):
            for inner in entry.values():
                yield from pages(inner)
        elif isinstance(entry, list):
            for inner in entry:
                yield from pages(inner)

    assert set(pages(configuration["nav"])) == {file.name for file in DOCS.glob("*.md")}
    texts = "".join(file.read_text() for file in [*DOCS.glob("*.md"), ROOT / "README.md"])
    assert [file.name for file in (DOCS / "images").iterdir() if f"images/{file.name}" not in texts] == []


def test_pictures_are_small() -> None:
    sizes = {file.name: file.stat().st_size for file in (DOCS / "images").iterdir()}
    assert all(size < 60_000 for size in sizes.values()), sizes
    assert sum(sizes.values()) < 1_000_000

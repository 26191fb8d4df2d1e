"""What the README promises: its example runs as printed, and CI runs its command."""

import asyncio
import itertools
import os
import re
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import pytest
from benchmarks.clients import ScriptedClient, video_section

from visiomedia.rtp.extensions import serialize_extensions, serialize_mid
from visiomedia.rtp.packet import RtpPacket

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()

FENCE = re.compile(r"^```python\n# example\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LONGEST_EXAMPLE = 12
"""Lines with something on them: ten, and room for an import."""

VP8_KEY_FRAME = bytes.fromhex("10 50 00 00 9d 01 2a 40 01 b4 00") + b"README"
"""A descriptor that starts a frame, and the first bytes of a key frame (RFC 7741 section 4.2 and 4.3)."""


def example() -> str:
    """The README's one library example.

    Raises:
        AssertionError: there is not exactly one, or it is empty.
    """
    found: list[str] = FENCE.findall(README)
    assert len(found) == 1, "README.md has one fenced python block that begins with the line '# example'"
    assert found[0].strip(), "the example in README.md is empty"
    return found[0]


def test_the_example_is_about_ten_lines() -> None:
    assert sum(1 for line in example().splitlines() if line.strip()) <= LONGEST_EXAMPLE


@pytest.fixture
def example_file(tmp_path: Path) -> Path:
    """The example as a newcomer saves it."""
    file = tmp_path / "example.py"
    file.write_text(example())
    return file


async def test_the_example_runs_as_printed_echoes_and_ends(example_file: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(example_file), env=environment, stdin=PIPE, stdout=PIPE, stderr=PIPE
    )
    assert process.stdin is not None and process.stdout is not None
    echoed: asyncio.Queue[bytes] = asyncio.Queue()
    client = ScriptedClient([video_section("sendrecv")], on_rtp=echoed.put_nowait)
    await client.open()
    process.stdin.write(client.offer().encode())
    process.stdin.write_eof()
    answer = (await process.stdout.readuntil(b"\r\n\n")).decode()
    client.accept(answer)
    await client.connected

    async def send() -> None:
        profile, extensions = serialize_extensions([(4, serialize_mid("0"))])
        for number in itertools.count():
            packet = RtpPacket(96, number, 3000 * number, 7, VP8_KEY_FRAME, True, (), profile, extensions)
            client.send_rtp(packet.serialize())
            await asyncio.sleep(0.02)

    sending = asyncio.ensure_future(send())
    assert RtpPacket.parse(await echoed.get()).payload == VP8_KEY_FRAME
    sending.cancel()
    client.close()
    rest, errors = await process.communicate()
    assert rest.startswith(b"ended: ")
    assert errors == b""
    assert process.returncode == 0


def test_ci_runs_the_command_that_the_readme_names() -> None:
    assert re.search(r"^make test\b", README, re.MULTILINE)
    assert re.search(r"^make test$", (ROOT / ".ci" / "run").read_text(), re.MULTILINE)


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "docs/architecture.md", "benchmarks/README.md"])
def test_links_between_pages_lead_somewhere(page: str) -> None:
    text = (ROOT / page).read_text()
    targets = [target for target in re.findall(r"\]\(([^)#:]+)\)", text) if target]
    missing = [target for target in targets if not ((ROOT / page).parent / target).exists()]
    assert missing == []

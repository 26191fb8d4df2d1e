"""A browser for every test that asks for one; a test that fails leaves screenshots and says where."""

from collections.abc import AsyncIterator, Generator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.browser.chromium import Chromium, ChromiumMissingError, chromium

has_failed = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if call.when == "call":
        item.stash[has_failed] = report.failed
    return report


@pytest_asyncio.fixture
async def browser(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Chromium]:
    """Headless Chromium of this test's own."""
    try:
        async with chromium() as launched:
            yield launched
            if request.node.stash.get(has_failed, False):
                print(await launched.describe(tmp_path))
    except ChromiumMissingError as missing:
        pytest.fail(str(missing), pytrace=False)

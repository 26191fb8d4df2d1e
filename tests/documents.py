"""Python that documentation prints, for tests to run: blocks that begin with ``# file: NAME`` or ``# example``."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
FENCE = re.compile(r"^```python\n# (file: (?P<name>\S+)|example)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)


def printed(page: str) -> dict[str, str]:
    """The blocks of a page by name; an example without one is called ``example``."""
    text = (ROOT / page).read_text()
    return {found["name"] or "example": found["code"] for found in FENCE.finditer(text)}


def lines_of(code: str) -> int:
    """Lines with something on them."""
    return sum(1 for line in code.splitlines() if line.strip())

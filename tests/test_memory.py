"""What the operator's guide says of memory is what the tables take."""

import re
from pathlib import Path

from visiomedia.line import Capacities, make_tables

GUIDE = Path(__file__).parents[1] / "docs" / "operating.md"
SMALL = Capacities(transports=1, sources=1, tracks=1, subscriptions=1, paths=1, batch_rows=1, out_rows=1, history_mb=16)


def taken(capacities: Capacities) -> int:
    def size(tables: object) -> int:
        return sum(map(size, tables)) if isinstance(tables, tuple) else getattr(tables, "nbytes", 0)

    return size(make_tables(capacities, b"memory"))


def row_bytes(name: str) -> int:
    """What one row more of a table costs, over all that grows with it."""
    rows = 4096  # lookups double
    few, many = (Capacities(**{**vars(SMALL), name: count}) for count in (rows, 2 * rows))
    return (taken(many) - taken(few)) // rows


def stated() -> dict[str, tuple[int, int]]:
    """Bytes a row and capacity, by the first word of its line."""
    found = re.findall(r"(?m)^\| (\w+)[^|]*\| ([\d,]+) \| ([\d,]+) \|$", GUIDE.read_text())
    return {name: (int(size.replace(",", "")), int(most.replace(",", ""))) for name, size, most in found}


def test_the_guide_states_what_rows_take() -> None:
    usual = Capacities()
    names = ("transports", "paths", "sources", "tracks", "subscriptions")
    assert stated() == {name.removesuffix("s"): (row_bytes(name), getattr(usual, name)) for name in names}

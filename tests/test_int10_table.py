"""INT 10h by its table: `int10_table` has the facts, `int10_run` plays them."""

from __future__ import annotations

import pytest
from int10_run import builtin, differences
from int10_table import Row, rows


@pytest.mark.parametrize("row", rows(), ids=lambda row: f"{row.function}-{row.about}")
def test_a_call_leaves_what_its_row_says(row: Row) -> None:
    with builtin() as bench:
        assert differences(bench, row.before, row.call, row.after) == []

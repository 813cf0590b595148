"""INT 10h by its table: `int10_table` has the facts, `int10_run` plays them.

The same rows on others: ``pytest -m long tests/test_int10_table.py`` (half a minute; Debian's
packages seabios, vgabios and dosbox).
"""

from __future__ import annotations

import shutil
import subprocess
import zlib
from pathlib import Path

import pytest
from int10_dosbox import play_all
from int10_run import builtin, differences, play, rom
from int10_table import AREA, NAMES, OTHERS, SOURCES, TITLES, Row, named, rows
from random_int10 import otherwise

ROWS = rows()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.function}-{row.about}")
def test_a_call_leaves_what_its_row_says(row: Row) -> None:
    with builtin() as bench:
        assert differences(bench, row.before, row.call, row.after) == []


def test_a_row_that_is_wrong_is_found() -> None:
    with builtin() as bench:
        wrong = differences(bench, "AX=0003", "AX=0F00", "AX=5004 40:49=03 BL=00")
    assert wrong == ["AX=5003", "BL=12", "BX=0012"]


def test_each_function_and_each_byte_of_the_data_area_has_a_row() -> None:
    assert {row.function for row in ROWS} == set(TITLES)
    assert set(AREA) == set(AREA) & set[int]().union(*map(named, ROWS))
    assert set("".join(row.source for row in ROWS)) <= set(SOURCES)


#: Functions with calls of their own, which begin what their rows are about.
CALLS = {
    "10h": "00 01 02 03 07 08 09 10 12 13 15 17 18 19 1A 1B",
    "11h": "00 01 02 03 04 10 11 12 14 20 21 22 23 24 30",
    "12h": "10 20 30 31 32 33 34 36",
    "13h": "00 01 02 03",
    "1Ah": "00 01",
    "1Ch": "00 01 02",
}


@pytest.mark.parametrize("function", CALLS)
def test_each_call_has_a_row(function: str) -> None:
    about = " ".join(row.about for row in ROWS if row.function == function)
    assert [call for call in CALLS[function].split() if f"{call}h" not in about] == []


@pytest.mark.long
@pytest.mark.parametrize("key", OTHERS)
def test_others_leave_what_the_table_says(key: str) -> None:
    """``pytest -m long tests/test_int10_table.py``: half a minute."""
    pytest.importorskip("unicorn")
    other = OTHERS[key]
    path = Path(other.path)
    if not path.exists():
        pytest.skip(f"{path} is not there: apt-get install {other.package}")
    if zlib.crc32(path.read_bytes()) != other.crc:
        pytest.skip(f"{path} is not {other.name}")
    with rom(other.path) as bench:
        memory = bytes(bench.bus.memory[:0x500])
        for row in ROWS:
            bench.bus.write(0, memory)
            play(bench, "AX=0003")
            bench.bus.write(0, memory)
            found = differences(bench, row.before, row.call, row.after)
            assert " ".join(found) == row.others.get(key, ""), f"{row.function} {row.about}"


@pytest.fixture
def dosbox() -> None:
    """Skip where it is not, or another."""
    path = shutil.which("dosbox")
    if path is None:
        pytest.skip("there is no DOSBox: apt-get install dosbox")
    version = subprocess.run([path, "-version"], capture_output=True, text=True).stdout
    if NAMES["dosbox"].replace("DOSBox", "DOSBox version") not in version:
        pytest.skip(f"{path} is not {NAMES['dosbox']}")


@pytest.mark.long
@pytest.mark.usefixtures("dosbox")
def test_dosbox_leaves_what_the_table_says() -> None:
    """``pytest -m long tests/test_int10_table.py``: seconds."""
    facts = [row for row in ROWS if not row.function.startswith("4F")]
    for row, found in zip(facts, play_all(facts), strict=True):
        assert " ".join(found) == row.others.get("dosbox", ""), f"{row.function} {row.about}"


@pytest.mark.long
@pytest.mark.usefixtures("dosbox")
@pytest.mark.parametrize("first", range(0, 1000, 200))
def test_random_calls_leave_what_they_leave_in_dosbox(first: int) -> None:
    """``pytest -m long tests/test_int10_table.py``: half a minute."""
    assert otherwise(first, 200) == []

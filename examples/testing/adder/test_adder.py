"""What a DOS program does: run by ``pytest``."""

import pytest


@pytest.mark.parametrize(
    ("numbers", "printed"), [("19 23", "42"), ("7", "7"), ("65000 1 2", "65003"), ("0 0", "0")]
)
def test_it_adds(vga, numbers, printed):
    machine = vga("adder.exe", numbers.split())
    assert machine.wait_for_exit() == 0
    assert machine.screen.text()[0].rstrip() == printed


@pytest.mark.parametrize("words", [[], ["x"], ["1", "2x"]])
def test_what_it_cannot_add(vga, words):
    machine = vga("adder.exe", words)
    assert machine.wait_for_exit() == 1
    assert machine.screen.text()[0].startswith("ADDER NUMBER ...")

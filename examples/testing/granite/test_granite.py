"""What Granite does: run by ``pytest``. Each test boots it anew, in milliseconds."""

import pytest


@pytest.fixture
def granite(vga):
    """A machine whose shell waits for a command."""
    machine = vga("granite32.elf", exit_port=0xF4)
    machine.wait_for_text("$ ")
    return machine


def test_it_says_what_it_is(granite):
    assert granite.screen.text()[0].rstrip() == "Granite, 32 bits"


def test_it_adds(granite):
    granite.keys.type("sum 19 23\n")
    granite.wait_for_text("^42 *$")


def test_all_of_it_goes_to_the_serial_port(granite):
    granite.keys.type("sum 2 2\n")
    granite.wait_for_serial("4\n$ ")
    assert granite.serial == "Granite, 32 bits\n$ sum 2 2\n4\n$ "


def test_it_scrolls(granite):
    granite.type("\n" * 30)
    assert granite.screen.text()[24].startswith("$ ")


def test_what_it_does_not_know(granite):
    granite.type("a long line that is typed as fast as it is taken\n")
    granite.wait_for_text("no command: a long line that is typed as fast as it is taken")


def test_it_exits_by_qemus_port(granite):
    granite.keys.type("exit 3\n")
    assert granite.wait_for_exit() == 2 * 3 + 1


def test_of_64_bits(vga):
    machine = vga("granite64.elf", exit_port=0xF4)
    machine.wait_for_text("Granite, 64 bits")
    machine.keys.type("exit 4\n")
    assert machine.wait_for_exit() == 2 * 4 + 1

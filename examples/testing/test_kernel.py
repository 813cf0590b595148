"""What Pebble shows: run by ``pytest``; README.md tells how to go on from here."""

import pytest


@pytest.fixture
def booted(vga):
    """A machine whose kernel waits for the first key."""
    machine = vga("kernel.img")
    assert machine.wait_for_text("Press a key", frames=60)
    return machine


@pytest.fixture
def press(booted):
    """Strike keys, and give the kernel some frames for each."""

    def press(*keys):
        for key in keys:
            booted.keys.press(key)
            booted.tick(5)

    return press


def test_the_log_scrolls(booted, screen):
    assert booted == screen


def test_the_log_goes_to_the_debug_port(booted):
    printed = booted.pc.debug.text.decode("ascii")
    assert printed.startswith("Pebble 0.1\ntask 01 ... ok\n")


@pytest.mark.parametrize("downs", [0, 1, 2, 3])
def test_down_moves_to_the_next_entry_and_around(booted, press, screen, downs):
    press("enter", *["down"] * downs)
    assert booted == screen


def test_up_undoes_down(booted, press):
    press("enter")
    before = booted.screen.rgb()
    press("down", "up")
    assert (booted.screen.rgb() == before).all()


def test_about(booted, press):
    press("enter", "enter")
    assert booted.screen.text()[1].rstrip() == "It was written to be tested."


def test_the_picture(booted, press, screen):
    press("enter", "down", "enter")
    booted.tick(10)
    assert booted == screen
    press("esc")
    assert booted.screen.is_text


def test_turned_off_nothing_goes_on(booted, press):
    press("enter", "up", "enter")
    assert booted.screen.text()[0].startswith("You may turn it off now.")
    assert booted.ended

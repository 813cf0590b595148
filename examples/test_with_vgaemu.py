"""Test what a program shows
=========================

Run it on a screen that is only memory, and read the text back.

Run it with ``pytest examples/test_with_vgaemu.py``.
"""

import vgaemu


def progress_bar(guest, width="10"):
    """The program under test: a bar that grows by a block a frame."""
    width = int(width)
    for done in range(width + 1):
        guest.text.write_at(0, 0, "[" + "█" * done + "·" * (width - done) + "]")
        guest.text.write_at(width + 3, 0, f"{100 * done // width:3}%")
        yield
    guest.text.write_at(0, 1, "done")


def test_bar_grows():
    with vgaemu.Machine(progress_bar) as machine:
        machine.tick(4)
        assert machine.screen.text()[0].startswith("[███·······]  30%")


def test_bar_ends():
    with vgaemu.Machine(progress_bar, ["4"]) as machine:
        assert machine.wait_for_text("^done")
        assert machine.screen.text()[0].startswith("[████] 100%")


def test_bar_redraws_little():
    with vgaemu.Machine(progress_bar) as machine:
        machine.tick(4)
        report = machine.run_frame()
        assert report.pixels <= 3 * 9 * 16  # a block, and two digits

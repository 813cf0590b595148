"""A display of one's own
======================

Anything with `resize`, `update` and `close` is a display. This one prints what changed.
"""

import vgaemu


def hi(guest):
    guest.text.cursor(False)
    yield
    for character in "Hi!":
        guest.text.print(character, end="")
        yield


class Paper:
    """Prints each changed rectangle, a character a pixel."""

    def resize(self, screen):
        """Take the size of the picture."""
        print(f"{screen.mode_name}: {screen.width}x{screen.height} pixels")

    def update(self, frame, rects, report):
        """Print what changed, but for the first frame, in which everything did."""
        for rect in rects:
            print(f"frame {report.frame_number}: {rect.width}x{rect.height} at {rect.x},{rect.y}")
            if report.frame_number > 0:
                rows = frame[rect.y : rect.y + rect.height, rect.x : rect.x + rect.width]
                for row in rows:
                    print("   ", "".join(".#"[bool(pixel)] for pixel in row))

    def close(self):
        """Put the pen down."""
        print("done")


with vgaemu.Machine(hi, display=Paper()) as machine:
    machine.run(speed=0)

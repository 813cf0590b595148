"""Submissions to grade, out of ../adder.exe: ``make_submissions.py FOLDER [NUMBER]``.

Most of them are right. The others make a mistake that students make.
"""

import sys
from pathlib import Path

RIGHT = (Path(__file__).parents[1] / "adder.exe").read_bytes()
#: What of the program is something else.
MISTAKES = {
    "right": (b"", b""),
    "subtracts": (b"\x01\xfb", b"\x29\xfb"),  # ADD BX, DI
    "octal": (b"\xba\x0a\x00", b"\xba\x08\x00"),  # MOV DX, 10
    "hangs": (b"\x31\xdb\x31\xc9", b"\xeb\xfe\x31\xc9"),  # XOR BX, BX
    "fails": (b"\xb8\x00\x4c", b"\xb8\x02\x4c"),  # MOV AX, 4C00h
    "never fails": (b"\xb8\x01\x4c", b"\xb8\x00\x4c"),  # MOV AX, 4C01h
    "faults": (b"\x31\xdb\x31\xc9", b"\x0f\xff\x31\xc9"),
    "right again": (b"", b""),
}


def main(words):
    """Write them; the exit status."""
    match words:
        case [name]:
            folder, number = Path(name), 200
        case [name, count] if count.isdecimal():
            folder, number = Path(name), int(count)
        case _:
            usage = "make_submissions.py FOLDER [NUMBER]: writes so many submissions, or 200"
            print(usage, file=sys.stderr)
            return 2
    folder.mkdir(parents=True, exist_ok=True)
    wrong = list(MISTAKES.values())
    for student in range(number):
        old, new = wrong[student % len(wrong)] if student % 3 == 0 else (b"", b"")
        assert RIGHT.count(old) == 1 or not old
        program = RIGHT.replace(old, new) if old else RIGHT
        (folder / f"student{student:03}.exe").write_bytes(program)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

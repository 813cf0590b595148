"""The task: ADDER prints the sum of its arguments; without any, how it is used, and fails."""

import pytest

#: Guest seconds for each; a program that hangs takes as much of the host's time.
TIMEOUT = 1


@pytest.mark.points(3)
@pytest.mark.parametrize("numbers", [(19, 23), (1, 2, 3, 4), (1000, 999)], ids=str)
def test_it_adds(vga, submission, numbers):
    machine = vga(submission, [str(number) for number in numbers])
    machine.wait_for_exit(TIMEOUT)
    assert machine.screen.text()[0].rstrip() == str(sum(numbers))


@pytest.mark.points(1)
def test_it_ends_well(vga, submission):
    assert vga(submission, ["1"]).wait_for_exit(TIMEOUT) == 0


@pytest.mark.points(2)
def test_it_says_how_it_is_used(vga, submission):
    machine = vga(submission)
    assert machine.wait_for_exit(TIMEOUT) == 1
    machine.wait_for_text("ADDER NUMBER")

"""Text that is waited for: as it stands, or as a regular expression."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeAlias

#: As it stands or as an expression; compiled: as an expression alone.
Sought: TypeAlias = str | re.Pattern[str]


def finder(sought: Sought) -> Callable[[str, int], int]:
    r"""What finds it in a line from a place on: where it ends there, or -1.

    A text is there if it stands there; else if it matches as a regular expression. So a prompt need
    not be escaped.

    >>> finder("$ ")("user@host:~$ ls", 0), finder(r"task \d+")("the task 12", 0)
    (13, 11)
    >>> finder("C:\\>")("C:\\>", 0), finder("login(")("nothing", 0)
    (4, -1)
    """
    expression: re.Pattern[str] | None = None
    if isinstance(sought, re.Pattern):
        expression, literal = sought, None
    else:
        literal = sought
        try:
            expression = re.compile(sought)
        except re.error:  # no expression
            expression = None

    def find(line: str, start: int) -> int:
        if literal is not None and (at := line.find(literal, start)) >= 0:
            return at + len(literal)
        match = None if expression is None else expression.search(line, start)
        return -1 if match is None else match.end()

    return find

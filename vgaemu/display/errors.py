"""Errors of displays; apart from `window`, so that naming them imports no pygame."""


class DisplayError(Exception):
    """A display cannot be opened; the message is one line that says what to do."""

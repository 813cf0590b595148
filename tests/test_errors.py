"""The tree of errors: as its docstring tells it, and all of it exported."""

import pkgutil
import re
from contextlib import suppress
from importlib import import_module

import vgaemu
from vgaemu import errors


def told_tree():
    """(class, base) of each line of the docstring's tree, by its depth."""
    above = []
    for line in errors.__doc__.splitlines():
        row = re.match(r"    ([ │]*(?:[├└]─ )?)(\w+(?:Error|Unavailable|OfMemory|Fault))\b", line)
        if row is None:
            continue
        depth = len(row[1]) // 4
        above[depth:] = [row[2]]
        yield row[2], above[depth - 1] if depth else None


def subclasses(base):
    for child in base.__subclasses__():
        yield child
        yield from subclasses(child)


def test_the_docstring_tells_the_whole_tree_and_all_of_it_is_exported():
    for module in pkgutil.walk_packages(vgaemu.__path__, "vgaemu."):
        if module.name != "vgaemu.__main__":
            with suppress(ImportError):  # what needs an extra, or another system
                import_module(module.name)
    family = [child for child in subclasses(errors.VgaemuError) if child.__module__[:6] == "vgaemu"]
    tree = dict(told_tree())
    assert tree.pop("VgaemuError") is None
    assert tree == {child.__name__: child.__base__.__name__ for child in family}
    assert {*tree, "VgaemuError", "GuestStopped"} <= set(vgaemu.__all__)


def test_every_name_is_there_and_told():
    assert set(dir(vgaemu)) == set(vgaemu.__all__)
    for name in vgaemu.__all__:
        assert getattr(vgaemu, name) is not None
    assert all(getattr(vgaemu, name).__doc__ for name in vgaemu.__all__)

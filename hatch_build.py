"""What of the package is made while it is built.

The description that it shows is the README without links that only a checkout has. Completions for
three shells are made by shtab from the command's own parser; a source distribution has them inside,
so that it builds without shtab.
"""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
from pathlib import Path

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.metadata.plugin.interface import MetadataHookInterface

#: Markdown's ``[text](address)`` of a place in this repository; pictures, too.
_HERE = r"\[([^\]]*)\]\((?!\w+:)[^)]*\)"
#: Where shells look for completions, below a prefix such as /usr or ~/.local.
_PLACES = {
    "bash": "share/bash-completion/completions/vgaemu",
    "zsh": "share/zsh/site-functions/_vgaemu",
    "fish": "share/fish/vendor_completions.d/vgaemu.fish",
}
#: Where a source distribution has them.
_MADE = "completions"


class Description(MetadataHookInterface):
    """Puts it into the metadata."""

    def update(self, metadata: dict) -> None:
        """Leave pictures out, and of links their words."""
        text = Path(self.root, "README.md").read_text("utf-8")
        text = re.sub(rf"^!{_HERE}\n\n", "", text, flags=re.MULTILINE)
        text = re.sub(_HERE, r"\1", text)
        metadata["readme"] = {"content-type": "text/markdown", "text": text}


class Completions(BuildHookInterface):
    """Puts them into wheels, and into source distributions for the wheels that come of those."""

    def dependencies(self) -> list[str]:
        """What makes them, where they are not made."""
        return [] if Path(self.root, _MADE).is_dir() else ["shtab>=1.13"]

    def initialize(self, version: str, build_data: dict) -> None:
        """Make them; an editable installation, whose options change, has none."""
        if version == "editable":
            return
        self._scratch = Path(tempfile.mkdtemp())
        made = Path(self.root, _MADE)
        if not made.is_dir():
            made = self._scratch
            for shell, text in completions(self.root).items():
                (made / shell).write_text(text, "utf-8")
        for shell, place in _PLACES.items():
            if self.target_name == "wheel":
                build_data["shared_data"][str(made / shell)] = place
            else:
                build_data["force_include"][str(made / shell)] = f"{_MADE}/{shell}"

    def finalize(self, version: str, build_data: dict, artifact_path: str) -> None:
        """They are in the archive now."""
        if version != "editable":
            shutil.rmtree(self._scratch)


def completions(root: str) -> dict[str, str]:
    """A script for each shell, of the sources at `root`; none of their dependencies is there."""
    sys.path.insert(0, root)
    sys.dont_write_bytecode = True  # the sources stay as they are
    import shtab

    from vgaemu.cli.config import Configuration, options_of
    from vgaemu.cli.options import file_path
    from vgaemu.cli.parser import make_parser

    workloads = Path(root, "vgaemu", "guest", "workloads").glob("[!_]*.py")
    names = sorted(path.stem for path in workloads)
    parser, parsers = make_parser(Configuration())
    for one in parsers.values():
        for action in options_of(one).values():
            if action.type is file_path or "PATH" in str(action.metavar):
                action.complete = shtab.DIRECTORY if action.metavar == "DIR" else shtab.FILE
        for action in one._actions:
            if action.option_strings:
                continue
            if action.dest == "workload":
                action.complete = _words_and_files(names)
            elif action.choices is None:
                action.complete = shtab.FILE
    made = {shell: shtab.complete(parser, shell) for shell in _PLACES}
    # Folders get a slash and no blank.
    made["bash"] = made["bash"].replace("complete -o bashdefault", "complete -o filenames", 1)
    return made


def _words_and_files(words: list[str]) -> dict[str, object]:
    """What completes to one of some words, or to a file, in shtab's terms."""
    names = " ".join(words)
    return {
        "bash": "_vgaemu_workload",
        "zsh": "_vgaemu_workload",
        "fish": f"(printf '%s\\n' {names}; __fish_complete_path (commandline -ct))",
        "preamble": {
            "bash": f'_vgaemu_workload() {{ compgen -W "{names}" -- "$1"; compgen -f -- "$1"; }}',
            "zsh": f"_vgaemu_workload() {{ compadd -- {names}; _files }}",
        },
    }

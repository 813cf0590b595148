"""What the build makes: the description, and completions that shells are asked for.

Archives themselves `.ci/run` builds and checks.
"""

from __future__ import annotations

import json
import os
import re
import runpy
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
#: A command line that is not whole, and what it may become.
COMPLETIONS = {
    "vgaemu re": {"receive", "replay"},
    "vgaemu --pr": {"--print-conf"},
    "vgaemu run --sc": {"--scale", "--screenshot"},
    "vgaemu run --record-t": {"--record-tape"},
    "vgaemu run --cpu ": {"unicorn", "kvm"},
    "vgaemu run plas": {"plasma"},
    "vgaemu run --headless plasma --up": {"--upscaled"},
    "vgaemu bench st": {"start", "store"},
    "vgaemu run --font a_fo": {"a_font.psf"},
    "vgaemu run a_fo": {"a_font.psf"},
    "vgaemu replay a_ta": {"a_tape.gz"},
}
#: Makes them as a build does, where no dependency is installed.
MAKE = """
import json, runpy, sys
sys.modules.update(numpy=None, PIL=None, pygame=None)
completions = runpy.run_path(f"{sys.argv[1]}/hatch_build.py")["completions"]
print(json.dumps(completions(sys.argv[1])))
"""


@pytest.fixture(scope="module")
def build() -> dict[str, object]:
    """What the build runs."""
    pytest.importorskip("hatchling", reason="pip install hatchling")
    return runpy.run_path(str(ROOT / "hatch_build.py"))


@pytest.fixture(scope="module")
def scripts(build: dict[str, object], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a script for each shell, and files to be completed."""
    pytest.importorskip("shtab", reason="pip install shtab")
    folder = tmp_path_factory.mktemp("completions")
    made = subprocess.run(
        [sys.executable, "-c", MAKE, str(ROOT)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    for shell, text in json.loads(made.stdout).items():
        (folder / shell).write_text(text, "utf-8")
    for name in ("a_font.psf", "a_tape.gz"):
        (folder / name).touch()
    return folder


def test_the_packages_description_leads_to_no_file_of_a_checkout(build: dict) -> None:
    metadata: dict[str, dict[str, str]] = {}
    build["Description"](str(ROOT), {}).update(metadata)
    text = metadata["readme"]["text"]
    assert [link for link in re.findall(r"\]\(([^)]*)\)", text) if "://" not in link] == []
    assert "CONTRIBUTING.md" in text


def need(shell: str) -> str:
    found = shutil.which(shell)
    if found is None:
        pytest.skip(f"apt-get install {shell}")
    return found


BASH = """
source "$1"; shift
function=$(complete -p vgaemu) && function=${function##*-F } && function=${function%% *}
for COMP_LINE in "$@"; do
    read -ra COMP_WORDS <<<"$COMP_LINE"
    [ "${COMP_LINE% }" = "$COMP_LINE" ] || COMP_WORDS+=("")
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1)) COMP_POINT=${#COMP_LINE} COMPREPLY=()
    "$function" vgaemu "${COMP_WORDS[-1]}" "${COMP_WORDS[-2]}"
    echo "${COMPREPLY[@]}"
done
"""
FISH = """
source $argv[1]
for line in $argv[2..]
    echo (complete -C $line | string replace -r '\\t.*' '')
end
"""


@pytest.mark.parametrize(
    "command", [("bash", "--norc", "-c", BASH, "bash"), ("fish", "--no-config", "-c", FISH)]
)
def test_a_shell_completes(scripts: Path, command: tuple[str, ...]) -> None:
    shell, *options = command
    done = subprocess.run(
        [need(shell), *options, str(scripts / shell), *COMPLETIONS],
        cwd=scripts, capture_output=True, text=True, timeout=60, check=True,
        env={**os.environ, "HOME": str(scripts)},
    )  # fmt: skip
    assert done.stderr == ""
    found = [set(line.split()) for line in done.stdout.splitlines()]
    assert dict(zip(COMPLETIONS, found, strict=True)) == COMPLETIONS


def test_zsh_completes(scripts: Path) -> None:
    """On a terminal, as there is no other way: what can only be one thing is typed out by Tab."""
    pty = pytest.importorskip("pty")
    zsh = need("zsh")
    single = {line: words for line, words in COMPLETIONS.items() if len(words) == 1}
    (scripts / "site").mkdir()
    shutil.copy(scripts / "zsh", scripts / "site" / "_vgaemu")
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(scripts)
        os.execve(zsh, ["zsh", "-f", "-i"], {"TERM": "dumb", "HOME": str(scripts), "PS1": "> "})
    try:
        type_in = [
            "unset zle_bracketed_paste; bindkey -e; fpath=($PWD/site $fpath)",
            "autoload -Uz compinit && compinit -u -D",
            # Behind what Tab has made of it the line is printed, and not run.
            *(f"{line}\t\x01print -r -- '<'\x05 '>'" for line in single),
            "exit",
        ]
        shown = b""
        for line in type_in:
            os.write(terminal, line.encode() + b"\r")
            shown += read_until_quiet(terminal)
    finally:
        os.close(terminal)
        os.waitpid(child, 0)
    lines = re.findall(r"^<(.+?) *>$", shown.decode().replace("\r", "\n"), re.MULTILINE)
    assert lines == [f"{line.rpartition(' ')[0]} {word}" for line, (word,) in single.items()]


#: What zsh says of pasting behind its prompt.
PASTES = b"\x1b[?2004h"


def read_until_quiet(terminal: int) -> bytes:
    """What comes, until a prompt stands at the end for a moment."""
    shown, until = b"", time.monotonic() + 10
    while time.monotonic() < until:
        if select.select([terminal], [], [], 0.1)[0]:
            try:
                shown += os.read(terminal, 1 << 16)
            except OSError:  # it has ended
                break
        elif shown.removesuffix(PASTES).endswith(b"> "):
            break
    return shown

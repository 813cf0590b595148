"""The `vgaemu` command. Every option is a keyword of the function it calls.

Exit status: 0 done or window closed, 1 the guest or a check failed, 2 wrong usage or input, 128 + N
stopped by signal N without a window (130: Ctrl-C, 143: SIGTERM); with `run --exit-code` that of the
guest, or 124 if it has not ended. Errors are one line on stderr that names the file or option and
says what to do.
"""

from __future__ import annotations

import os
import sys

# Nothing else here: `vgaemu --version` imports no more than this.
from vgaemu import __version__
from vgaemu.cli.say import (
    TYPE_CHECKING,
    GuestFailedError,
    OutputError,
    UsageError,
    complain,
    flushed,
    forget_output,
    hold_standard_streams,
    say,
)
from vgaemu.errors import (
    DisplayError,
    FontError,
    KeysError,
    MemslotError,
    OutOfMemory,
    RecordError,
    TerminalError,
    VgaemuError,
    ViewError,
    file_error,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

#: The option that a family of errors is about; the others name a file or an option themselves.
OPTIONS = {
    TerminalError: "--display terminal: ",
    DisplayError: "--display window: ",
    FontError: "--font ",
    KeysError: "--keys: ",
    OutOfMemory: "",
    RecordError: "--record ",
    MemslotError: "--dirty-log: ",
    ViewError: "--view ",
}


#: What is said where there is no memory to make a line.
NO_MEMORY = b"vgaemu: no memory to be had\n"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status.

    Without `argv` it is the process's own, which ends with it: signals cannot stop it any more.
    """
    arguments = sys.argv[1:] if argv is None else list(argv)
    if argv is None:
        hold_standard_streams()
    try:
        return _command(arguments, own_process=argv is None)
    except BrokenPipeError:
        # Whoever read the output, such as `head`, has seen enough.
        forget_output()
        return 0
    except UsageError as error:
        for line in error.args:
            complain(line)
        return 2
    except VgaemuError as error:
        option = next((OPTIONS[family] for family in OPTIONS if isinstance(error, family)), "")
        complain(f"{option}{error}")
        return 2
    except OutputError as error:
        complain(f"standard output: {error}")
        return 1
    except GuestFailedError:
        return 1
    except KeyboardInterrupt as stop:
        from vgaemu.signals import exit_status

        return exit_status(stop)
    except (OSError, MemoryError, ImportError) as error:
        try:
            complain(_what_gave_out(error))
        except MemoryError:  # not even for that
            os.write(2, NO_MEMORY)
        return 2


def _what_gave_out(error: OSError | MemoryError | ImportError) -> str:
    if isinstance(error, OSError):
        return file_error(error.filename or "the system refuses", error)
    if isinstance(error, MemoryError):
        return f"no memory to be had: {str(error) or 'close something, or raise its limit'}"
    why = str(error).strip().splitlines()[-1:]
    return f"{error.name or 'a library'} cannot be loaded: {''.join(why)}"


def _command(arguments: list[str], *, own_process: bool) -> int:
    if arguments == ["--version"]:
        say(f"vgaemu {__version__}")
        return flushed(0)
    from vgaemu.cli.parser import parse
    from vgaemu.signals import stops_raise

    options = parse(arguments)
    with stops_raise(for_good=own_process):
        return flushed(options.command(options))

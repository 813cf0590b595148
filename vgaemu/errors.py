"""Every error that leaves vgaemu, in one tree, so that one `except` catches all, or just one.

.. code-block:: text

    VgaemuError
     ├─ MemslotError          a memslot, a dirty log, their sizes and names
     │   ├─ KeeperUnavailable a dirty log that this system has not
     │   └─ OutOfMemory       memory that this system does not give
     ├─ KvmError              /dev/kvm
     ├─ ModeError             numbers and names of modes
     ├─ FontError             font files and arrays
     ├─ CanvasError           drawing in a mode that takes no drawing
     ├─ TextError             writing in a mode that shows no characters
     ├─ ScreenError           questions to the screen, pictures of it
     ├─ DisplayError          windows, and objects that are to be displays
     │   └─ TerminalError    terminals that are to be displays
     ├─ KeysError             names of keys, lists of them
     ├─ WorkloadError         what a machine is to run
     │   └─ ImageError        disk images, programs, ROMs and firmware
     ├─ CpuError              a CPU that cannot be had
     ├─ AttachError           an engine that cannot have a VGA
     ├─ RamError              addresses of a guest's RAM, and what is written there
     ├─ StateError            saved states
     │   └─ SnapshotError     snapshots, and ways back to them
     ├─ TapeError             tapes
     ├─ RecordError           recordings of the picture
     ├─ MigrateError          live migration
     ├─ ViewError             who looks from elsewhere
     ├─ BenchError            benchmarks
     ├─ GymError              environments for agents
     ├─ ExpectationError      what a test waited for, and did not come
     └─ GuestError            what a guest did itself
         └─ GuestFault        machine code that cannot go on
             └─ ResetFault    it resets the machine, where nothing begins anew

Each message is one line that names the file, option or value and says what to do. What wrong values
raise is a ValueError, too. `GuestStopped` stands outside: it is no error but how a guest ends.
"""


class VgaemuError(Exception):
    """Whatever vgaemu refuses."""


class MemslotError(VgaemuError, ValueError):
    """A memslot was asked for something it cannot do; the message says what and what it takes."""


class KeeperUnavailable(MemslotError):
    """A keeper cannot work here; the message is one line that says why."""


class OutOfMemory(MemslotError):
    """The system gives no more memory; the message says how much was asked for."""


class KvmError(VgaemuError):
    """KVM is not available, or not any more; the message is one line that says why."""


class ModeError(VgaemuError, ValueError):
    """There is no such mode; the message says which there are."""


class FontError(VgaemuError, ValueError):
    """A font file is not what it should be; the message is one line: the file and what is wrong."""


class CanvasError(VgaemuError, ValueError):
    """Nothing can be drawn in the mode that is set; the message names it."""


class TextError(VgaemuError, ValueError):
    """Nothing can be written in the mode that is set; the message says what to do instead."""


class ScreenError(VgaemuError, ValueError):
    """The screen cannot answer that now; the message says why."""


class DisplayError(VgaemuError, ValueError):
    """No display, or one that cannot be opened; the message is one line that says what to do."""


class TerminalError(DisplayError):
    """No terminal, or one that can show no picture; the message is one line."""


class KeysError(VgaemuError, ValueError):
    """No such key, or a malformed list of keys; the message names it."""


class WorkloadError(VgaemuError):
    """A workload cannot be found or started; the message is one line that says what to do."""


class ImageError(WorkloadError):
    """A file cannot be run; the message is one line that names it and says what to do."""


class CpuError(VgaemuError):
    """A CPU cannot be had; the message is one line that says why and what to do."""


class AttachError(VgaemuError, ValueError):
    """An engine cannot have a VGA; the message says why."""


class RamError(VgaemuError, ValueError):
    """A guest has no RAM at an address, or none that takes a value; the message names it."""


class StateError(VgaemuError, ValueError):
    """A state cannot be saved or loaded; the message is one line: the file and what to do."""


class SnapshotError(StateError):
    """A snapshot cannot be taken or restored here; the message says why. Nothing has changed."""


class TapeError(VgaemuError, ValueError):
    """A tape cannot be read or written; the message is one line: file, line, and what is wrong."""


class RecordError(VgaemuError, ValueError):
    """A recording cannot be made, or is not whole; the message is one line: the file and why."""


class MigrateError(VgaemuError):
    """A machine cannot be sent or received; the message is one line: the peer and why."""


class ViewError(VgaemuError):
    """Nobody can look from elsewhere, or a viewer is sent away; the message is one line."""


class BenchError(VgaemuError, ValueError):
    """A benchmark was asked for what it cannot do; the message is one line."""


class GymError(VgaemuError, ValueError):
    """An environment cannot be made so, or has no such rule; the message names the argument."""


class ExpectationError(VgaemuError, AssertionError):
    """What a test waited for did not come; the message is one line that says what came instead."""


class GuestError(VgaemuError):
    """A guest did what ends its run."""


class GuestFault(GuestError):
    """The guest did what ends a run: an unknown opcode, a fetch from nowhere, a triple fault.

    The message is one line; `report` adds registers and code.
    """

    #: Registers, code bytes, last instructions: lines.
    report: str = ""
    #: The registers, if the CPU's are no longer what they were when it happened.
    registers: dict[str, int] | None = None


class ResetFault(GuestFault):
    """The guest pulled the CPU's reset line, where nothing is to begin anew."""


class GuestStopped(BaseException):
    """Raised in a guest's next call when its machine closes; let it pass."""


def file_error(path: object, error: OSError, advice: str = "") -> str:
    """``path: reason; what to do``: how every message tells of a file that could not be used.

    >>> file_error("a.img", FileNotFoundError(2, "No such file or directory"), "name an image")
    'a.img: No such file or directory; name an image'
    """
    reason = f"{path}: {error.strerror or error}"
    return f"{reason}; {advice}" if advice else reason

"""Bad peers and cut connections: one line on both sides, the source goes on, nothing hangs."""

from __future__ import annotations

import random
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import numpy as np
import pytest
from test_migrate import Memory, outcome, random_slot, receiving

from vgaemu.addresses import name_of_address
from vgaemu.machine import Machine
from vgaemu.memslot import Memslot
from vgaemu.memslot.bitmap import PAGE_SIZE
from vgaemu.migrate import MigrateError, Receiver, connect, send, send_machine, stream
from vgaemu.migrate import receiver as receiver_module
from vgaemu.migrate.bodies import pack_arrays
from vgaemu.migrate.live import device_state
from vgaemu.migrate.receiver import Received
from vgaemu.migrate.sender import Limits, Report
from vgaemu.migrate.stream import (
    HEADER,
    MAGIC,
    MAX_PAGES,
    MAX_ROUNDS,
    MAX_STATE_BYTES,
    PREAMBLE,
    VERSION,
    Kind,
)

#: Some run each day, all of them by -m 'long or turns'.
pytestmark = pytest.mark.turns(2)

NPAGES = 8


def one_line(error: Any) -> str:
    assert isinstance(error, MigrateError), repr(error)
    text = str(error)
    assert text
    assert text.isprintable()
    return text


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits for a peer that will never speak does so briefly."""
    monkeypatch.setattr(stream, "PEER_SECONDS", 2.0)
    monkeypatch.setattr(stream, "LINGER_SECONDS", 0.2)


# --- a connection that is cut ---------------------------------------------------------------------


class CuttingProxy:
    """Passes a connection on, until so many bytes have gone one way; then it cuts both."""

    def __init__(self, to: str, up: int | None = None, down: int | None = None) -> None:
        """Listen.

        Args:
            to: The receiver.
            up: Bytes to let pass to the receiver; None: all.
            down: Bytes to let pass to the source.
        """
        self._to, self._limits = to, (up, down)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listening.getsockname()[1]}"
        self.passed = [bytearray(), bytearray()]
        self._threads = [threading.Thread(target=self._run)]
        self._threads[0].start()

    def _run(self) -> None:
        source, _ = self._listening.accept()
        host, port = stream.parse_address(self._to)
        with source, socket.create_connection((host, port)) as receiver:
            ways = [(source, receiver, 0), (receiver, source, 1)]
            threads = [threading.Thread(target=self._pass, args=way) for way in ways]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

    def _pass(self, here: socket.socket, there: socket.socket, way: int) -> None:
        passed, limit = self.passed[way], self._limits[way]
        with suppress(OSError):
            while limit is None or len(passed) < limit:
                data = here.recv(1 << 16 if limit is None else limit - len(passed))
                if not data:
                    break
                there.sendall(data)
                passed += data
        for end in (here, there):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._threads[0].join(20)
        self._listening.close()


def through_proxy(up: int | None = None, down: int | None = None) -> tuple[Any, Any, Any, Memory]:
    """A migration whose connection is cut: what came of both sides, the bytes, the source."""
    # Nobody comes whose greeting does not pass.
    seconds = 0.5 if down == 0 or (up is not None and up < PREAMBLE.size) else 10
    slot = random_slot(NPAGES)
    slot.array[: 2 * PAGE_SIZE] = 0
    source = Memory(slot)
    source.on_stop = lambda: slot.write(PAGE_SIZE, b"at the end")
    with Receiver("127.0.0.1:0") as receiver, ThreadPoolExecutor() as pool:
        received = pool.submit(receiver.receive, Memory(Memslot(NPAGES)), seconds)
        proxy = CuttingProxy(receiver.address, up, down)
        channel = connect(proxy.address)
        try:
            sent: Any = send(channel, source)
        except MigrateError as error:
            sent = error
        channel.close()
        result = sent, outcome(received), proxy.passed, source
        proxy.close()
        return result


def ends_of_messages(data: bytearray) -> list[int]:
    ends = [PREAMBLE.size]
    while ends[-1] < len(data):
        length = HEADER.unpack_from(data, ends[-1])[4]
        ends.append(ends[-1] + HEADER.size + length)
    assert ends[-1] == len(data)
    return ends


def test_the_source_runs_on_wherever_the_connection_is_cut() -> None:
    sent, received, passed, _ = through_proxy()
    assert isinstance(sent, Report)
    assert isinstance(received, Received)
    ends = ends_of_messages(passed[0])
    assert len(ends) > 8
    cuts = {0, 1, *ends, *(end + 5 for end in ends), *(end + HEADER.size + 3 for end in ends)}
    for cut in sorted(cut for cut in cuts if cut < len(passed[0])):
        sent, received, _, _ = through_proxy(up=cut)
        assert "127.0.0.1" in one_line(sent), cut
        assert "127.0.0.1" in one_line(received), cut


def test_and_the_other_way() -> None:
    _, _, passed, _ = through_proxy()
    ends = ends_of_messages(passed[1])
    for cut in sorted({0, 1, *ends, *(end + 5 for end in ends)} - {len(passed[1])}):
        if cut > len(passed[1]):
            continue
        sent, received, _, _ = through_proxy(down=cut)
        one_line(sent)
        # Only if the last word is lost, RUNNING, there are two: rather that than none.
        if cut < ends[-2]:
            one_line(received)


def test_a_machine_runs_on_when_the_connection_is_cut() -> None:
    with Machine("sprites") as source, Machine() as target:
        source.tick(3)
        with receiving(target) as (address, received):
            proxy = CuttingProxy(address, up=30_000)
            with pytest.raises(MigrateError, match="connection"):
                send_machine(source, proxy.address)
            one_line(outcome(received))
            proxy.close()
        assert source.tick(5)
        np.testing.assert_array_equal(source.screen.frame, source.screen.full_redraw())
        # What has been overwritten is at least shown as it is.
        assert target.tick()
        np.testing.assert_array_equal(target.screen.frame, target.screen.full_redraw())


# --- peers of the receiver ------------------------------------------------------------------------


def message(
    kind: int, body: bytes = b"", *, region: int = 0, count: int = 0, length: int | None = None
) -> bytes:
    return HEADER.pack(kind, region, b"\0\0", count, len(body) if length is None else length) + body


def runs(*pairs: tuple[int, int]) -> bytes:
    return b"".join(struct.pack("<2I", *pair) for pair in pairs)


def region(name: bytes, npages: int) -> bytes:
    return bytes([len(name)]) + name + struct.pack("<Q", npages)


HELLO = PREAMBLE.pack(MAGIC, VERSION)
GUEST = message(Kind.GUEST, pack_arrays({"pc.name": np.zeros(3, "u1")}), count=1)
REGIONS = message(Kind.REGIONS, region(b"ram", NPAGES), count=1)
PAGE = bytes(PAGE_SIZE)
STATE = message(Kind.STATE, pack_arrays({"number": np.asarray(7, "u4")}), count=1)

BAD_SOURCES = {
    # what is sent: what the receiver says
    "a guest without a name": (HELLO + message(Kind.GUEST), "damaged name of a guest"),
    "a damaged guest": (HELLO + message(Kind.GUEST, b"junk", count=1), "damaged name of a guest"),
    "a long name": (HELLO + message(Kind.GUEST, length=1 << 20), "where none is so long"),
    "a guest twice": (HELLO + GUEST + GUEST, "something else"),
    "a newer version": (PREAMBLE.pack(MAGIC, VERSION + 1), f"version {VERSION + 1} of the migr"),
    "an older version": (PREAMBLE.pack(MAGIC, 0), "version 0 of the migration stream"),
    "no regions": (HELLO + message(Kind.REGIONS), "lacks memory named ram"),
    "other VRAM": (
        HELLO + message(Kind.REGIONS, region(b"ram", 4096), count=1),
        "has 16 MiB of ram, the receiver 0.03125 MiB",
    ),
    "endless VRAM": (
        HELLO + message(Kind.REGIONS, region(b"ram", 2**64 - 1), count=1),
        "the receiver 0.03125 MiB",
    ),
    "another region": (
        HELLO + message(Kind.REGIONS, region(b"ram", 8) + region(b"rom", 8), count=2),
        "has memory named rom, the receiver lacks it",
    ),
    "a region twice": (
        HELLO + message(Kind.REGIONS, region(b"ram", 8) * 2, count=2),
        "damaged list of regions",
    ),
    "a region with a name that is none": (
        HELLO + message(Kind.REGIONS, region(b"\x1b[2J", 8), count=1),
        "damaged list of regions",
    ),
    "fewer regions than said": (
        HELLO + message(Kind.REGIONS, region(b"ram", 8), count=4_000_000_000),
        "damaged list of regions",
    ),
    "a list of regions that ends early": (
        HELLO + message(Kind.REGIONS, region(b"ram", 8)[:-3], count=1),
        "damaged list of regions",
    ),
    "too long a list": (HELLO + message(Kind.REGIONS, length=1 << 40), "a message of 10995116277"),
    "a message that is none": (HELLO + b"\xff" * 64, "something else"),
    "reserved bytes": (
        HELLO + REGIONS[:2] + b"\1\0" + REGIONS[4:],
        "something else",
    ),
    "a message out of turn": (HELLO + REGIONS + message(Kind.COMMIT), "something else"),
    "a body where none is": (HELLO + REGIONS + message(Kind.ROUND, b"x"), "message of 1 bytes"),
    "no runs": (HELLO + REGIONS + message(Kind.PAGES), "a message of 0 runs"),
    "too many runs": (
        HELLO + REGIONS + message(Kind.ZEROS, runs((0, 1)) * 1024, count=MAX_PAGES + 1),
        f"a message of {MAX_PAGES + 1} runs",
    ),
    "more runs than there are": (
        HELLO + REGIONS + message(Kind.ZEROS, runs((0, 1)), count=2),
        "a message of 2 runs",
    ),
    "pages of no region": (
        HELLO + REGIONS + message(Kind.PAGES, runs((0, 1)) + PAGE, region=1, count=1),
        "region 1, of 1",
    ),
    "pages outside": (
        HELLO + REGIONS + message(Kind.PAGES, runs((7, 2)) + 2 * PAGE, count=1),
        "pages outside of the 8",
    ),
    "pages far outside": (
        HELLO + REGIONS + message(Kind.PAGES, runs((2**32 - 1, 1)) + PAGE, count=1),
        "pages outside of the 8",
    ),
    "zeros outside": (
        HELLO + REGIONS + message(Kind.ZEROS, runs((0, 2**32 - 1)), count=1),
        "pages outside of the 8",
    ),
    "zeros twice": (
        HELLO + REGIONS + message(Kind.ZEROS, runs((0, 8), (0, 8)), count=2),
        "out of order",
    ),
    "an empty run": (
        HELLO + REGIONS + message(Kind.ZEROS, runs((3, 0)), count=1),
        "pages outside of the 8",
    ),
    "fewer bytes than pages": (
        HELLO + REGIONS + message(Kind.PAGES, runs((0, 2)) + PAGE, count=1),
        "length is not that of its pages",
    ),
    "more bytes than pages": (
        HELLO + REGIONS + message(Kind.PAGES, runs((0, 1)) + PAGE + b"x", count=1),
        "length is not that of its pages",
    ),
    "oversized pages": (
        HELLO + REGIONS + message(Kind.PAGES, count=1, length=1 << 60),
        "where none is so long",
    ),
    "an oversized state": (
        HELLO + REGIONS + message(Kind.STATE, count=1, length=MAX_STATE_BYTES + 1),
        "where none is so long",
    ),
    "a truncated page": (
        HELLO + REGIONS + message(Kind.PAGES, runs((0, 1)) + PAGE, count=1)[:-5],
        "cut the connection",
    ),
    "a damaged state": (HELLO + REGIONS + message(Kind.STATE, b"junk" * 9, count=3), "damaged"),
    "an array of 2^96 elements": (
        HELLO + REGIONS + message(Kind.STATE, b"\1xu1\3" + b"\xff" * 12, count=1),
        "damaged state",
    ),
    "a pickle": (
        HELLO + REGIONS + message(Kind.STATE, b"\1xO8\1" + struct.pack("<I", 1) + PAGE, count=1),
        "damaged state",
    ),
    "other digests": (
        HELLO + REGIONS + STATE + message(Kind.DIGESTS, b"d" * 32, count=2),
        "memory or picture that differs",
    ),
    "the same pages twice": (
        HELLO + REGIONS + 2 * message(Kind.PAGES, runs((3, 1)) + PAGE, count=1),
        "out of order",
    ),
    "zeros before others": (
        HELLO
        + REGIONS
        + message(Kind.ZEROS, runs((3, 1)), count=1)
        + message(Kind.ZEROS, runs((2, 1)), count=1),
        "out of order",
    ),
    "rounds without end": (
        HELLO + REGIONS + message(Kind.ROUND) * MAX_ROUNDS,
        f"to an end in {MAX_ROUNDS} rounds",
    ),
    "progress without end": (HELLO + message(Kind.PROGRESS) * 100 + b"x", "cut the connection"),
    "no end": (HELLO + REGIONS + STATE, "cut the connection"),
    "a reason to refuse": (
        HELLO + REGIONS + message(Kind.REFUSE, "no\n\x1b[31m \u202e room".encode()),
        "refuses: no??[31m ? room",
    ),
}


@contextmanager
def raw_source(target: Any) -> Iterator[tuple[socket.socket, Future[Any]]]:
    """A connection to a receiver, and what it will say."""
    with Receiver("127.0.0.1:0") as receiver, ThreadPoolExecutor() as pool:
        received = pool.submit(receiver.receive, target, 10)
        with socket.create_connection(stream.parse_address(receiver.address)) as connection:
            yield connection, received


@pytest.mark.parametrize("name", BAD_SOURCES)
def test_a_bad_source_is_refused_in_one_line(name: str) -> None:
    data, says = BAD_SOURCES[name]
    target = Memory(Memslot(NPAGES))
    with raw_source(target) as (connection, received):
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        assert says in one_line(outcome(received))


def test_a_silent_source_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "PEER_SECONDS", 0.1)
    monkeypatch.setattr(stream, "LINGER_SECONDS", 0.1)
    with raw_source(Memory(Memslot(1))) as (connection, received):
        connection.sendall(HELLO)
        assert "silent for" in one_line(outcome(received))


def test_garbage_never_does_more_than_end_in_a_line() -> None:
    rng = random.Random(6)
    good = HELLO + REGIONS + message(Kind.PAGES, runs((0, 1)) + PAGE, count=1) + STATE
    for _ in range(60):
        data = bytearray(good)
        for _ in range(rng.randrange(1, 6)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        with raw_source(Memory(Memslot(NPAGES))) as (connection, received):
            with suppress(OSError):
                connection.sendall(data)
                connection.shutdown(socket.SHUT_WR)
            error = outcome(received)
            # A state of another number is the target's to judge.
            assert isinstance(error, AssertionError) or one_line(error)


#: Who is no source: what they say before they hang up, or are silent.
STRAYS = {
    "nothing": b"",
    "a byte": b"v",
    "another program": b"GET / HTTP/1.1\r\nHost: there\r\n\r\n",
    "TLS": bytes.fromhex("1603010200010001fc0303") + bytes(500),
    "half a greeting": MAGIC[:5],
    "a line end changed": HELLO.replace(b"\n", b"\r\n"),
}


def is_hung_up(connection: socket.socket) -> bool:
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


@pytest.mark.parametrize("says", STRAYS.values(), ids=list(STRAYS))
def test_who_is_no_source_does_not_end_the_waiting(says: bytes) -> None:
    slot, copy = random_slot(NPAGES), Memslot(NPAGES)
    with raw_source(Memory(copy)) as (stray, received):
        address = name_of_address(stray.getpeername())
        with suppress(OSError):  # it may be hung up by then
            stray.sendall(says)
            stray.shutdown(socket.SHUT_WR)
        assert is_hung_up(stray)
        channel = connect(address)
        assert send(channel, Memory(slot)).digests_equal
        channel.close()
        assert isinstance(outcome(received), Received)
    np.testing.assert_array_equal(slot.array, copy.array)


def test_who_is_silent_does_not_delay_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred of them, for none of whom the receiver waits any longer than for all."""
    monkeypatch.setattr(receiver_module, "SILENCE_SECONDS", 1000.0)
    with ExitStack() as strays, raw_source(Memory(Memslot(NPAGES))) as (first, received):
        address = first.getpeername()
        for number in range(100):
            stray = strays.enter_context(socket.create_connection(address))
            stray.sendall((b"", MAGIC[:1], MAGIC[:7])[number % 3])
        channel = connect(name_of_address(address))
        assert send(channel, Memory(random_slot(NPAGES))).digests_equal
        channel.close()
        assert isinstance(outcome(received), Received)


def test_who_is_silent_for_long_is_hung_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receiver_module, "SILENCE_SECONDS", 0.1)
    with raw_source(Memory(Memslot(NPAGES))) as (stray, received):
        assert is_hung_up(stray)
        assert not received.done()
        connection = socket.create_connection(stray.getpeername())
        connection.sendall(HELLO + b"x" * 100)
        one_line(outcome(received))
        connection.close()


class SlowProxy(CuttingProxy):
    """Passes so many bytes on at once to the receiver, and holds few."""

    def _pass(self, here: socket.socket, there: socket.socket, way: int) -> None:
        if way:
            return super()._pass(here, there, way)
        with suppress(OSError):
            while data := here.recv(8192):
                there.sendall(data)
                self.passed[0] += data
                time.sleep(0.04)
        return None


def test_a_slow_link_is_not_a_silent_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """200 KB a second: 1 MiB takes 5 s, several times what a peer may be silent here."""
    monkeypatch.setattr(stream, "PEER_SECONDS", 1.5)
    slot, copy = random_slot(256), Memslot(256)
    with Receiver("127.0.0.1:0") as receiver, ThreadPoolExecutor() as pool:
        received = pool.submit(receiver.receive, Memory(copy), 10)
        proxy = SlowProxy(receiver.address)
        channel = connect(proxy.address)
        sent = pool.submit(send, channel, Memory(slot))
        assert outcome(sent).digests_equal
        assert isinstance(outcome(received), Received)
        channel.close()
        proxy.close()
    np.testing.assert_array_equal(slot.array, copy.array)


def state_of(change: Callable[[dict[str, Any]], None]) -> bytes:
    with Machine() as machine:
        arrays = device_state(machine)
    change(arrays)
    return message(Kind.STATE, pack_arrays(arrays), count=len(arrays))


STATES: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "an unknown array": (lambda a: a.update({"cpu.ip": np.asarray(1, "u8")}), "not know cpu.ip"),
    "one missing": (lambda a: a.pop("crtc"), "needs crtc"),
    "no frame": (lambda a: a.pop("frame"), "needs frame"),
    "many frames": (lambda a: a.update(frame=np.zeros(3, "u8")), "frame is no number"),
    "a frame so late": (lambda a: a.update(frame=np.asarray(2**63, "u8")), "frame is no number"),
    "another type": (lambda a: a.update(latch=np.asarray(1, "u8")), "latch has values that no"),
    "another shape": (lambda a: a.update(crtc=np.zeros(3, "u1")), "crtc has values that no VGA"),
    "a value of no VGA": (lambda a: a.update(dac_state=np.asarray(9, "u4")), "dac_state has"),
    "a picture outside of VRAM": (
        lambda a: a.update(dispi=np.full(len(a["dispi"]), 0xFFFF, "u2")),
        "dispi has values",
    ),
}


@pytest.mark.parametrize("name", STATES)
def test_a_state_that_no_device_has_is_refused_whole(name: str) -> None:
    change, says = STATES[name]
    with Machine() as target, Receiver("127.0.0.1:0") as receiver, ThreadPoolExecutor() as pool:
        from vgaemu.migrate import receive_machine

        before = device_state(target)
        received = pool.submit(receive_machine, receiver, target, 10)
        with socket.create_connection(stream.parse_address(receiver.address)) as connection:
            connection.sendall(
                HELLO + message(Kind.REGIONS, region(b"vram", 4096), count=1) + state_of(change)
            )
            assert says in one_line(outcome(received))
        after = device_state(target)
        for name in before.keys() - {"beam_ns", "frame"}:
            np.testing.assert_array_equal(before[name], after[name])


# --- peers of the source --------------------------------------------------------------------------


def digests(data: bytes) -> bytes:
    return message(Kind.DIGESTS, data * 32, count=2)


BAD_RECEIVERS = {
    # what answers there: what the source says
    "another program": (b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n", "no vgaemu answers there"),
    "nothing": (b"", "cut the connection"),
    "half a preamble": (HELLO[:9], "cut the connection"),
    "a newer version": (PREAMBLE.pack(MAGIC, VERSION + 1), f"version {VERSION + 1} of the migr"),
    "a refusal": (HELLO + message(Kind.REFUSE, b"no room\n"), "refuses: no room?"),
    "a long refusal": (HELLO + message(Kind.REFUSE, length=1 << 30), "where none is so long"),
    "garbage": (HELLO + b"\xaa" * 100, "something else"),
    "hangs up at once": (HELLO + message(Kind.ACCEPT), "connection"),
    "hangs up later": (HELLO + message(Kind.ACCEPT) + message(Kind.ROUND_DONE), "connection"),
    "an answer out of turn": (
        HELLO + message(Kind.ACCEPT) + message(Kind.RUNNING),
        "something else",
    ),
    "progress in stead of an answer": (
        HELLO + message(Kind.ACCEPT) + 1000 * message(Kind.PROGRESS),
        "connection",
    ),
    "other digests": (
        HELLO + message(Kind.ACCEPT) + message(Kind.ROUND_DONE) + digests(b"d"),
        "another memory or picture",
    ),
}


@contextmanager
def raw_receiver(answer: bytes) -> Iterator[str]:
    """Somebody who says the same whatever one sends."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def run() -> None:
            connection, _ = listening.accept()
            with connection, suppress(OSError):
                connection.sendall(answer)
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(1 << 16):
                    pass

        thread = threading.Thread(target=run)
        thread.start()
        yield f"127.0.0.1:{listening.getsockname()[1]}"
        thread.join(20)


@pytest.mark.parametrize("name", BAD_RECEIVERS)
def test_a_bad_receiver_leaves_the_guest_running(name: str) -> None:
    answer, says = BAD_RECEIVERS[name]
    with Machine("sprites") as machine, raw_receiver(answer) as address:
        machine.tick(2)
        with pytest.raises(MigrateError) as caught:
            # On a busy host, too, one round is enough: that is what is answered.
            send_machine(machine, address, Limits(downtime_ms=10_000))
        assert says in one_line(caught.value)
        assert address in str(caught.value)
        assert machine.tick(2)
        assert not machine.runner.left


def test_a_silent_receiver_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "PEER_SECONDS", 0.1)
    with Machine() as machine, socket.create_server(("127.0.0.1", 0)) as listening:
        address = f"127.0.0.1:{listening.getsockname()[1]}"
        with pytest.raises(MigrateError, match="silent for"):
            send_machine(machine, address)
        assert machine.tick()


def refuse_as_slow(answer: Callable[[socket.socket], None], slot: Memslot) -> None:
    """Send memory to a receiver that answers like this: too slowly."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def run() -> None:
            connection, _ = listening.accept()
            with connection, suppress(OSError):
                answer(connection)

        thread = threading.Thread(target=run)
        thread.start()
        channel = connect(f"127.0.0.1:{listening.getsockname()[1]}")
        with pytest.raises(MigrateError, match="slower than 4096 bytes a second"):
            send(channel, Memory(slot))
        channel.close()
        thread.join(20)


def test_a_receiver_that_trickles_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "PEER_SECONDS", 0.5)

    def answer(connection: socket.socket) -> None:
        connection.sendall(HELLO + message(Kind.ACCEPT) + message(Kind.ROUND_DONE))
        for byte in digests(b"d"):  # a stopped guest waits for them
            connection.sendall(bytes([byte]))
            time.sleep(0.1)

    refuse_as_slow(answer, random_slot(NPAGES))


def test_a_receiver_that_only_says_that_something_arrives_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stream, "PEER_SECONDS", 0.3)

    def answer(connection: socket.socket) -> None:
        connection.sendall(HELLO + message(Kind.ACCEPT))
        while True:
            connection.sendall(message(Kind.PROGRESS))
            time.sleep(0.05)

    refuse_as_slow(answer, Memslot(NPAGES))


def test_a_receiver_that_takes_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "PEER_SECONDS", 0.2)
    slot = random_slot(8192)  # more than any socket buffers
    with socket.create_server(("127.0.0.1", 0)) as listening:
        channel = connect(f"127.0.0.1:{listening.getsockname()[1]}")
        connection, _ = listening.accept()
        with connection:
            connection.sendall(HELLO + message(Kind.ACCEPT))
            with pytest.raises(MigrateError, match="silent for"):
                send(channel, Memory(slot))
        channel.close()


def test_nobody_listens() -> None:
    with Receiver("127.0.0.1:0") as receiver:
        address = receiver.address
    with Machine() as machine:
        with pytest.raises(MigrateError, match=f"{address}: Connection refused"):
            send_machine(machine, address)
        assert machine.tick()


def test_machines_with_different_vram() -> None:
    with Machine(vram_mib=8) as source, Machine() as target:
        before = target.vram.array.copy()
        with receiving(target) as (address, received):
            with pytest.raises(MigrateError, match="refuses: has 8 MiB of vram, the receiver 16"):
                send_machine(source, address)
            assert "has 8 MiB of vram" in one_line(outcome(received))
        np.testing.assert_array_equal(target.vram.array, before)
        assert source.tick()

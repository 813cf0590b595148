"""Benchmarks: `vgaemu bench NAME`. Each compares both sides in one run and reports medians."""

#: Name -> what it measures, for `vgaemu bench --help`.
BENCHMARKS = {
    "harvest": "get_dirty_log against the real KVM_GET_DIRTY_LOG, and beside busy guests",
    "dirty-log": "every dirty-log scheme at every size, and the 2012 patch's claims",
    "vga": "harvests at 60 Hz beside guests that read and print a file, every dirty-log scheme",
    "frame": "a dirty redraw against a full redraw of the same frames",
    "store": "what the logged store path costs a guest",
    "record": "a recorder beside the loop, and what it writes",
    "pictures": "pictures as arrays, images and text, and saved states, by the thousand",
    "render": "drawing a whole picture against a memcpy of it",
    "snapshot": "moments kept in memory and gone back to, rewind, frames a second",
    "start": "how long the command takes to start",
    "migrate": "64 MiB over loopback while a writer dirties it, against a plain socket copy",
    "view": "a VNC viewer: what it costs the loop, and what it gets, how late",
    "beam": "guests that follow the beam, against real time",
    "gym": "an agent's steps a second: one environment, and a vector of two",
    "guest": "machine code: stores through the VGA, harvests beside a running guest, boot",
}
#: Names of parts that can be measured alone, by name of the benchmark.
PARTS = {"guest": ("fills", "stores", "ports", "calls", "harvests", "boot", "boots")}
#: Those whose module has a `report` that says more than the table of its rows.
REPORTS = ("dirty-log", "vga")
#: What else a module draws, for `--plot` and `--heatmap`.
PICTURES = {"dirty-log": ("plot", "heatmap"), "vga": ("plot",)}

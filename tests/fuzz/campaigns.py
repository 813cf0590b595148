"""All campaigns, by the names that the command takes."""

from __future__ import annotations

from x86_helpers import has_kvm

from . import board, browsers, device, files, guests, peers, viewers

CAMPAIGNS = {
    **files.CAMPAIGNS, **device.CAMPAIGNS, **board.CAMPAIGNS, **peers.CAMPAIGNS, **guests.CAMPAIGNS,
    **browsers.CAMPAIGNS, **viewers.CAMPAIGNS,
}  # fmt: skip
#: Those that cannot be run here, and why.
SKIPPED = {} if has_kvm() else {
    name: "/dev/kvm cannot be opened" for name in CAMPAIGNS if name.endswith("-kvm")
}  # fmt: skip

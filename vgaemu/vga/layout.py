"""Where plane p, address o lies in VRAM: the only place that knows.

The legacy VGA sees the first 256 KiB of VRAM as four planes of 64 KiB. Both layouts keep the four
plane bytes of one address together, as one little-endian dword, plane 0 lowest:

- planar: address o is dword o. One page holds 1024 addresses of all planes.
- chain-4: address o is dword ``(o & 3) << 14 | o >> 2``. Chain-4 puts window byte a at plane a & 3,
  address a & ~3, which is then simply byte a of VRAM: mode 13h is plain memory for the guest.

So switching chain-4 rearranges VRAM once, and every program sees what hardware would show. With
DISPI on, VRAM is linear and is left alone.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: Bytes, dwords and pages of VRAM that the legacy VGA can address.
LEGACY_BYTES = 256 << 10
LEGACY_DWORDS = LEGACY_BYTES // 4
LEGACY_PAGES = LEGACY_BYTES >> 12


def dword_of_address(address: NDArray[np.intp], chain4: bool) -> NDArray[np.intp]:
    """Plane addresses (0..FFFFh) to dword numbers in VRAM.

    >>> dword_of_address(np.array([0, 1, 4]), chain4=True).tolist()
    [0, 16384, 1]
    """
    return (address & 3) << 14 | address >> 2 if chain4 else address


def rearrange(vram: NDArray[np.uint8], chain4: bool) -> None:
    """Bring the legacy 256 KiB from the other layout to the one `chain4` names, in place."""
    dwords = vram[:LEGACY_BYTES].view(np.uint32)
    rows, columns = (LEGACY_DWORDS // 4, 4) if chain4 else (4, LEGACY_DWORDS // 4)
    dwords[:] = dwords.reshape(rows, columns).T.ravel()

"""``python -m vgaemu``."""

import sys

from vgaemu.cli import main

sys.exit(main())

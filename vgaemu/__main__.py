"""``python -m vgaemu``."""

import sys

from vgaemu.cli.main import main

sys.exit(main())

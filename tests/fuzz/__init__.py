"""Fuzzing: random files, peers, devices and guests, and what must hold whatever they are.

``python -m tests.fuzz NAME`` runs a campaign of any length; `test_fuzz` runs a short one of each.
"""

import sys
from pathlib import Path

# Campaigns use what the tests share.
sys.path.insert(0, str(Path(__file__).parents[1]))

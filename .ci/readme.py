"""Print one of the README's two commands, word for word: `readme.py run` or `readme.py test`.

They are the first two fenced `sh` blocks of the README, in this order.
"""

import re
import sys
from pathlib import Path

readme = (Path(__file__).parent.parent / "README.md").read_text("utf-8")
blocks = re.findall(r"^```sh\n(.*?)^```", readme, re.MULTILINE | re.DOTALL)
print(blocks[("run", "test").index(sys.argv[1])])

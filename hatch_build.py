"""The description that the package shows: the README without links that only a checkout has."""

import re
from pathlib import Path

from hatchling.metadata.plugin.interface import MetadataHookInterface

#: Markdown's ``[text](address)`` of a place in this repository; pictures, too.
_HERE = r"\[([^\]]*)\]\((?!\w+:)[^)]*\)"


class Description(MetadataHookInterface):
    """Puts it into the metadata."""

    def update(self, metadata: dict) -> None:
        """Leave pictures out, and of links their words."""
        text = Path(self.root, "README.md").read_text("utf-8")
        text = re.sub(rf"^!{_HERE}\n\n", "", text, flags=re.MULTILINE)
        text = re.sub(_HERE, r"\1", text)
        metadata["readme"] = {"content-type": "text/markdown", "text": text}

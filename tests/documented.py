"""The organizations that docs/topologies.md shows. The page alone holds them: the simulated worlds run these very texts."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = Path(__file__).resolve().parents[1] / "docs" / "topologies.md"
_SECTION = re.compile(r"^## ([^\n]+)$(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
_YAML = re.compile(r"^```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def topologies() -> dict[str, str]:
    """The heading of each section with an organization → the organization as YAML. :raises ValueError: a section shows two."""
    found: dict[str, str] = {}
    for heading, section in _SECTION.findall(PAGE.read_text(encoding="utf-8")):
        blocks = _YAML.findall(section)
        if len(blocks) > 1:
            raise ValueError(f"{heading}: one organization for each topology")
        if blocks:
            found[heading] = blocks[0]
    return found

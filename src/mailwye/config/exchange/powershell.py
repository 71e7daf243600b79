"""Characters of PowerShell. Web pages and word processors turn quotes and dashes into typographic ones; PowerShell takes those for the
plain ones.
"""

from __future__ import annotations

SINGLE = "'\u2018\u2019\u201a\u201b"
DOUBLE = '"\u201c\u201d\u201e'
DASHES = "-\u2013\u2014\u2015"

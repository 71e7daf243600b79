"""mailwye.toml → Installation, with all errors at once."""

from __future__ import annotations

from pathlib import Path

from mailwye.config.installation.reader import InstallationReader
from mailwye.config.installation.settings import Installation
from mailwye.config.installation.toml_reader import read_toml
from mailwye.config.parsed import Parsed, parsed_from, read_file
from mailwye.config.problem import Places

INSTALLATION_FILE_LIMIT = 1_048_576  # octets


def read_installation(path: Path) -> Parsed[Installation]:
    """Read mailwye.toml. Never raises: an unreadable file is a Problem."""
    text, problem = read_file(path, INSTALLATION_FILE_LIMIT)
    if problem is not None:
        return Parsed(None, (problem,), Places(str(path)))
    data, places, problem = read_toml(text, str(path))
    if problem is not None:
        return Parsed(None, (problem,), places)
    reader = InstallationReader(path.absolute(), places)
    value = reader.read(data)
    return parsed_from(value, reader.problems, places)

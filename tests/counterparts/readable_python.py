"""A command line that runs Mailwye under a Python that another user may read.

A service that gives up root needs its program where its new user can read it. The interpreter or the clone of whoever runs the tests may
well be in root's home; then its files are linked (not copied) into a folder that everybody may enter.
"""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from functools import cache
from pathlib import Path

import mailwye

# The interpreter's own site-packages (ours come beside), and what only developers use: thousands of files.
NOT_NEEDED = shutil.ignore_patterns(
    *("site-packages", "test", "tests", "include", "share", "*.a", "*.pyi", "idlelib", "lib2to3", "ensurepip", "tkinter", "turtledemo"),
    *("pip", "setuptools", "mypy", "mypyc", "hypothesis", "coverage", "importlinter", "grimp", "_pytest", "ruff*"),
)


def everybody_may_enter(path: Path) -> bool:
    """True where no folder on the way is closed to others."""
    path = path.resolve()
    return all(one.stat().st_mode & 0o005 == 0o005 for one in (path, *path.parents))


def _reachable(path: Path, below: Path, name: str) -> Path:
    if everybody_may_enter(path):
        return path
    target = below / name
    shutil.copytree(path, target, copy_function=_link, symlinks=True, ignore=NOT_NEEDED)
    return target


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copy2(source, target)


@cache
def readable_python(directory: Path) -> tuple[tuple[str, ...], dict[str, str]]:
    """(command line, environment) for `mailwye`. Links what is out of reach below `directory`."""
    executable = Path(sys.executable).resolve()
    base = Path(sys.base_prefix).resolve()
    reached = _reachable(base, directory, "python")
    packages = _reachable(Path(sysconfig.get_path("purelib")), directory, "packages")
    source = _reachable(Path(mailwye.__file__).resolve().parents[1], directory, "source")
    program = reached / executable.relative_to(base)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(source), str(packages))), "PYTHONDONTWRITEBYTECODE": "1"}
    environment.pop("PYTHONHOME", None)
    if reached != base:  # a shared libpython is looked for where it was installed
        environment["LD_LIBRARY_PATH"] = str(reached / "lib")
    return (str(program), "-m", "mailwye"), environment

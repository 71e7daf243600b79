"""`python -m torture COMMAND`: each module of this package that has `add_arguments` and `run` is a command.

`add_arguments(parser)` adds its own options; `async run(options) -> Result`. Every command has --seed, --where and --write.
"""

from __future__ import annotations

import argparse
import ast
import asyncio
import importlib
import random
import shlex
import signal
import sys
from pathlib import Path

from torture import report

_FOLDER = Path(__file__).parent


def main(arguments: list[str] | None = None) -> int:
    """Run one test, print and maybe write its result; 0 when it passed."""
    words = sys.argv[1:] if arguments is None else arguments
    options = parse(words)
    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, signal.default_int_handler)  # services and mounts are cleared away then too, also in the background
    print(f"seed {options.seed}", flush=True)
    result = asyncio.run(importlib.import_module(f"torture.{options.command}").run(options))
    print(report.text(result))
    if options.write:
        shown = [word for word in words if word != "--write"]
        shown += [] if "--seed" in shown else ["--seed", str(options.seed)]
        report.write(result, f"python -m torture {shlex.join(shown)}")
    return 0 if result.good else 1


def parse(words: list[str]) -> argparse.Namespace:
    """The options of one command; where no seed is given, with a new one."""
    abouts = _commands()
    parser = argparse.ArgumentParser(prog="python -m torture", description="Prove that nothing acknowledged is lost.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, about in abouts.items():
        raw = argparse.RawDescriptionHelpFormatter
        one = commands.add_parser(name, help=about.splitlines()[0], description=about, formatter_class=raw)
        one.add_argument("--seed", type=int, default=None, help="of all that is left to chance; default: a new one, which is printed")
        one.add_argument("--where", type=Path, default=None, metavar="DIR", help="the service's data go below this folder")
        one.add_argument("--write", action="store_true", help="write the result into docs/reliability.md")
        if name in words[:1]:
            importlib.import_module(f"torture.{name}").add_arguments(one)
    options = parser.parse_args(words)
    if options.seed is None:
        options.seed = random.SystemRandom().randrange(1_000_000)
    return options


def _commands() -> dict[str, str]:
    """Name → docstring, found without importing: one test's fault does not keep the others from running."""
    found = {}
    for path in sorted(_FOLDER.glob("*.py")):
        tree = ast.parse(path.read_text())
        if any(isinstance(node, ast.FunctionDef) and node.name == "add_arguments" for node in tree.body):
            found[path.stem] = ast.get_docstring(tree) or path.stem
    return found


if __name__ == "__main__":
    sys.exit(main())

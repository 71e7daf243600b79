"""What a command costs before it has done anything: seconds of CPU from its start to its end, beside Python that does nothing.

The installation is a small one that is not running. Each figure is the median of several rounds, all commands in turn in each.
Usage: python benchmarks/startup.py [--rounds 15] [--write]
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # for `python benchmarks/startup.py`

from benchmarks.report import surroundings, write

ROOT = Path(__file__).resolve().parents[1]
COMMANDS = (
    "--version",
    "--help",
    "trace",
    "queue list",
    "status",
    "config log",
    "get AcceptedDomain",
    "explain --from sun@fabrikam.com --to john@contoso.com",
    "set AcceptedDomain contoso.com --match-sub-domains true --what-if",
    "ps 'Get-OutboundConnector'",
)
WITHOUT_INSTALLATION = ("--version", "--help")
INSTALLATION = """\
hostname = "mx.contoso.com"
data_directory = "data"
[[listener]]
name = "mx"
kind = "mx"
address = "127.0.0.1"
port = 2525
"""


def cpu(command: list[str], environment: dict[str, str]) -> float:
    """Seconds of CPU of one run, user and system."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, env=environment)
    _, _, used = os.wait4(process.pid, 0)
    return used.ru_utime + used.ru_stime


def table(rounds: int) -> str:
    """Rows for people."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    with tempfile.TemporaryDirectory() as folder:
        configuration = Path(folder, "mailwye.toml")
        configuration.write_text(INSTALLATION)
        organization = shutil.copy(ROOT / "examples" / "organization.yaml", folder)
        start = [sys.executable, "-m", "mailwye"]
        named = ["--config", str(configuration)]
        subprocess.run([*start, "apply", *named, "-f", organization], check=True, capture_output=True, env=environment)
        commands = {"python -c pass": [sys.executable, "-c", "pass"]}
        for words in COMMANDS:
            commands[f"mailwye {words}"] = [*start, *_split(words), *(() if words in WITHOUT_INSTALLATION else named)]
        costs: dict[str, list[float]] = {name: [] for name in commands}
        for number in range(rounds + 1):
            for name, command in commands.items():
                cost = cpu(command, environment)
                if number:  # the first round compiles and fills the page cache
                    costs[name].append(cost)
    bare = statistics.median(costs["python -c pass"])
    rows = [
        f"| `{name}` | {statistics.median(found) * 1000:.0f} ms | {min(found) * 1000:.0f} to {max(found) * 1000:.0f} ms | "
        f"{statistics.median(found) / bare:.1f} |"
        for name, found in costs.items()
    ]
    return "\n".join(["| command | CPU | least to greatest | times bare Python |", "|---|--:|--:|--:|", *rows])


def _split(words: str) -> list[str]:
    return [word.strip("'") for word in words.split(" ")]


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--write", action="store_true", help="write the table into docs/performance.md")
    arguments = parser.parse_args()
    rows = table(arguments.rounds)
    lines = "  \n".join(surroundings("", f"A small installation that is not running. Medians of {arguments.rounds}."))
    text = f"{lines}\n\n{rows}\n"
    print(text)
    if arguments.write:
        write("startup", text)


if __name__ == "__main__":
    main()

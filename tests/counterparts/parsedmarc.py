"""parsedmarc, an independent reader of TLS reports, in an environment of its own: beside it, dnspython would import all that DNS over HTTPS
needs, and start slower than it does for those who install Mailwye."""

from __future__ import annotations

import json
import subprocess
from typing import Any

from tests.counterparts.process import program

_READ = """
import json, sys, parsedmarc
octets = sys.stdin.buffer.read()
if sys.argv[1] == "json":
    found = parsedmarc.parse_smtp_tls_report_json(octets)
else:
    read = parsedmarc.parse_report_email(octets, offline=True)
    assert read["report_type"] == "smtp_tls", read["report_type"]
    found = read["report"]
json.dump(found, sys.stdout, default=str)
"""


def read_report(octets: bytes, *, form: str) -> dict[str, Any]:
    """What parsedmarc makes of a report (`form` "json") or of the mail that carries one ("email"). It refuses what breaks RFC 8460."""
    run = subprocess.run([program("parsedmarc"), "-c", _READ, form], input=octets, capture_output=True, check=False, timeout=100)
    assert run.returncode == 0, run.stderr.decode()
    found: dict[str, Any] = json.loads(run.stdout)
    return found

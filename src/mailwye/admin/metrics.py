"""Counters and gauges in the text format of Prometheus. Labels are few on purpose: never an address or a domain. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def render(status: Mapping[str, Any], *, release: str) -> str:
    """`status` as the supervisor answers it, with the queue's `counts` (next hop → state → number)."""
    return "".join(f"{line}\n" for line in _lines(status, release))


def _lines(status: Mapping[str, Any], release: str) -> Iterator[str]:
    yield from _metric("build_info", "gauge", "The release that runs.", [(f'{{version="{release}"}}', 1)])
    yield from _metric("config_generation", "gauge", "The version of the settings in force.", [("", status["version"])])
    yield from _metric("ready", "gauge", "1 where all workers serve.", [("", int(status["ready"]))])
    yield from _metric("worker_restarts_total", "counter", "Workers that ended and were started again.", [("", status["restarts"])])
    workers = [(f'{{worker="{worker["number"]}"}}', worker) for worker in status["workers"]]
    yield from _metric(
        "smtpd_connections", "gauge", "Open inbound connections.", [(label, worker["sessions"]) for label, worker in workers]
    )
    dropped = [(label, worker["trace_events_dropped"]) for label, worker in workers]
    yield from _metric("trace_events_dropped_total", "counter", "Events that the trace could not store.", dropped)
    dropped = [(label, worker.get("traffic_dropped", 0)) for label, worker in workers]
    yield from _metric("traffic_dropped_total", "counter", "Kinds of envelopes that could not be kept for replays.", dropped)
    states: dict[str, int] = {}
    for hop in status.get("counts", {}).values():
        for state, number in hop.items():
            states[state] = states.get(state, 0) + number
    rows = [(f'{{queue="{state}"}}', states.get(state, 0)) for state in sorted({"queued", "leased", "held", "corrupt", *states})]
    yield from _metric("queue_messages", "gauge", "Deliveries in the queue by state.", rows)
    ends: dict[str, int] = {}
    for one in status.get("certificates", ()):
        ends[one["use"]] = min(int(one["not_after"]), ends.get(one["use"], int(one["not_after"])))
    first = [(f'{{use="{_quoted(use)}"}}', end) for use, end in ends.items()]
    yield from _metric("certificate_not_after_timestamp_seconds", "gauge", "When the first certificate of a place expires.", first)
    if "openid" in status:
        at = [("", int(status["openid"]["keys_fetched"]))]
        yield from _metric("openid_keys_fetched_timestamp_seconds", "gauge", "When the OpenID provider last gave its keys; 0: not yet.", at)


def _quoted(text: str) -> str:
    """As the value of a label."""
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")


def _metric(name: str, kind: str, text: str, rows: list[tuple[str, int]]) -> Iterator[str]:
    yield f"# HELP mailwye_{name} {text}"
    yield f"# TYPE mailwye_{name} {kind}"
    for label, value in rows:
        yield f"mailwye_{name}{label} {value}"

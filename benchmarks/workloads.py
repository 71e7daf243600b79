"""What is measured: each workload with as many messages for each system as keep it busy for some seconds."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.load import Load


@dataclass(frozen=True, slots=True)
class Workload:
    """`messages` are for Postfix; a faster system gets `pace` times as many, the bare load `pace` times as many again. `wanted`: so many
    times Postfix's messages end to end; 0: no target.
    """

    name: str
    title: str
    load: Load
    pace: int = 4
    wanted: float = 0.0


WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload("kept", "4 KiB, 20 kept sessions", Load(3000), 5, 5),
        Workload("each", "4 KiB, 20 sessions, a connection per message", Load(2500, kept=False), wanted=4),
        Workload("large", "100 KiB, 20 kept sessions", Load(1500, octets=102_400), 3, 3),
        Workload("many", "4 KiB, 50 recipients of a domain, 20 kept sessions", Load(600, recipients=50), 3, 3),
        Workload("tls", "STARTTLS in and out, 4 KiB, 20 kept sessions", Load(1200, tls=True), wanted=2),
        Workload("tls-each", "STARTTLS in and out, 4 KiB, 20 sessions, a connection per message", Load(800, kept=False, tls=True), 3, 2),
        Workload("crowd", "4 KiB, 200 kept sessions", Load(3000, sessions=200), 5),
    )
}

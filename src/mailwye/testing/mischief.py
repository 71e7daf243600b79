"""Random faults for a simulated world: peers that misbehave, connections that break, power cuts, clocks that jump, settings that change.

Each fault ends by itself, so that a run comes to rest: the far ends are well again when `until_well` returns.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from mailwye.smtp.reply import Reply
from mailwye.testing.gateway import Gateway
from mailwye.testing.network import Reachability
from mailwye.testing.peers import PeerServer, Script
from mailwye.testing.world import GATEWAY, MAILBOXES, MOONS, ORGANIZATION, OWN, SUNS, World

DAY = 86_400.0
LAST_CUT_WITHIN = 300.0
JUMPS = (-3600.0, 3600.0, 6 * DAY)
PEERS = {OWN: "own", SUNS: "sun", MOONS: "moon"}
SCRIPTS: tuple[Callable[[], Script], ...] = (
    lambda: Script(greeting=Reply(421, "4.3.2", "Not now")),
    lambda: Script(greeting=Reply(554, "5.3.2", "No mail today")),
    lambda: Script(mail=Reply(451, "4.3.0", "Trouble at MAIL")),
    lambda: Script(rcpt=lambda _recipient: Reply(450, "4.2.1", "Mailbox busy")),
    lambda: Script(end=Reply(452, "4.3.1", "Out of space")),
    lambda: Script(end=Reply(421, "4.3.2", "Shutting down")),
    lambda: Script(drop_at="data"),
    lambda: Script(drop_at="end"),
    lambda: Script(drop_at="taken"),
    lambda: Script(silent_at="greeting"),
    lambda: Script(silent_at="mail"),
    lambda: Script(silent_at="end"),
    lambda: Script(end_after=7.0),
)


@dataclass(slots=True)
class Mischief:
    """Plays `faults` faults, one after the other, in a world. `played`: what was done, for the message of a failure."""

    world: World
    gateway: Gateway
    rng: random.Random
    faults: int
    longest: float = 1800.0
    played: list[str] = field(default_factory=list)

    async def until_well(self) -> None:
        """Play, then see to it that everybody is well again."""
        kinds: tuple[Callable[[], Awaitable[None]], ...] = (
            self._misbehave,
            self._misbehave,
            self._unreachable,
            self._break_connections,
            self._cut_power,
            self._cut_power_again_and_again,
            self._fail_syncs,
            self._fill_disk,
            self._jump,
            self._save_settings,
            self._fail_names,
        )
        for _ in range(self.faults):
            await self.world.sleep(self.rng.choice((0.0, 0.01, 0.3, 5.0, 90.0)))
            await self.rng.choice(kinds)()
        await self.world.sleep(LAST_CUT_WITHIN)
        self.gateway.power.cut_at = self.gateway.disk.cut_at = 0

    def _note(self, what: str) -> None:
        self.played.append(f"{self.world.loop.time():.3f} {what}")

    def _some_seconds(self) -> float:
        return self.rng.choice((0.05, 1.0, 30.0, self.rng.uniform(0.0, self.longest)))

    async def _misbehave(self) -> None:
        peer: PeerServer = getattr(self.world, self.rng.choice(sorted(PEERS.values())))
        number = self.rng.randrange(len(SCRIPTS))
        self._note(f"{peer.name} follows script {number}")
        peer.script = SCRIPTS[number]()
        await self.world.sleep(self._some_seconds())
        peer.script = Script()

    async def _unreachable(self) -> None:
        address = self.rng.choice((OWN, SUNS, MOONS, MAILBOXES))
        state = self.rng.choice((Reachability.REFUSES, Reachability.SILENT))
        self._note(f"{address} {state.value}")
        self.world.wire.set_reachability(address, state)
        await self.world.sleep(self._some_seconds())
        self.world.wire.set_reachability(address, Reachability.UP)

    async def _break_connections(self) -> None:
        address = self.rng.choice((GATEWAY, OWN, SUNS, MOONS, MAILBOXES))
        self._note(f"connections of {address} break")
        self.world.break_connections(address)

    async def _cut_power(self) -> None:
        if self.rng.random() < 0.5:
            self._note("power cut soon")
            self.gateway.power.cut_at = self.gateway.power.steps + self.rng.randrange(1, 200)
        else:
            self._note("power cut at the disk soon")
            self.gateway.disk.cut_at = self.gateway.disk.operations + self.rng.randrange(1, 60)

    async def _cut_power_again_and_again(self) -> None:
        """Also while it recovers."""
        for _ in range(self.rng.randrange(2, 6)):
            self._note("power cut")
            self.gateway.crash()
            self.gateway.disk.cut_at = self.gateway.disk.operations + self.rng.randrange(1, 30)
            await self.world.sleep(100.0)

    async def _fail_syncs(self) -> None:
        self._note("syncs fail")
        self.gateway.disk.fail_syncs = self.rng.randrange(1, 6)

    async def _fill_disk(self) -> None:
        self._note("disk full")
        began = self.world.loop.time()
        self.gateway.disk.quota = self.rng.choice((0, 100_000, 400_000))
        await self.world.sleep(self._some_seconds())
        self.gateway.disk.quota = None
        self.world.full_disks.append((began, self.world.loop.time()))

    async def _jump(self) -> None:
        seconds = self.rng.choice(JUMPS)
        self._note(f"the clock jumps by {seconds:.0f} s")
        self.gateway.clock.jump(seconds)
        if self.rng.random() < 0.5:
            await self.world.sleep(self._some_seconds())
            self._note("and back")
            self.gateway.clock.jump(-seconds)

    async def _save_settings(self) -> None:
        """Another way for the same mail, then the old one again."""
        self._note("settings change")
        self.gateway.activate(
            ORGANIZATION.replace("To our servers", "Another way to our servers").replace(
                f'SmartHosts: ["{OWN}"]', f'SmartHosts: ["{OWN}:25"]'
            )
        )
        await self.world.sleep(self._some_seconds())
        self.gateway.activate(ORGANIZATION)

    async def _fail_names(self) -> None:
        self._note("SERVFAIL")
        self.world.resolver.unknown = dict.fromkeys(self.rng.sample(["example.net", "example.org", "mail.example.net"], 2), "SERVFAIL")
        await self.world.sleep(self._some_seconds())
        self.world.resolver.unknown = {}

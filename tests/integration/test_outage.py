"""The own server is down: mail is kept, an administrator can see and steer it, and it is delivered in the order of arrival."""

from __future__ import annotations

import re

import pytest

from tests.counterparts.process import wait_until
from tests.integration.conftest import World
from tests.integration.junction import Junction
from tests.integration.messages import id_of, message
from tests.integration.test_story import JOHN, SUN

MESSAGES = 8


@pytest.mark.counterpart("postfix")
@pytest.mark.counterpart("dovecot")
def test_outage(world: World, second: Junction) -> None:
    contents = [message(SUN, JOHN, f"number {number}\r\n".encode()) for number in range(MESSAGES)]
    ids = [id_of(content) for content in contents]
    world.own.stop()
    try:
        with second.client(world.place.sun) as client:
            for content in contents:
                client.sendmail(SUN, [JOHN], content)
        wait_until(lambda: all(row["attempts"] for row in second.queued(JOHN)), "an attempt for each")
        rows = second.queued(JOHN)
        assert [row["message_id"] for row in rows] == ids
        assert all("450 4.4.316 Connection refused" in row["last_error"] for row in rows)
        assert {row["next_hop"] for row in rows} == {"connector:Connector 2"}

        # Hold one, delete another.
        held, deleted = rows[2]["message"], rows[5]["message"]
        assert second.run("queue", "hold", held).strip() == "1 delivery held"
        assert second.run("queue", "delete", deleted).strip() == "1 delivery deleted"
        shown = second.json("queue", "show", held)
        assert shown["rows"][0]["state"] == "held"
        assert f"Message-ID: {ids[2]}" in shown["header"]
    finally:
        world.own.start()
    assert second.run("queue", "retry", "--all").strip() == f"{MESSAGES - 2} deliveries due now"

    def came() -> list[str]:
        return [one for one in re.findall(r"message-id=(<\S+>)", world.own.log()) if one in ids]

    expected = [one for number, one in enumerate(ids) if number not in (2, 5)]
    wait_until(lambda: len(came()) >= len(expected), "all but the held and the deleted one")
    assert came() == expected
    assert [row["state"] for row in second.queued(JOHN)] == ["held"]
    assert second.run("queue", "release", held).strip() == "1 delivery released"
    wait_until(lambda: came() == [*expected, ids[2]], "the released one, last")

    assert [event["kind"] for event in second.events(ids[0])] == ["Receive", "Route", "Defer", "Retry", "Send"]
    assert "Delete" in [event["kind"] for event in second.events(ids[5])]
    kinds = [event["kind"] for event in second.events(ids[2])]
    assert kinds.index("Hold") < kinds.index("Release") < kinds.index("Send")
    (gone,) = second.json("trace", "--message-id", ids[5])
    assert gone["status"] == "Deleted"

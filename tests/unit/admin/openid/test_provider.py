"""Keys over time: fetched when needed, kept for a while, and the issuer is not hammered. The clock moves when a test moves it."""

from __future__ import annotations

import asyncio

import pytest

from mailwye.admin.openid.provider import ASK_EVERY, KeysUnknown, Provider
from mailwye.admin.openid.token import UnprovedToken, read_token
from tests.openid import EC, OTHER_RSA, RSA, Issuer, claims_at, settings
from tests.unit.admin.api.office import Ticking

REFRESH, KEEP = 3_600.0, 86_400.0
FETCH = 2  # documents: discovery and keys


class World:
    def __init__(self) -> None:
        self.clock, self.issuer, self.told = Ticking(), Issuer(), list[str]()
        self.provider = Provider(settings(keys_refresh=REFRESH, keys_keep=KEEP), self.issuer, self.clock, self.told.append)

    def token(self, kid: str = "k1") -> UnprovedToken:
        return read_token(Issuer().sign(claims_at(self.clock.now()), by=RSA, kid=kid))

    async def knows(self, kid: str = "k1", *, may_ask: bool = True) -> bool:
        return await self.provider.key(self.token(kid), may_ask=may_ask) is not None


@pytest.fixture
def world() -> World:
    return World()


async def test_keys_are_fetched_once_and_again_when_they_are_due(world: World) -> None:
    assert await world.knows()
    assert await world.knows()
    assert world.issuer.asked == [
        "https://id.contoso.com/realms/contoso/.well-known/openid-configuration",
        "https://id.contoso.com/realms/contoso/keys",
    ]
    world.clock.at += REFRESH - 1
    assert await world.knows()
    assert len(world.issuer.asked) == FETCH
    world.clock.at += 1
    assert await world.knows()
    assert len(world.issuer.asked) == 2 * FETCH
    assert world.provider.status() == {
        "issuer": "https://id.contoso.com/realms/contoso",
        "keys": ["e1", "k1"],
        "keys_fetched": world.clock.now(),
        "error": "",
    }


async def test_a_new_key_is_known_at_once(world: World) -> None:
    assert await world.knows()
    world.issuer.keys = {"k2": OTHER_RSA}
    world.clock.at += ASK_EVERY
    assert await world.knows("k2")
    assert not await world.knows("k1")  # it was withdrawn, and is gone with the same answer


async def test_a_withdrawn_key_counts_until_keys_are_due(world: World) -> None:
    assert await world.knows()
    world.issuer.keys = {"k2": OTHER_RSA}
    world.clock.at += REFRESH - 1
    assert await world.knows()
    world.clock.at += 1
    assert not await world.knows()


async def test_names_that_nobody_has_do_not_hammer_the_issuer(world: World) -> None:
    for number in range(100):
        assert not await world.knows(f"x{number}")
        world.clock.at += 1
    assert len(world.issuer.asked) == FETCH * 4  # at 0, 30, 60 and 90 s


async def test_who_may_not_ask_is_told_from_what_is_known(world: World) -> None:
    with pytest.raises(KeysUnknown, match="not fetched yet"):
        await world.knows(may_ask=False)
    await world.provider.ask()
    assert await world.knows(may_ask=False)
    world.clock.at += ASK_EVERY
    assert not await world.knows("new", may_ask=False)
    assert len(world.issuer.asked) == FETCH


async def test_keys_are_kept_while_the_issuer_is_down(world: World) -> None:
    assert await world.knows()
    world.issuer.down = "cannot connect"
    world.clock.at += KEEP - 1
    assert await world.knows()
    assert world.told == ["cannot connect"]
    assert world.provider.status()["error"] == "cannot connect"
    world.clock.at += 1
    with pytest.raises(KeysUnknown, match="cannot connect"):
        await world.knows()
    world.issuer.down = ""
    world.clock.at += ASK_EVERY
    assert await world.knows()
    assert world.provider.status()["error"] == ""


async def test_a_new_key_while_the_issuer_is_down_cannot_be_told(world: World) -> None:
    assert await world.knows()
    world.issuer.down = "cannot connect"
    world.clock.at += ASK_EVERY
    with pytest.raises(KeysUnknown, match="cannot connect"):
        await world.knows("k2")
    assert await world.knows("k1")


async def test_an_issuer_that_is_down_is_asked_now_and_then(world: World) -> None:
    world.issuer.down = "cannot connect"
    for _ in range(60):
        with pytest.raises(KeysUnknown):
            await world.knows()
        world.clock.at += 1
    assert len(world.issuer.asked) == 2
    assert len(world.told) == 2


@pytest.mark.parametrize(
    ("path", "document", "says"),
    [
        ("discovery", b'{"issuer": "https://id.contoso.com/", "jwks_uri": "https://id.contoso.com/k"}', "not exactly"),
        ("discovery", b'{"issuer": "https://evil.example", "jwks_uri": "https://id.contoso.com/k"}', "of the issuer"),
        ("discovery", b'{"jwks_uri": "https://id.contoso.com/k"}', "not exactly"),
        ("discovery", b'{"issuer": "https://id.contoso.com/realms/contoso"}', "jwks_uri"),
        ("discovery", b'{"issuer": "https://id.contoso.com/realms/contoso", "jwks_uri": ["https://x.example"]}', "jwks_uri"),
        ("discovery", b'{"issuer": "https://id.contoso.com/realms/contoso", "jwks_uri": "http://id.contoso.com/k"}', "no https URL"),
        ("discovery", b'{"issuer": "https://id.contoso.com/realms/contoso", "jwks_uri": "file:///etc/passwd"}', "no https URL"),
        ("discovery", b'{"issuer": "https://id.contoso.com/realms/contoso", "jwks_uri": "https://[::1]/k"}', "no https URL"),
        ("discovery", b'{"issuer": "https://id.contoso.com/realms/contoso", "jwks_uri": "https://a.b:99999/"}', "no https URL"),
        ("discovery", b"<html>", "no JSON"),
        ("discovery", b'{"issuer": "a", "issuer": "https://id.contoso.com/realms/contoso"}', "twice"),
        ("keys", b"[]", "no JSON object"),
        ("keys", b"{}", "no list of keys"),
        ("keys", b'{"keys": []}', "no key that can prove"),
        ("keys", b'{"keys": [5, null, {"kty": "RSA", "kid": "k1"}]}', "no key that can prove"),
    ],
)
async def test_documents_that_are_not_what_they_should_be(
    world: World, monkeypatch: pytest.MonkeyPatch, path: str, document: bytes, says: str
) -> None:
    asked = world.issuer.document

    def scripted(url: str) -> bytes:
        return document if ("openid-configuration" in url) is (path == "discovery") else asked(url)

    monkeypatch.setattr(world.issuer, "document", scripted)
    with pytest.raises(KeysUnknown, match=says):
        await world.knows()
    assert says in world.provider.status()["error"]


async def test_many_at_once_ask_once(world: World) -> None:
    answered = asyncio.Event()
    read = world.issuer.read

    async def slow(url: str) -> bytes:
        await answered.wait()
        return await read(url)

    world.issuer.read = slow  # type: ignore[method-assign]  # scripted
    asking = [asyncio.ensure_future(world.knows()) for _ in range(20)]
    await asyncio.sleep(0)
    asking[0].cancel()  # a client that went away takes nothing from the others
    answered.set()
    found = await asyncio.gather(*asking, return_exceptions=True)
    assert isinstance(found[0], asyncio.CancelledError)
    assert found[1:] == [True] * 19
    assert len(world.issuer.asked) == FETCH


async def test_closing_ends_what_is_under_way(world: World) -> None:
    never = asyncio.Event()

    async def silent(url: str) -> bytes:
        await never.wait()
        return b""

    world.issuer.read = silent  # type: ignore[method-assign]  # scripted
    asking = asyncio.ensure_future(world.provider.ask())
    await asyncio.sleep(0)
    await world.provider.close()
    with pytest.raises(asyncio.CancelledError):
        await asking


async def test_keys_of_both_kinds_may_have_one_name(world: World) -> None:
    world.issuer.keys = {"k1": RSA}
    world.issuer.more_keys = [{**EC.as_dict(private=False), "kid": "k1"}]
    assert await world.knows("k1")
    ec = read_token(world.issuer.sign(claims_at(world.clock.now()), by=EC))
    found = await world.provider.key(ec)
    assert found is not None
    assert found.key.key_type == "EC"

"""The organization while cmdlets work on it: found by identity at once, an Organization again at the end. The original stays as it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from mailwye.cmdlets.catalog import RECIPIENT_KINDS
from mailwye.cmdlets.like import is_like
from mailwye.cmdlets.syntax import Source
from mailwye.config.parsed import Parsed
from mailwye.config.problem import Places
from mailwye.config.schema import KINDS, NO_OBJECTS, ConfigObject, Organization, OrganizationSettings
from mailwye.smtp.address import AddressError, parse_address, parse_domain

_NEAR_ENOUGH = 0.6
_LOOKED_AT = 10_000  # objects among which the nearest name is sought

Marks = Mapping[str, int]
"""Field in Exchange's spelling → offset of the value that set it; "" → that of the statement."""

Words = Callable[[ConfigObject], tuple[str, ...]]
"""What people call an object, in lower case."""
_DEFAULT = "default"


class Workspace:
    """One organization being changed."""

    def __init__(self, organization: Organization) -> None:
        self._before = organization
        self._kinds: dict[str, dict[str, ConfigObject]] = {}
        self._indexes: dict[tuple[str, Words], _Index] = {}
        self._marks: dict[tuple[str, str], dict[str, int]] = {}
        self.settings: OrganizationSettings = organization.organization
        self.broken: set[tuple[str, str]] = set()
        """(space, text) of objects that a faulty statement should have made: what misses them is not told a second time."""

    def objects(self, kind: str) -> dict[str, ConfigObject]:
        """The objects of one kind by identity, in the order in which they were written."""
        if kind not in self._kinds:
            self._kinds[kind] = {thing.identity: thing for thing in self._before.objects(kind)}
        return self._kinds[kind]

    def same_identity(self, thing: ConfigObject) -> ConfigObject | None:
        """Another object that has this one's identity, of any kind that shares its space."""
        space = KINDS[thing.kind].space
        return next((found for kind in kinds_of(space) if (found := self.objects(kind).get(thing.identity)) is not None), None)

    def put(self, thing: ConfigObject, instead_of: ConfigObject | None, marks: Marks) -> None:
        """Add `thing`, or put it in the place of another one."""
        if isinstance(thing, OrganizationSettings):
            self.settings = thing
        else:
            known = self.objects(thing.kind)
            if instead_of is not None and instead_of.identity != thing.identity:
                del known[instead_of.identity]
                self._marks.pop((thing.kind, instead_of.identity), None)
            known[thing.identity] = thing
            for index in self._indexes_of(thing.kind):
                if instead_of is not None:
                    index.drop(instead_of)
                index.add(thing)
        self._marks.setdefault((thing.kind, thing.identity), {}).update(marks)

    def remove(self, thing: ConfigObject) -> None:
        """Take one away."""
        for index in self._indexes_of(thing.kind):
            index.drop(thing)
        del self.objects(thing.kind)[thing.identity]
        self._marks.pop((thing.kind, thing.identity), None)

    def find(self, kind: str, text: str) -> ConfigObject | None:
        """The object that people call `text`: its identity, a title that only it has, for recipients an alias. `kind` "": any recipient."""
        kinds = (kind,) if kind else RECIPIENT_KINDS
        identity = _identity(text, kinds[0])
        for one in kinds:
            if (found := self.objects(one).get(identity)) is not None:
                return found
        aliased = self._called(identity, kinds, _aliases) if kinds[0] in RECIPIENT_KINDS else []
        if aliased:
            return aliased[-1]
        if kind == "ReceiveConnector" and "\\" in text:
            return self.find(kind, text.partition("\\")[2])  # Exchange Server says EX1\\Default Frontend EX1
        titled = self._called(text.lower(), kinds, _titles)
        return titled[0] if len(titled) == 1 else None

    def default_domains(self) -> list[ConfigObject]:
        """The accepted domains that are the default: one, unless something is wrong."""
        return self._called(_DEFAULT, ("AcceptedDomain",), _default)

    def matching(self, kind: str, pattern: str) -> list[ConfigObject]:
        """The objects whose name or title is like `pattern` with * and ?."""
        kinds = (kind,) if kind else RECIPIENT_KINDS
        return [
            thing
            for one in kinds
            for thing in self.objects(one).values()
            if any(is_like(title, pattern) for title in (thing.identity, *_titles(thing)))
        ]

    def nearest(self, kind: str, text: str) -> str:
        """A remedy that names the object of the nearest name."""
        names = {thing.identity: _shown(thing) for one in ((kind,) if kind else RECIPIENT_KINDS) for thing in _first(self.objects(one))}
        import difflib

        near = difflib.get_close_matches(text.lower()[:64], names, n=1, cutoff=_NEAR_ENOUGH)
        if near:
            return f"Did you mean {names[near[0]]}?"
        return f"`mailwye get {kind or 'recipient'}` lists them"

    def organization(self) -> Organization:
        """What it is now. The same value where nothing was touched."""
        changed: dict[str, Any] = {
            KINDS[kind].attribute: tuple(things.values())
            for kind, things in self._kinds.items()
            if tuple(things.values()) != self._before.objects(kind)
        }
        if self.settings is not self._before.organization:
            changed["organization"] = self.settings
        return self._before.changed(**changed) if changed else self._before

    def touched(self, source: Source) -> Parsed[Organization]:
        """What was made or changed, with its places, as if it had come from a file: so that checks can name lines."""
        things: dict[str, list[ConfigObject]] = {}
        places: dict[tuple[str | int, ...], tuple[int, int]] = {}
        for (kind, identity), marks in self._marks.items():
            if kind == OrganizationSettings.kind:
                continue
            index = len(things.setdefault(kind, []))
            things[kind].append(self.objects(kind)[identity])
            for field, at in marks.items():
                places[(kind.lower(), index, field.lower()) if field else (kind.lower(), index)] = source.place(at)
        update = {KINDS[kind].attribute: tuple(found) for kind, found in things.items()}
        return Parsed(NO_OBJECTS.changed(**update), (), Places(source.file, places))

    def _called(self, word: str, kinds: Iterable[str], words: Words) -> list[ConfigObject]:
        """The objects that have `word` among their `words`."""
        found: list[ConfigObject] = []
        for kind in kinds:
            index = self._indexes.get((kind, words))
            if index is None:
                index = self._indexes[kind, words] = _Index(words, self.objects(kind).values())
            found += index.get(word)
        return found

    def _indexes_of(self, kind: str) -> list[_Index]:
        return [index for (of, _), index in self._indexes.items() if of == kind]


class _Index:
    """Objects of one kind by words; kept while they change, because a script may ask in every line."""

    def __init__(self, words: Words, things: Iterable[ConfigObject]) -> None:
        self._words = words
        self._found: dict[str, dict[str, ConfigObject]] = {}
        for thing in things:
            self.add(thing)

    def get(self, word: str) -> Iterable[ConfigObject]:
        return self._found.get(word, {}).values()

    def add(self, thing: ConfigObject) -> None:
        for word in self._words(thing):
            self._found.setdefault(word, {})[thing.identity] = thing

    def drop(self, thing: ConfigObject) -> None:
        for word in self._words(thing):
            self._found[word].pop(thing.identity, None)


def kinds_of(space: str) -> Iterator[str]:
    """The kinds whose identities must differ from one another."""
    return (kind for kind, entry in KINDS.items() if entry.space == space)


def _first(things: Mapping[str, ConfigObject]) -> Iterable[ConfigObject]:
    return (thing for thing, _ in zip(things.values(), range(_LOOKED_AT), strict=False))


def _identity(text: str, kind: str) -> str:
    """`text` as the schema writes an identity of this kind."""
    try:
        if kind in RECIPIENT_KINDS:
            return parse_address(text[5:] if text[:5].lower() == "smtp:" else text).key
        if kind == "AcceptedDomain":
            return parse_domain(text)
    except AddressError:
        pass
    return text.lower()


def _aliases(thing: ConfigObject) -> tuple[str, ...]:
    return tuple(address.key for address in getattr(thing, "email_addresses", ()))


def _default(thing: ConfigObject) -> tuple[str, ...]:
    return (_DEFAULT,) if getattr(thing, "default", False) else ()


def _titles(thing: ConfigObject) -> tuple[str, ...]:
    """Other words by which people call an object, in lower case."""
    name = getattr(thing, "display_name", "") or getattr(thing, "name", "")
    local = thing.identity.partition("@")[0] if thing.kind in RECIPIENT_KINDS else ""
    return tuple(word.lower() for word in (name, local) if word)


def _shown(thing: ConfigObject) -> str:
    return thing.label.partition('"')[2].rstrip('"') or thing.label

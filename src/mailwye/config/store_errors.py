"""What a store of settings raises. Apart from the port, so that who only reports them loads no schema."""

from __future__ import annotations

from mailwye.runtime.store_error import StoreError


class ConfigStoreError(StoreError):
    """The store cannot be read or written; the text names it and the remedy. Nothing was changed."""


class VersionConflict(ConfigStoreError):
    """Somebody saved in between. `current` is the version now; look at its difference and save again on top of it."""

    def __init__(self, expected: int, current: int) -> None:
        super().__init__(
            f"the settings are at version {current} now, this change was made from version {expected}; load {current} and repeat it"
        )
        self.expected = expected
        self.current = current


class DraftConflict(ConfigStoreError):
    """Somebody saved into the draft in between. `current` is its revision now."""

    def __init__(self, name: str, expected: int, current: int) -> None:
        super().__init__(
            f"the draft {name} is at revision {current} now, this change was made from revision {expected}; look, and repeat it"
        )
        self.expected = expected
        self.current = current


class NoSuchVersion(ConfigStoreError):
    """There is no version of this number."""

    def __init__(self, version: int) -> None:
        super().__init__(f"there is no version {version}; `mailwye config log` lists those that exist")
        self.version = version


class NoSuchDraft(ConfigStoreError):
    """There is no draft of this name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"there is no draft {name}; `mailwye draft list` lists those that exist, `mailwye draft new {name}` makes it")
        self.name = name


class DraftExists(ConfigStoreError):
    """There is one of this name already."""

    def __init__(self, name: str) -> None:
        super().__init__(f"there is a draft {name} already; `mailwye draft discard {name}` removes it")
        self.name = name

"""`dataclass` for values, of which there are many kinds and, of some kinds, several for every message.

A frozen dataclass costs twice. Where it is declared, the standard library writes and compiles the text of six functions: 1 to 2 ms for one
class (measured with CPython 3.11), and a command loads seventy, most of them to make no object at all. And each field is set through
`object.__setattr__`: an object of seven fields costs 1.07 µs, without that 0.16 µs, and every command, message and recipient makes some.

So here the standard library writes each function when it is called for the first time; and `frozen=True` is written for mypy, which refuses
whoever assigns to a field: at run time the class has slots, equality and a hash like a frozen one, and no guard. Use it as
`dataclasses.dataclass`:

    from mailwye.value import dataclass

    @dataclass(frozen=True, slots=True)
    class MailReceived: ...
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

__all__ = ["dataclass"]

if TYPE_CHECKING:
    from dataclasses import dataclass
else:
    T = TypeVar("T")

    def dataclass(*, frozen: bool, slots: bool) -> Callable[[type[T]], type[T]]:
        """`frozen` and `slots` must both be True: nothing else is a value."""
        if not (frozen and slots):
            raise TypeError("a value is declared with frozen=True, slots=True")
        return _declared


_WANTED = {
    "__init__": {"init": True},
    "__repr__": {"repr": True},
    "__eq__": {"eq": True},
    "__hash__": {"eq": True, "unsafe_hash": True},
}
"""What the standard library is asked for, to write one function."""


def _declared(cls: type[Any]) -> type[Any]:
    own = vars(cls)
    made: Any = dataclasses.dataclass(init=False, repr=False, eq=False, slots=True)(cls)
    for name in _WANTED:
        if own.get(name) is None:  # a class that has its own __eq__ has None for its hash
            setattr(made, name, _late(made, name))
    return made  # type: ignore[no-any-return]  # the class itself


def _late(cls: Any, name: str) -> Callable[..., Any]:
    """The function `name` of `cls` that makes way for the real one. (Two threads may both write it: it is the same.)"""

    def first(self: Any, *args: Any, **values: Any) -> Any:
        fields = [(field.name, field.type, field) for field in dataclasses.fields(cls)]
        after = {"__post_init__": cls.__post_init__} if hasattr(cls, "__post_init__") else {}
        wanted: Any = {"init": False, "repr": False, "eq": False, **_WANTED[name]}
        twin = dataclasses.make_dataclass(cls.__name__, fields, namespace=after, slots=True, **wanted)
        setattr(cls, name, getattr(twin, name))
        return getattr(cls, name)(self, *args, **values)

    return first

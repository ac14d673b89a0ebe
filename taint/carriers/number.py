"""`TaintedInt`: an `int` with labels, for what a query gives: ids that were found by labelled data.

A `TaintedProxy` of an `int` is refused by json, orjson, msgpack, sqlite3, psycopg and strict pydantic
models; a subclass of `int` is taken by all of them. Ids are in every row and go everywhere, so that
they must be carried by what nothing refuses. Calculating with one gives a labelled number again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

from taint.carriers import observation
from taint.carriers.text import carry_text
from taint.labels import NO_LABELS, Labels

__all__ = ["TaintedInt", "attributes_of", "set_attributes"]


class TaintedInt(int):
    """An `int` with labels; equality, order, hash and truth are those of the number.

    A subclass of `int` cannot have slots, only a `__dict__`; all numbers with the same labels share one, so that
    it must not be written to.
    """

    labels: Labels

    def __new__(cls, value: Any = 0, labels: Labels = NO_LABELS) -> Self:
        """Hold a number and its labels."""
        self = int.__new__(cls, value)
        if cls is TaintedInt:
            set_attributes(self, attributes_of(labels))
        else:
            self.__dict__["labels"] = labels
        return self

    def __setattr__(self, name: str, value: Any) -> None:
        """Refuse, as `int` does.

        Raises:
            AttributeError: A subclass of this class may have attributes of its own, this one has none.
        """
        if type(self) is TaintedInt:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        super().__setattr__(name, value)

    def __str__(self) -> str:
        """Write the number. Labels: on all of it."""
        return carry_text(int.__repr__(self), self.labels)

    def __repr__(self) -> str:
        """Write the number. Labels: on all of it."""
        return carry_text(int.__repr__(self), self.labels)

    def __format__(self, spec: str, /) -> str:
        """Format the number. Labels: on all of it."""
        return carry_text(int.__format__(self, spec), self.labels)

    def __hash__(self) -> int:
        """Hash as the number; a zone is told."""
        if observation.active:
            observation.observe(self.labels, "hash")
        return int.__hash__(self)

    def __copy__(self) -> Self:
        """Give the number itself, as for every immutable value."""
        return self

    def __deepcopy__(self, _memo: object) -> Self:
        """Give the number itself, as for every immutable value."""
        return self

    def __reduce_ex__(self, _protocol: Any, /) -> tuple[type[TaintedInt], tuple[int, Labels]]:
        """Pickle with labels, under every protocol."""
        return TaintedInt, (int(self), self.labels)


set_attributes = TaintedInt.__dict__["__dict__"].__set__
"""Gives a number what `attributes_of` gives: as `value.__dict__ = ...`, past `__setattr__`."""


def attributes_of(labels: Labels) -> dict[str, Any]:
    """Give what all numbers with these labels have as their `__dict__`: one object for each labels."""
    try:
        return labels.number_attributes
    except AttributeError:
        labels.number_attributes = attributes = {"labels": labels}
        return attributes


def _labels(value: object) -> Labels:
    return value.labels if isinstance(value, TaintedInt) else NO_LABELS


def _calculation(name: str) -> Callable[..., Any]:
    native: Callable[..., Any] = getattr(int, name)

    def method(self: TaintedInt, *others: Any) -> Any:
        result = native(self, *others)
        if type(result) is not int:
            return result
        labels = self.labels
        for other in others:
            labels |= _labels(other)
        return TaintedInt(result, labels)

    return method


def _comparison(name: str, sign: str) -> Callable[[TaintedInt, Any], Any]:
    native: Callable[[int, Any], Any] = getattr(int, name)

    def method(self: TaintedInt, other: Any) -> Any:
        if observation.active and other is not None:
            observation.observe(self.labels | _labels(other), sign)
        return native(self, other)

    return method


def _define_operators() -> None:
    methods: dict[str, Callable[..., Any]] = {}
    for name in ("add", "sub", "mul", "floordiv", "mod", "lshift", "rshift", "and", "or", "xor"):
        for method in (f"__{name}__", f"__r{name}__"):
            methods[method] = _calculation(method)
    for name in ("__neg__", "__pos__", "__abs__", "__invert__"):
        methods[name] = _calculation(name)
    for name, sign in (("eq", "=="), ("ne", "!="), ("lt", "<"), ("le", "<="), ("gt", ">"), ("ge", ">=")):
        methods[f"__{name}__"] = _comparison(f"__{name}__", sign)
    for name, function in methods.items():
        function.__name__, function.__qualname__ = name, f"TaintedInt.{name}"
        setattr(TaintedInt, name, function)


_define_operators()

# ruff: noqa: D102  # A rule is its name; what it expects stands in it.
"""Random chains of operations on carriers, against plain values and a model that knows nothing of ranges.

The model of a text is a tuple of characters, each with its own set of labels; every operation is written out for
it character by character. The carrier must give the native value, and labels that cover at least what the model
says; exactly that, where positions are preserved. `TAINT_ORACLE_SECONDS=600` runs the chains for that long.
"""

from __future__ import annotations

import itertools
import os
import pickle
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, assume, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, multiple, rule, run_state_machine_as_test

from taint import ranges_of
from taint.carriers.text import TaintedBytes, TaintedStr, carry_text
from taint.labels import Label, Labels

NAMES = ("security", "billing", "support")
LABEL = {name: Label(frozenset({name})) for name in NAMES}
SECONDS = float(os.environ.get("TAINT_ORACLE_SECONDS", "0"))

Owners = frozenset[str]
Model = tuple[tuple[str, Owners], ...]
NOBODY: Owners = frozenset()


def text_of(model: Model) -> str:
    """Give the characters of a model."""
    return "".join(character for character, _ in model)


def plain_model(text: str) -> Model:
    """Give the model of a plain text."""
    return tuple((character, NOBODY) for character in text)


def owned(text: str, owners: Owners) -> Model:
    """Give the model of a text that belongs to the same owners throughout."""
    return tuple((character, owners) for character in text)


def everybody(*models: Model) -> Owners:
    """Give the owners of any character of some models."""
    return frozenset(owner for model in models for _, owners in model for owner in owners)


def with_owners(model: Model, more: Owners) -> Model:
    """Add owners to every character."""
    return tuple((character, owners | more) for character, owners in model)


def carrier(model: Model) -> Any:
    """Make the carrier that a model describes."""
    spans, at = [], 0
    for owners, group in itertools.groupby(owners for _, owners in model):
        length = len(list(group))
        if owners:
            spans.append((at, at + length, Labels(LABEL[name] for name in owners)))
        at += length
    if not spans:
        return TaintedStr(text_of(model))
    whole = len(spans) == 1 and spans[0][1] - spans[0][0] == at
    return carry_text(text_of(model), spans[0][2] if whole else tuple(spans))


def read(value: Any) -> Model:
    """Give the model that a carrier amounts to."""
    text = bytes.decode(value, "latin-1") if isinstance(value, bytes) else str.__str__(value)
    owners = [NOBODY] * len(text)
    for start, stop, labels in ranges_of(value):
        for at in range(start, stop):
            owners[at] = frozenset(purpose for label in labels for purpose in label.purposes)
    return tuple(zip(text, owners, strict=True))


steps: Counter[str] = Counter()


def hold(name: str, given: Any, native: Any, expected: Any, *, exact: bool = True) -> None:
    """Hold a result against the native one and the model; of several results, each."""
    if isinstance(native, list | tuple):
        assert type(given) is type(native), name
        for item in zip(given, native, expected, strict=True):
            hold(name, *item, exact=exact)
        return
    steps[name] += 1
    assert given == native, name
    found = read(given)
    assert text_of(found) == text_of(expected), f"the model of {name} is wrong"
    for (_, actual), (_, wanted) in zip(found, expected, strict=True):
        assert actual >= wanted, f"{name} lost labels"
        assert actual == wanted or not exact, f"{name} covers too much"


SPACES = " \t\n\r\x0b\x0c\x1c\x1d\x1e\x1f\x85\xa0\u2028\u2029"
ASCII_SPACES = " \t\n\r\x0b\x0c"
LINE_ENDS = "\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"


def m_strip(model: Model, characters: str, *, left: bool, right: bool) -> Model:
    """Strip, a character at a time."""
    while left and model and model[0][0] in characters:
        model = model[1:]
    while right and model and model[-1][0] in characters:
        model = model[:-1]
    return model


def m_find(model: Model, part: str, start: int) -> int:
    """Find a text from a position on, -1 where it is not."""
    for at in range(start, len(model) - len(part) + 1):
        if text_of(model[at : at + len(part)]) == part:
            return at
    return -1


def m_split(model: Model, sep: str, limit: int) -> list[Model]:
    """Split at a separator."""
    parts: list[Model] = []
    start = 0
    while limit != len(parts) and (at := m_find(model, sep, start)) >= 0:
        parts.append(model[start:at])
        start = at + len(sep)
    return [*parts, model[start:]]


def m_words(model: Model, spaces: str, limit: int) -> list[Model]:
    """Split at whitespace."""
    words: list[Model] = []
    model = m_strip(model, spaces, left=True, right=False)
    while model:
        if limit == len(words):
            return [*words, model]
        end = next((at for at, (character, _) in enumerate(model) if character in spaces), len(model))
        words.append(model[:end])
        model = m_strip(model[end:], spaces, left=True, right=False)
    return words


def m_reversed(parts: Iterable[Model]) -> list[Model]:
    """Turn parts round, and each in itself."""
    return [part[::-1] for part in parts][::-1]


def m_lines(model: Model, ends: str, *, keep: bool) -> list[Model]:
    """Split at line ends."""
    lines: list[Model] = []
    start = at = 0
    while at < len(model):
        if model[at][0] in ends:
            width = 2 if text_of(model[at : at + 2]) == "\r\n" else 1
            lines.append(model[start : at + width if keep else at])
            start = at = at + width
        else:
            at += 1
    return [*lines, model[start:]] if start < len(model) else lines


def m_replace(model: Model, old: str, new: Model, limit: int) -> Model:
    """Replace, an occurrence at a time."""
    result: Model = ()
    at = count = 0
    while at <= len(model):
        if count != limit and text_of(model[at : at + len(old)]) == old and at + len(old) <= len(model):
            result += new
            count += 1
            if old:
                at += len(old)
                continue
        result += model[at : at + 1]
        at += 1
    return result


def m_tabs(model: Model, size: int) -> Model:
    """Expand tabs, a column at a time."""
    result: Model = ()
    column = 0
    for character, owners in model:
        if character == "\t":
            width = size - column % size if size > 0 else 0
            result += owned(" " * width, owners)
            column += width
        else:
            result += ((character, owners),)
            column = 0 if character in "\r\n" else column + 1
    return result


ALPHABET = "aAbB0-+,; \t\n\r'\\éß€ΣİǆŉÅ😀\x85"
OWNERS = st.sets(st.sampled_from(NAMES), max_size=2).map(frozenset)
RUNS = st.tuples(st.text(ALPHABET, min_size=1, max_size=6), OWNERS).map(lambda run: owned(*run))
MODELS = st.lists(RUNS, max_size=4).map(lambda runs: tuple(itertools.chain.from_iterable(runs)))
SHORT = st.text(ALPHABET, max_size=2)
LIMITS = st.integers(-1, 4)
POSITIONS = st.none() | st.integers(-12, 12)
LONGEST = 60


class Value(NamedTuple):
    """Where a chain has come to: the model, the carrier, and whether both should have the very same labels."""

    model: Model
    text: Any
    exact: bool

    @property
    def carrier(self) -> Any:
        """Give the text as a carrier: what lost its last label is a plain one."""
        return self.text if type(self.text) is TaintedStr else TaintedStr(self.text)


VALUES = st.builds(lambda model: Value(model, carrier(model), True), MODELS)
Expected = Callable[[bool], Any]
"""Gives what the model expects, of bytes or of text."""


def plain(value: Any) -> Any:
    """Give an argument without its labels."""
    if isinstance(value, Value):
        return text_of(value.model)
    return [plain(item) for item in value] if isinstance(value, list) else value


def labelled(value: Any) -> Any:
    """Give an argument with its labels."""
    if isinstance(value, Value):
        return value.text
    return [labelled(item) for item in value] if isinstance(value, list) else value


def in_bytes(value: Any) -> Any:
    """Give an argument of a text's method as that of a byte string's."""
    if isinstance(value, str):
        return TaintedBytes(value.encode("latin-1")) if type(value) is TaintedStr else value.encode("latin-1")
    return [in_bytes(item) for item in value] if isinstance(value, list) else value


def is_exact(*values: Any) -> bool:
    """Tell whether all operands still have exactly the labels of their models."""
    return all(
        is_exact(*value) if isinstance(value, list) else value.exact
        for value in values
        if isinstance(value, Value | list)
    )


class Chains(RuleBasedStateMachine):
    """Operations on what operations gave, on text and on the same text as Latin-1 bytes."""

    values = Bundle("values")

    def do(self, name: str, value: Value, args: list[Any], expect: Expected, *, exact: bool = True) -> Any:
        """Do one operation on both, hold it against the model, and give what it gave for text."""
        exact = exact and is_exact(value, *args)
        native = getattr(text_of(value.model), name)(*plain(args))
        given = getattr(value.carrier, name)(*labelled(args))
        expected = expect(False)
        hold(name, given, native, expected, exact=exact)
        self.do_bytes(name, value, args, expect, exact=exact)
        if isinstance(given, list | tuple):
            pairs = zip(expected, given, strict=True)
            return multiple(*(Value(model, text, exact) for model, text in itertools.islice(pairs, 3)))
        return Value(expected, given, exact) if len(given) <= LONGEST else multiple()

    def do_bytes(self, name: str, value: Value, args: list[Any], expect: Expected, *, exact: bool) -> None:
        try:
            data, given = in_bytes(value.carrier), in_bytes(labelled(args))
            native = getattr(bytes(bytearray(data)), name)(*in_bytes(plain(args)))
        except (UnicodeEncodeError, AttributeError):
            return  # Not in Latin-1, or bytes have no such method.
        hold(f"bytes.{name}", getattr(data, name)(*given), native, expect(True), exact=exact)

    @rule(target=values, value=VALUES)
    def make(self, value: Value) -> Value:
        hold("make", value.text, text_of(value.model), value.model)
        return value

    @rule(target=values, value=values, other=values)
    def add(self, value: Value, other: Value) -> Any:
        return self.do("__add__", value, [other], lambda _: value.model + other.model)

    @rule(target=values, value=values, text=SHORT)
    def add_plain(self, value: Value, text: str) -> Any:
        hold(
            "plain +",
            text + value.text,
            text + text_of(value.model),
            plain_model(text) + value.model,
            exact=value.exact,
        )
        return self.do("__add__", value, [text], lambda _: value.model + plain_model(text))

    @rule(
        target=values, value=values, start=POSITIONS, stop=POSITIONS, step=st.sampled_from((None, 1, 2, 3, -1, -2, -5))
    )
    def cut(self, value: Value, start: int | None, stop: int | None, step: int | None) -> Any:
        part = slice(start, stop, step)
        return self.do("__getitem__", value, [part], lambda _: value.model[part])

    @rule(target=values, value=values, at=st.integers(-12, 12))
    def item(self, value: Value, at: int) -> Any:
        if -len(value.model) <= at < len(value.model):
            item = (value.model[at],)
            hold("[]", value.carrier[at], text_of(item), item, exact=value.exact)
            return Value(item, value.carrier[at], value.exact)
        with pytest.raises(IndexError):
            value.carrier[at]
        return multiple()

    @rule(target=values, value=values)
    def iterate(self, value: Value) -> Any:
        hold("iter", list(value.text), list(text_of(value.model)), [(item,) for item in value.model], exact=value.exact)
        hold(
            "reversed",
            list(reversed(value.text)),
            list(text_of(value.model)[::-1]),
            [(c,) for c in value.model[::-1]],
            exact=value.exact,
        )
        return self.do(
            "join",
            Value((), TaintedStr(), exact=True),
            [[Value((c,), carrier((c,)), exact=True) for c in value.model]],
            lambda _: value.model,
        )

    @rule(target=values, value=values, count=st.integers(-1, 3))
    def repeat(self, value: Value, count: int) -> Any:
        hold("int *", count * value.text, count * text_of(value.model), value.model * count, exact=value.exact)
        return self.do("__mul__", value, [count], lambda _: value.model * count)

    @rule(
        target=values, value=values, characters=st.none() | SHORT, name=st.sampled_from(("strip", "lstrip", "rstrip"))
    )
    def strip(self, value: Value, characters: str | None, name: str) -> Any:
        def expect(is_bytes: bool) -> Model:
            wanted = (ASCII_SPACES if is_bytes else SPACES) if characters is None else characters
            return m_strip(value.model, wanted, left=name != "rstrip", right=name != "lstrip")

        return self.do(name, value, [characters], expect)

    @rule(target=values, value=values, part=SHORT)
    def remove(self, value: Value, part: str) -> Any:
        text, size = text_of(value.model), len(part)
        self.do(
            "removesuffix",
            value,
            [part],
            lambda _: value.model[:-size] if part and text.endswith(part) else value.model,
        )
        return self.do(
            "removeprefix", value, [part], lambda _: value.model[size:] if text.startswith(part) else value.model
        )

    @rule(target=values, value=values, sep=st.text("a ,\t", min_size=1, max_size=2), limit=LIMITS, right=st.booleans())
    def split(self, value: Value, sep: str, limit: int, right: bool) -> Any:
        if right:
            return self.do(
                "rsplit", value, [sep, limit], lambda _: m_reversed(m_split(value.model[::-1], sep[::-1], limit))
            )
        return self.do("split", value, [sep, limit], lambda _: m_split(value.model, sep, limit))

    @rule(target=values, value=values, limit=LIMITS, right=st.booleans())
    def words(self, value: Value, limit: int, right: bool) -> Any:
        def expect(is_bytes: bool) -> list[Model]:
            spaces = ASCII_SPACES if is_bytes else SPACES
            return (
                m_reversed(m_words(value.model[::-1], spaces, limit)) if right else m_words(value.model, spaces, limit)
            )

        return self.do("rsplit" if right else "split", value, [None, limit], expect)

    @rule(target=values, value=values, keep=st.booleans())
    def lines(self, value: Value, keep: bool) -> Any:
        return self.do(
            "splitlines",
            value,
            [keep],
            lambda is_bytes: m_lines(value.model, "\r\n" if is_bytes else LINE_ENDS, keep=keep),
        )

    @rule(target=values, value=values, sep=st.text("aB,", min_size=1, max_size=2), right=st.booleans())
    def partition(self, value: Value, sep: str, right: bool) -> Any:
        def expect(_: bool) -> list[Model]:
            model, part = (value.model[::-1], sep[::-1]) if right else (value.model, sep)
            at = m_find(model, part, 0)
            parts = [model, (), ()] if at < 0 else [model[:at], model[at : at + len(sep)], model[at + len(sep) :]]
            return m_reversed(parts) if right else parts

        return self.do("rpartition" if right else "partition", value, [sep], expect)

    @rule(
        target=values,
        value=values,
        name=st.sampled_from(("upper", "lower", "swapcase", "casefold", "title", "capitalize")),
    )
    def case(self, value: Value, name: str) -> Any:
        text = text_of(value.model)
        is_kept = len(getattr(text, name)()) == len(text)

        def expect(is_bytes: bool) -> Model:
            native = getattr(text.encode("latin-1"), name)().decode("latin-1") if is_bytes else getattr(text, name)()
            if len(native) == len(text):
                return tuple((character, owners) for character, (_, owners) in zip(native, value.model, strict=True))
            pieces = [owned(getattr(character, name)(), owners) for character, owners in value.model]
            if name in ("title", "capitalize") or len(native) != sum(map(len, pieces)):
                return owned(native, everybody(value.model))
            owners = [each for piece in pieces for _, each in piece]
            return tuple(zip(native, owners, strict=True))

        return self.do(name, value, [], expect, exact=is_kept)

    @rule(target=values, value=values, old=SHORT, new=values, limit=LIMITS)
    def replace(self, value: Value, old: str, new: Value, limit: int) -> Any:
        return self.do("replace", value, [old, new, limit], lambda _: m_replace(value.model, old, new.model, limit))

    @rule(target=values, value=values, items=st.lists(values | VALUES, max_size=4))
    def join(self, value: Value, items: list[Value]) -> Any:
        def expect(_: bool) -> Model:
            result: Model = ()
            for at, item in enumerate(items):
                result += (value.model if at else ()) + item.model
            return result

        return self.do("join", value, [items], expect)

    @rule(
        target=values,
        value=values,
        width=st.integers(0, 20),
        fill=st.none() | RUNS.map(lambda model: model[:1]),
        name=st.sampled_from(("ljust", "rjust", "center")),
    )
    def pad(self, value: Value, width: int, fill: Model | None, name: str) -> Any:
        missing = max(width - len(value.model), 0)
        left = {"ljust": 0, "rjust": missing, "center": missing // 2 + (missing & width & 1)}[name]
        filled = plain_model(" ") if fill is None else fill
        args = [width] if fill is None else [width, Value(fill, carrier(fill), exact=True)]
        return self.do(name, value, args, lambda _: filled * left + value.model + filled * (missing - left))

    @rule(target=values, value=values, width=st.integers(0, 20))
    def zfill(self, value: Value, width: int) -> Any:
        sign = value.model[:1] if text_of(value.model)[:1] in ("+", "-") else ()
        zeros = plain_model("0" * max(width - len(value.model), 0))
        return self.do("zfill", value, [width], lambda _: sign + zeros + value.model[len(sign) :])

    @rule(target=values, value=values, size=st.integers(-1, 9))
    def expandtabs(self, value: Value, size: int) -> Any:
        return self.do("expandtabs", value, [size], lambda _: m_tabs(value.model, size))

    @rule(target=values, value=values, old=st.sampled_from(ALPHABET), new=st.none() | MODELS)
    def translate(self, value: Value, old: str, new: Model | None) -> Any:
        put = () if new is None else new
        expected = tuple(
            itertools.chain.from_iterable(
                with_owners(put, owners) if character == old else ((character, owners),)
                for character, owners in value.model
            )
        )
        table = {ord(old): None if new is None else carrier(new)}
        hold(
            "translate",
            value.carrier.translate(table),
            text_of(value.model).translate(table),
            expected,
            exact=value.exact,
        )
        return Value(expected, value.carrier.translate(table), value.exact) if len(expected) <= LONGEST else multiple()

    @rule(value=values, deleted=st.text("aAbB0é", max_size=3))
    def translate_bytes(self, value: Value, deleted: str) -> None:
        assume(text_of(value.model).isascii())
        kept = tuple(pair for pair in value.model if pair[0] not in deleted)
        table, delete = bytes(range(256)).swapcase(), deleted.encode("latin-1")
        data = value.carrier.encode("ascii")
        native = bytes(bytearray(data)).translate(table, delete)
        expected = tuple((character.swapcase(), owners) for character, owners in kept)
        hold("bytes.translate", data.translate(table, delete), native, expected, exact=value.exact)

    @rule(
        target=values,
        value=values,
        codec=st.sampled_from(
            ("utf-8", "utf-16", "utf-16-le", "utf-32", "utf-8-sig", "utf-7", "gb18030", "latin-1", "ascii")
        ),
        errors=st.sampled_from(("strict", "ignore", "replace", "xmlcharrefreplace", "backslashreplace")),
    )
    def codec(self, value: Value, codec: str, errors: str) -> Any:
        text = text_of(value.model)
        try:
            native = text.encode(codec, errors)
        except UnicodeEncodeError:
            with pytest.raises(UnicodeEncodeError):
                value.carrier.encode(codec, errors)
            return multiple()
        data = value.carrier.encode(codec, errors)
        assert data == native
        if native.decode(codec) != text:
            return multiple()
        back = data.decode(codec)
        hold(f"encode and decode {codec}", back, text, value.model, exact=value.exact and codec != "utf-7")
        return Value(value.model, back, exact=value.exact and codec != "utf-7")

    @rule(target=values, value=values, at=st.integers(0, 40))
    def cut_encoded(self, value: Value, at: int) -> Any:
        """Cut the bytes of a text anywhere, also within a character."""
        data = value.carrier.encode()
        owners = [owners for character, owners in value.model for _ in character.encode()]
        native = text_of(value.model).encode()
        left, right = data[:at], data[at:]
        assert left + right == native
        joined = left + right
        for place, owner in enumerate(owners):
            one = joined[place : place + 1]
            assert read(one)[0][1] >= owner
        hold("cut bytes", joined.decode(), text_of(value.model), value.model, exact=value.exact)
        loose = right.decode("utf-8", "replace")
        tail = native[at:].decode("utf-8", "replace")
        assert loose == tail
        if right:
            assert everybody(read(loose)) >= frozenset().union(*owners[at:])
        return Value(value.model, joined.decode(), value.exact)

    @rule(
        target=values,
        value=values,
        spec=st.tuples(
            st.sampled_from(("", "*<", "0>", "é^")),
            st.sampled_from(("", "3", "9")),
            st.sampled_from(("", ".0", ".2", ".7")),
            st.sampled_from(("", "s")),
        ),
    )
    def format_spec(self, value: Value, spec: tuple[str, str, str, str]) -> Any:
        align, width, precision, _ = spec
        kept = value.model[: int(precision[1:])] if precision else value.model
        missing = max(int(width or 0) - len(kept), 0)
        left = {"<": 0, ">": missing, "^": missing // 2}[align[1:] or "<"]
        fill = plain_model(align[:1] or " ")
        expected = fill * left + kept + fill * (missing - left)
        text, native = format(value.text, "".join(spec)), format(text_of(value.model), "".join(spec))
        hold("format()", text, native, expected, exact=value.exact)
        return Value(expected, text, value.exact)

    @rule(
        target=values,
        before=SHORT,
        value=values,
        after=SHORT,
        width=st.integers(-6, 6),
        precision=st.none() | st.integers(0, 5),
    )
    def percent(self, before: str, value: Value, after: str, width: int, precision: int | None) -> Any:
        kept = value.model if precision is None else value.model[:precision]
        pad = plain_model(" " * max(abs(width) - len(kept), 0))
        middle = kept + pad if width < 0 else pad + kept
        directive = f"%{width or ''}" + ("" if precision is None else f".{precision}") + "s"
        template = before.replace("%", "%%") + directive + after.replace("%", "%%")
        expected = plain_model(before) + middle + plain_model(after)
        given = template % value.text
        hold("plain %", given, template % text_of(value.model), expected, exact=value.exact)
        return Value(expected, given, value.exact)

    @rule(target=values, template=values, first=values, second=values)
    def template(self, template: Value, first: Value, second: Value) -> Any:
        """Fill a labelled template, whose labels go on all of the result."""
        model = tuple(pair for pair in template.model if pair[0] not in "%{}")
        half, owners = len(model) // 2, everybody(template.model)
        directive = owned("%s", owners)
        whole = carrier(model[:half] + directive + model[half:] + directive)
        filled = with_owners(model[:half] + first.model + model[half:] + second.model, owners)
        given = whole % (first.text, second.text)
        native = str.__str__(whole) % (text_of(first.model), text_of(second.model))
        exact = is_exact(template, first, second)
        hold("%", given, native, filled, exact=exact)
        braces = owned("{}", owners)
        whole = carrier(model[:half] + braces + model[half:] + braces)
        hold("format", whole.format(first.text, second.text), native, filled, exact=exact)
        return Value(filled, given, exact) if len(filled) <= LONGEST else multiple()

    @rule(target=values, value=values, protocol=st.integers(0, pickle.HIGHEST_PROTOCOL))
    def pickled(self, value: Value, protocol: int) -> Any:
        back = pickle.loads(pickle.dumps(value.text, protocol))  # noqa: S301  # Made in the same line.
        hold("pickle", back, text_of(value.model), value.model, exact=value.exact)
        return Value(value.model, back, value.exact)

    @rule(target=values, value=values)
    def shown(self, value: Value) -> Any:
        hold("str", str(value.text), text_of(value.model), value.model, exact=value.exact)
        text = text_of(value.model)
        is_same = repr(text)[1:-1] == text
        quote = plain_model(repr(text)[0])
        expected = quote + value.model + quote if is_same else owned(repr(text), everybody(value.model))
        hold("repr", repr(value.text), repr(text), expected, exact=value.exact)
        return value


def test_chains() -> None:
    """However operations follow one another, the value is the native one and no label is lost."""
    deadline = time.monotonic() + SECONDS
    while True:
        run_state_machine_as_test(
            Chains,
            settings=settings(
                max_examples=2000 if SECONDS else 60,
                stateful_step_count=40,
                deadline=None,
                derandomize=not SECONDS,
                database=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
        sys.stdout.write(f"{steps.total()} results held against the model\n")
        if time.monotonic() >= deadline:
            break
    assert min(steps.values()) > 0
    assert len(steps) >= 60, sorted(steps)

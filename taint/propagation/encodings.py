"""Binary to text and back: `base64`, `binascii`, `quopri`, `codecs`, `struct`, `marshal`, `pickle`.

An encoding that turns a fixed number of bytes into a fixed number of characters keeps positions: the
group that a labelled byte is in is labelled. `marshal` refuses subclasses; it is given plain copies.
"""

from __future__ import annotations

import binascii
import pickle  # noqa: F401  # It takes `codecs.encode` for good when it is imported, and has to get the native one.
import types
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

from taint.carriers.coverage import concatenated, cut, flat, spans_of, tidy
from taint.carriers.operations import coverage_of
from taint.carriers.values import labels_of
from taint.labels import Labels
from taint.propagation.follow import (
    Rule,
    carry_texts,
    checksum,
    covered,
    exact,
    followed,
    labels_in_call,
    lost,
    on_all,
    piecewise,
    through,
)
from taint.propagation.guards import on_carriers
from taint.propagation.patches import Patch, Standing, Wrapper, patches_in
from taint.propagation.regex import seeing_patterns

__all__ = ["patches"]


def _blocks(taken: int, given: int) -> Rule:
    """Give the rule of an encoding that turns blocks of `taken` into blocks of `given`."""

    def rule(value: Any, _native: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        data: Any = args[0] if args else kwargs.get("s", kwargs.get("data"))
        coverage = coverage_of(data)
        if coverage is None:
            return carry_texts(value, labels_in_call(args, kwargs))
        blocks = -(-len(data) // taken)
        lines = value.splitlines(keepends=True)
        length = sum(len(line.rstrip(b"\n")) for line in lines)
        # Shorter by less than a block where the last one is not full; anything else had characters left out.
        if type(coverage) is Labels or not blocks * given - max(given - 1, 0) <= length <= blocks * given:
            return covered(value, flat(coverage))
        spans = ((a // taken * given, min(-(-b // taken) * given, length), own) for a, b, own in spans_of(coverage, 0))
        whole, at, pieces = tidy(_apart(spans), length), 0, []
        for line in lines:
            size = len(line.rstrip(b"\n"))
            pieces += [(cut(whole, at, at + size), size), (None, len(line) - size)]
            at += size
        return carry_texts(covered(value, concatenated(pieces)), labels_in_call(args[1:], kwargs))

    return rule


def _apart(spans: Any) -> Iterator[tuple[int, int, Labels]]:
    """Let spans that meet in one block share it."""
    found: list[tuple[int, int, Labels]] = []
    for start, stop, labels in spans:
        if found and found[-1][1] > start:
            first, last, before = found.pop()
            found += [(first, start, before), (start, last, before | labels), (last, stop, labels)]
        else:
            found.append((start, stop, labels))
    return iter(found)


def _coded(value: Any, native: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Rule of `codecs.encode` and `.decode`: as the method of the text, else stretch by stretch."""
    data, *rest = args
    rest = [exact(other) for other in rest]
    method = getattr(data, "encode" if isinstance(data, str) else "decode", None)
    if type(value) is not type(exact(data)) and method is not None and isinstance(value, str | bytes):
        try:
            result = method(*rest, **kwargs)
        except LookupError:  # Not an encoding of text, such as base64.
            result = None
        if result == value:
            return result
    return piecewise(value, lambda piece: native(piece, *rest, **kwargs), data)


def _plain_copy(value: Any) -> Any:
    """Copy a value with exact leaves; what holds no carrier stays the same object."""
    kind = type(value)
    if kind is tuple or kind is list or kind is set or kind is frozenset:
        return kind(map(_plain_copy, value))
    if kind is dict:
        return {_plain_copy(key): _plain_copy(item) for key, item in value.items()}
    return exact(value)


def _marshalled(wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    labels = labels_in_call(args[:1], {})
    if not labels:
        return wrapped(*args, **kwargs)
    return carry_texts(wrapped(_plain_copy(args[0]), *args[1:], **kwargs), labels)


def _unpickled(value: Any, _native: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Rule of `pickle.loads`: a pickle brings the labels of its leaves; else all are labelled."""
    return value if labels_of(value) else carry_texts(value, labels_in_call(args, kwargs))


def _before_base64(native: Callable[..., Any], concerned: Callable[..., Any]) -> Callable[..., Any]:
    """Encode what is plain by the C functions of `binascii` themselves: it need not be asked for labels again."""
    functions = {name: getattr(value, "_native", value) for name, value in vars(binascii).items()}
    return on_carriers(seeing_patterns(native, binascii=types.SimpleNamespace(**functions)), concerned)


def _base64(wrapper: Wrapper) -> Wrapper:
    return Standing(wrapper, _before_base64)


_BASE64 = {
    **dict.fromkeys(("b64encode", "standard_b64encode", "urlsafe_b64encode", "encodebytes"), (3, 4)),
    **dict.fromkeys(("b64decode", "standard_b64decode", "urlsafe_b64decode"), (4, 3)),
    **dict.fromkeys(("b32encode", "b32hexencode"), (5, 8)),
    **dict.fromkeys(("b32decode", "b32hexdecode"), (8, 5)),
    **dict.fromkeys(("b16encode",), (1, 2)),
    **dict.fromkeys(("b16decode",), (2, 1)),
}
_HEX = {
    **dict.fromkeys(("hexlify", "b2a_hex"), (1, 2)),
    **dict.fromkeys(("unhexlify", "a2b_hex"), (2, 1)),
    "b2a_base64": (3, 4),
    "a2b_base64": (4, 3),
}
_ON_ALL = followed(on_all)
_WRAPPERS: dict[str, dict[str, Wrapper]] = {
    "base64": {
        **{name: _base64(followed(_blocks(*sizes))) for name, sizes in _BASE64.items()},
        **dict.fromkeys(("a85encode", "a85decode", "b85encode", "b85decode"), _ON_ALL),
        "decodebytes": _base64(_ON_ALL),
        **dict.fromkeys(("z85encode", "z85decode"), _ON_ALL),
    },
    "binascii": {
        **{name: followed(_blocks(*sizes)) for name, sizes in _HEX.items()},
        **dict.fromkeys(("b2a_qp", "a2b_qp"), followed(through)),
        **dict.fromkeys(("b2a_uu", "a2b_uu"), _ON_ALL),
        "crc32": checksum,
        "crc_hqx": checksum,
    },
    "quopri": dict.fromkeys(("encodestring", "decodestring", "b2a_qp", "a2b_qp"), followed(through)),
    "codecs": {
        **dict.fromkeys(("encode", "decode"), followed(_coded)),
        **dict.fromkeys(("escape_encode", "escape_decode", "unicode_escape_decode", "unicode_escape_encode"), _ON_ALL),
        **dict.fromkeys(("utf_8_encode", "utf_8_decode", "latin_1_encode", "latin_1_decode"), _ON_ALL),
        **dict.fromkeys(("ascii_encode", "ascii_decode", "charmap_encode", "charmap_decode"), _ON_ALL),
        **dict.fromkeys(("utf_16_encode", "utf_16_decode", "utf_32_encode", "utf_32_decode"), _ON_ALL),
        **dict.fromkeys(("utf_7_encode", "utf_7_decode", "raw_unicode_escape_encode", "readbuffer_encode"), _ON_ALL),
        "raw_unicode_escape_decode": _ON_ALL,
    },
    "struct": {
        "pack": _ON_ALL,
        "unpack": _ON_ALL,
        "unpack_from": _ON_ALL,
        "iter_unpack": lost("struct.iter_unpack"),
        "pack_into": lost("struct.pack_into"),
    },
    "marshal": {"dumps": _marshalled, "dump": _marshalled, "loads": _ON_ALL},
    "pickle": {"dumps": followed(on_all, deep=True, plain=False), "loads": followed(_unpickled)},
}


def patches(module: ModuleType) -> Iterator[Patch]:
    """Give what there is to wrap in one of these modules."""
    return patches_in(module, _WRAPPERS[module.__name__])

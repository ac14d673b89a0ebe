"""Reading a MessagePack document with positions, for `taint.propagation.pairing`.

The format is that of https://github.com/msgpack/msgpack/blob/master/spec.md.
"""

from __future__ import annotations

from itertools import accumulate

from taint.propagation.pairing import Node

__all__ = ["msgpack_tree"]

# First byte: how many bytes the value takes after it.
_FIXED = {
    **dict.fromkeys((*range(0x80), *range(0xE0, 0x100), 0xC0, 0xC2, 0xC3), 0),
    **dict(zip(range(0xCA, 0xD4), (4, 8, 1, 2, 4, 8, 1, 2, 4, 8), strict=True)),
    **dict(zip(range(0xD4, 0xD9), (2, 3, 5, 9, 17), strict=True)),  # Extensions of fixed size, with their type.
}
# First byte: how many bytes the size takes.
_BYTES = {0xC4: 1, 0xC5: 2, 0xC6: 4}
_EXTENSION = {0xC7: 1, 0xC8: 2, 0xC9: 4}
_TEXT = {0xD9: 1, 0xDA: 2, 0xDB: 4}
_ARRAY = {0xDC: 2, 0xDD: 4}
_MAP = {0xDE: 2, 0xDF: 4}


def msgpack_tree(document: bytes) -> Node:
    """Read a MessagePack document that a library has accepted.

    Args:
        document: Exact bytes.

    Raises:
        IndexError, KeyError: It is not one.
    """
    return _node(document, 0)


def _node(document: bytes, at: int) -> Node:
    code = document[at]
    if code in _FIXED:
        return Node(at, at + 1 + _FIXED[code])
    if 0x80 <= code <= 0x8F:  # noqa: PLR2004  # The format's own numbers, here and below.
        return _map(document, at, at + 1, code & 0x0F)
    if 0x90 <= code <= 0x9F:  # noqa: PLR2004
        return _array(document, at, at + 1, code & 0x0F)
    if 0xA0 <= code <= 0xBF:  # noqa: PLR2004
        return _text(document, at, at + 1, code & 0x1F)
    for codes, read in ((_TEXT, _text), (_BYTES, _bytes), (_ARRAY, _array), (_MAP, _map)):
        if code in codes:
            begin = at + 1 + codes[code]
            return read(document, at, begin, int.from_bytes(document[at + 1 : begin], "big"))
    begin = at + 1 + _EXTENSION[code]
    return Node(at, begin + 1 + int.from_bytes(document[at + 1 : begin], "big"))


def _text(document: bytes, start: int, begin: int, size: int) -> Node:
    stop = begin + size
    try:
        text = document[begin:stop].decode()
    except UnicodeDecodeError:
        return _bytes(document, start, begin, size)
    if len(text) == size:
        return Node(start, stop, text, range(begin, stop + 1))
    return Node(start, stop, text, list(accumulate((len(character.encode()) for character in text), initial=begin)))


def _bytes(document: bytes, start: int, begin: int, size: int) -> Node:
    return Node(start, begin + size, document[begin : begin + size], range(begin, begin + size + 1))


def _array(document: bytes, start: int, begin: int, size: int) -> Node:
    items = []
    for _ in range(size):
        items.append(_node(document, begin))
        begin = items[-1].stop
    return Node(start, begin, items=tuple(items))


def _map(document: bytes, start: int, begin: int, size: int) -> Node:
    parts = _array(document, start, begin, 2 * size)
    nodes = parts.items or ()
    return Node(start, parts.stop, members=tuple(zip(nodes[::2], nodes[1::2], strict=True)))

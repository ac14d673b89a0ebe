"""`json`: a document knows which part of it was labelled, and loading it labels the same leaves.

Only three methods are wrapped, so that the classes stay the identical ones and subclasses work:
`JSONEncoder.encode` and `.iterencode`, `JSONDecoder.raw_decode`. Where nothing is labelled the C
encoder and the C scanner do the work, and also where only whole strings are and no function of the
program is to be called (`taint.propagation.json_strings`). Else json's own Python encoder and scanner
do, with a function for strings that keeps labels; `default`, `object_hook` and their kin are called as
often and in the same order.

A number is plain after loading, since database drivers refuse a proxy of one, unless exactly its
digits are labelled: then somebody labelled that number.
"""

from __future__ import annotations

import json.decoder
import json.encoder
import json.scanner
import types
from collections.abc import Callable, Iterable, Iterator
from json.decoder import JSONDecoder
from types import ModuleType
from typing import Any

from taint.carriers.coverage import cut
from taint.carriers.operations import coverage_of
from taint.carriers.proxy import TaintedProxy, labels_of_carrier
from taint.carriers.text import TaintedStr, carry_text, join_pieces
from taint.carriers.values import labels_of
from taint.guard import report_internal_error
from taint.labels import Labels
from taint.losses import count_loss
from taint.propagation.follow import carry_texts, covered, exact, is_plain, is_plain_document, known, piecewise
from taint.propagation.json_strings import cover_texts, label_strings, string_coverage, strings_in
from taint.propagation.json_tree import plain_document
from taint.propagation.patches import ForCarriers, Patch, Standing, is_ours, patches_in
from taint.propagation.regex import TaintedPattern, seeing_patterns

__all__ = ["patches"]

_Chunks = Iterable[str]
_FAST = (json.encoder.c_make_encoder, json.scanner.c_make_scanner)  # type: ignore[attr-defined]  # Not in typeshed.


def _quoted(encoder: Any) -> Callable[[str], str]:
    """Give the function that writes a string of the document: labels stay between the quotes."""
    native = json.encoder.encode_basestring_ascii if encoder.ensure_ascii else json.encoder.encode_basestring

    def quoted(text: str) -> str:
        value: str = native(exact(text))
        if not isinstance(text, TaintedStr):
            return value
        inside: str = piecewise(value[1:-1], lambda piece: native(piece)[1:-1], text)
        return '"' + inside + '"'

    return quoted


def _number(encoder: Any) -> Callable[[Any], str]:
    """Give the function that writes a number, as the native one does."""
    native = json.encoder.JSONEncoder(allow_nan=encoder.allow_nan)

    def number(value: Any) -> str:
        return carry_text(native.encode(exact(value)), labels_of_carrier(value))

    return number


def _has_default(encoder: Any) -> bool:
    return "default" in vars(encoder) or type(encoder).default is not json.encoder.JSONEncoder.default


def _refuse(leaf: Any) -> Any:
    """Refuse what cannot be written, by the name of its own type, as an encoder without a `default` does."""
    return _NATIVE.default(exact(leaf))


_NATIVE = json.encoder.JSONEncoder()


def _encode(wrapped: Callable[..., Any], encoder: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    value = args[0] if args else kwargs.get("o")
    if isinstance(value, TaintedStr):
        return _quoted(encoder)(value)
    if len(args) != 1 or isinstance(value, str):
        return wrapped(*args, **kwargs)
    try:
        return _joined(encoder.iterencode(value, _one_shot=True))
    except RecursionError:
        if _has_default(encoder) or not is_ours(type(encoder).iterencode):
            raise
    # Too deep for Python, which needs not be so for C.
    return carry_text("".join(type(encoder).iterencode.__wrapped__(encoder, value, _one_shot=True)), labels_of(value))


def _joined(chunks: _Chunks) -> str:
    if not isinstance(chunks, list | tuple):
        chunks = list(chunks)
    return join_pieces(list(chunks)) if any(type(chunk) is TaintedStr for chunk in chunks) else "".join(chunks)


def _before_encode(native: Callable[..., Any], concerned: Callable[..., Any]) -> Callable[..., Any]:
    """Encode what is plain in C, without asking the same again on the way.

    What marshal takes in its version 2 holds itself nowhere, so that the encoder need not look for cycles, which
    makes up for most of the question.
    """
    default = json.encoder.JSONEncoder.default
    asked_last: Any = None

    def encode(encoder: Any, o: Any) -> Any:
        nonlocal asked_last
        if type(o) not in _SHAPES:
            return native(encoder, o) if type(o) is str else concerned(encoder, o)
        iterencode = type(encoder).iterencode
        if iterencode is not asked_last:
            if not is_ours(iterencode):
                return concerned(encoder, o)
            asked_last = iterencode
        if o is not known.document and not is_plain(o):
            return concerned(encoder, o)
        is_fast = encoder.indent is None and json.encoder.c_make_encoder is _FAST[0] is not None  # type: ignore[attr-defined]  # Not in typeshed.
        if "default" not in encoder.__dict__ and type(encoder).default is default:
            if is_fast:
                return "".join(_encoder_in_c(encoder, _refuse, None)(o, 0))
            return "".join(iterencode.__wrapped__(encoder, o, _one_shot=True))
        # It is asked of bytes and sets, if at all.
        return _joined(_with_default(encoder, o)) if is_fast else concerned(encoder, o)

    return encode


_SHAPES = frozenset((dict, list, tuple))


def _iterencode(wrapped: Callable[..., Any], encoder: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> _Chunks:
    chunks: _Chunks
    if not args:
        return wrapped(*args, **kwargs)  # type: ignore[no-any-return]  # The native chunks.
    value = args[0]
    has_default = _has_default(encoder)
    if is_plain_document(value) if has_default else is_plain(value):
        chunks = wrapped(*args, **kwargs)
        return chunks
    is_quick = kwargs.get("_one_shot") and not encoder.sort_keys and not _has_labelled_layout(encoder)
    if is_quick and (texts := strings_in(value)) is not None:
        document = "".join(wrapped(plain_document(value), **kwargs))
        coverage = string_coverage(document, texts, is_in_order=True)
        if coverage is not None:
            return [carry_text(document, coverage)]
    if not labels_of(value):
        if not has_default:
            chunks = wrapped(*args, **kwargs)
            return chunks
        if (kwargs.get("_one_shot") or args[1:2] == (True,)) and _FAST[0] is not None and encoder.indent is None:
            return _with_default(encoder, value)
    default = encoder.default if has_default else _refuse
    return _in_python(encoder, value, default, one_shot=bool(kwargs.get("_one_shot")))


def _has_labelled_layout(encoder: Any) -> bool:
    return TaintedStr in map(type, (encoder.item_separator, encoder.key_separator, encoder.indent))


def _with_default(encoder: Any, value: Any) -> _Chunks:
    """Encode in C; where `default` turns out to give labelled values, again in Python with the same answers."""
    answers: dict[int, tuple[Any, Any]] = {}

    def default(leaf: Any) -> Any:
        answer = encoder.default(leaf)
        answers[id(leaf)] = (leaf, answer)  # The leaf too: an id is only good while its object lives.
        return answer

    chunks: _Chunks = _encoder_in_c(encoder, default, {} if encoder.check_circular else None)(value, 0)
    if not any(labels_of(answer) for _, answer in answers.values()):
        return chunks
    return _in_python(encoder, value, lambda leaf: answers[id(leaf)][1], one_shot=True)


def _encoder_in_c(
    encoder: Any, default: Callable[[Any], Any], markers: dict[int, Any] | None
) -> Callable[..., _Chunks]:
    """Make json's encoder in C, which writes a document that is not indented."""
    make: Any = _FAST[0]
    write: Callable[..., _Chunks] = make(
        markers,
        default,
        json.encoder.encode_basestring_ascii if encoder.ensure_ascii else json.encoder.encode_basestring,
        None,
        encoder.key_separator,
        encoder.item_separator,
        encoder.sort_keys,
        encoder.skipkeys,
        encoder.allow_nan,
    )
    return write


def _in_python(encoder: Any, value: Any, default: Callable[[Any], Any], *, one_shot: bool) -> Iterator[str]:
    """Encode with json's own Python encoder. Labels: on the chunks that labelled values become."""
    indent = encoder.indent
    if indent is not None and not isinstance(indent, str):
        indent = " " * indent
    number = _number(encoder)
    make: Any = json.encoder._make_iterencode  # type: ignore[attr-defined]  # noqa: SLF001  # The one Python encoder.
    chunks: Iterator[str] = make(
        {} if encoder.check_circular else None,
        default,
        _quoted(encoder),
        indent,
        number,
        encoder.key_separator,
        encoder.item_separator,
        encoder.sort_keys,
        encoder.skipkeys,
        one_shot,
        _intstr=number,
    )(value, 0)
    return chunks


class _Memo(dict[str, str]):
    """Keys of a document are not shared: equal keys may have different labels."""

    def setdefault(self, _key: str, default: str = "", /) -> str:
        return default


class _Numbers:
    """Finds numbers as json's scanner does, and says whether exactly the digits of the last one are labelled."""

    def __init__(self, text: TaintedStr) -> None:
        self._text = text
        self._pattern = TaintedPattern(json.scanner.NUMBER_RE)
        self.is_labelled_alone = False

    def match(self, _plain: str, at: int) -> Any:
        found = self._pattern.match(self._text, at)
        if found is not None:
            start, stop = found.span()
            around = (self._text[max(start - 1, 0) : start], self._text[stop : stop + 1])
            own = coverage_of(found.group())
            self.is_labelled_alone = type(own) is Labels and not any(type(one) is TaintedStr for one in around)
        return found

    def parser(self, native: Callable[[str], Any]) -> Callable[[str], Any]:
        """Give a `parse_int` or `parse_float` that labels a number which was labelled by itself."""

        def parse(text: str) -> Any:
            value = native(text)
            if type(text) is not TaintedStr or type(value) not in (int, float):
                return value
            if self.is_labelled_alone:
                return TaintedProxy(value, labels_of(text))
            count_loss("json.loads of a number")
            return value

        return parse


def _scanner(decoder: Any, settings: Any, text: TaintedStr) -> Callable[[str, int], tuple[Any, int]]:
    """Make json's Python scanner with a parser of strings that keeps the labels of the text.

    Args:
        decoder: It has the parsers.
        settings: The decoder's scanner in C, which keeps what it was made with, whatever the decoder has since.
        text: The document.
    """
    native = json.decoder.scanstring  # type: ignore[attr-defined]  # Not in typeshed.
    coverage = text._coverage  # noqa: SLF001  # Read once for a document, not once for a leaf.

    def string(plain: str, begin: int, strict: bool = True) -> tuple[str, int]:  # noqa: FBT001, FBT002  # As json's.
        value, end = native(plain, begin, strict)
        own = coverage if type(coverage) is Labels else cut(coverage, begin, end - 1)
        if own is not None and type(own) is not Labels:
            value = piecewise(value, lambda piece: native(f'"{piece}"', 1, strict)[0], text[begin : end - 1])
            return value, end
        return covered(value, own), end

    numbers = _Numbers(text)
    context = types.SimpleNamespace(
        strict=settings.strict,
        object_hook=settings.object_hook,
        object_pairs_hook=settings.object_pairs_hook,
        parse_constant=settings.parse_constant,
        parse_float=numbers.parser(settings.parse_float),
        parse_int=numbers.parser(settings.parse_int),
        parse_string=string,
        parse_array=decoder.parse_array,
        parse_object=seeing_patterns(json.decoder.JSONObject, scanstring=string),  # type: ignore[attr-defined]  # As above.
        memo=_Memo(),
    )
    make: Any = seeing_patterns(json.scanner.py_make_scanner, NUMBER_RE=numbers)  # type: ignore[attr-defined]  # As above.
    scan: Callable[[str, int], tuple[Any, int]] = make(context)
    return scan


def _calls_nothing(settings: Any) -> bool:
    """Tell whether a scanner has no function of the program: reading twice then is no more than reading once."""
    return (
        settings.object_hook is settings.object_pairs_hook is None
        and settings.parse_float is float
        and settings.parse_int is int
        and settings.parse_constant == _CONSTANT
    )


def _decoded(native: Callable[..., Any], text: TaintedStr, at: int) -> tuple[Any, int] | None:
    """Decode in C, where each label covers one whole string of the document; None where not, or where it is none."""
    plain, coverage = exact(text), coverage_of(text)
    if coverage is None or type(coverage) is Labels:
        return None
    try:
        value, end = native(plain, at)
    except ValueError:
        return None
    labelled = label_strings(value, plain, coverage, at)
    return None if labelled is None else (labelled, end)


_CONSTANT = JSONDecoder().parse_constant


def _raw_decode(wrapped: Callable[..., Any], decoder: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    text = args[0] if args else kwargs.get("s")
    if type(text) is not TaintedStr:
        return wrapped(*args, **kwargs)
    at = args[1] if len(args) > 1 else kwargs.get("idx", 0)
    scan = None
    is_native = (
        type(decoder.scan_once) is _FAST[1]
        and decoder.parse_object is json.decoder.JSONObject  # type: ignore[attr-defined]  # Not in typeshed.
        and decoder.parse_string is json.decoder.scanstring  # type: ignore[attr-defined]  # As above.
    )
    if is_native and isinstance(at, int) and at >= 0:  # The native one refuses any other place.
        if _calls_nothing(decoder.scan_once) and (decoded := _decoded(wrapped, text, at)) is not None:
            return decoded
        try:
            scan = _scanner(decoder, decoder.scan_once, text)
        except Exception as error:  # noqa: BLE001  # A json module that is not as expected: labels on all.
            report_internal_error("preparing to read json", error)
    if scan is None:
        value, end = wrapped(exact(text), at)
        return carry_texts(value, labels_of(text)), end
    return _scanned(scan, wrapped, decoder, text, at)


def _scanned(
    scan: Callable[[str, int], Any], native: Callable[..., Any], decoder: Any, text: TaintedStr, at: int
) -> Any:
    """Decode with our scanner. Labels: on what they cover; on all that is too deep for it."""
    try:
        value, end = scan(exact(text), at)
    except StopIteration as stop:
        raise json.decoder.JSONDecodeError("Expecting value", text, stop.value) from None
    except json.decoder.JSONDecodeError as error:
        error.doc = text  # It shows where: with its labels.
        raise
    except RecursionError:
        if not _calls_nothing(decoder.scan_once):
            raise
    else:
        return value, end
    value, end = native(exact(text), at)  # Too deep for Python, which needs not be so for C.
    return cover_texts(value, labels_of(text)), end


def patches(module: ModuleType) -> Iterator[Patch]:
    """Give what there is to wrap in `json.encoder` or `json.decoder`."""
    if module.__name__ == "json.decoder":
        return patches_in(module, {"JSONDecoder.raw_decode": ForCarriers(_raw_decode)})
    encode = Standing(_encode, _before_encode)
    return patches_in(module, {"JSONEncoder.encode": encode, "JSONEncoder.iterencode": _iterencode})

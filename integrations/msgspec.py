"""msgspec: what it refuses in a subclass of `str` it encodes, and documents keep which part is labelled.

Source: none. Sink: none.

Covered: `msgspec.json` and `msgspec.msgpack`: `encode` and `Encoder.encode`, with
`enc_hook`, renamed and nested `Struct` fields, dataclasses and attrs classes; `decode` and
`Decoder.decode` label the leaves that the document's labels cover, and no others, also in typed
results. `Encoder.encode_into` writes the plain bytes and leaves labels behind, since a buffer of the
caller's cannot carry any. `encode_lines` and `decode_lines` are labelled as a whole, and so is what
`msgspec.json.format` gives. `to_builtins` and `convert` keep a labelled text as it is.

Not covered: names imported before `install()`; `convert` of a text to another type, which msgspec does in C;
`msgspec.Raw`, which refuses a labelled text.

    import taint
    taint.install(integrations=["msgspec"])
    import msgspec
    phone = taint.label("+14155550100", purpose="security.mfa")
    document = msgspec.json.encode({"id": 7, "phone": phone})
    taint.labels_of(msgspec.json.decode(document)["phone"])     # Labels of the phone; "id" has none
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any, NoReturn

import wrapt

from taint.carriers.operations import coverage_of
from taint.carriers.proxy import bare, is_carrier, labels_of_carrier
from taint.carriers.text import TaintedStr
from taint.carriers.values import apply_labels
from taint.integrations.base import Integration
from taint.integrations.calls import labels_given, plain_call
from taint.integrations.msgpack_tree import msgpack_tree
from taint.propagation.follow import followed, is_plain, on_all
from taint.propagation.json_tree import label_json_values, labelled_json
from taint.propagation.pairing import Detached, detached, label_loaded, labelled_document
from taint.propagation.patches import Patch

__all__ = ["MsgspecIntegration"]


class MsgspecIntegration(Integration):
    """Keeps labels through `msgspec.json` and `msgspec.msgpack`."""

    identifier = "msgspec"
    requires = ("msgspec>=0.18",)

    def _install(self) -> None:
        import msgspec

        # Functions and final classes of a compiled module, in both formats since 0.8; it has no events.
        for module, is_json in ((msgspec.json, True), (msgspec.msgpack, False)):
            self._wrap(_Format(is_json).patches(module))
        self._wrap((Patch(msgspec.json, "format", followed(on_all)),))
        # The names that `msgspec.yaml` and `msgspec.toml` have for the same function.
        for module, name in ((msgspec, ""), (msgspec.yaml, "_"), (msgspec.toml, "_")):
            self._wrap((Patch(module, f"{name}to_builtins", _to_builtins),))


def _to_builtins(wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Have carriers converted as what they carry. Labels: kept; texts are passed through as they are."""
    kinds = tuple(kwargs.get("builtin_types") or ())
    hook = kwargs.get("enc_hook")

    def convert(value: Any) -> Any:
        if is_carrier(value):
            return apply_labels(wrapped(bare(value), **kwargs), labels_of_carrier(value))
        if hook is None:
            raise TypeError(f"Encoding objects of type {type(value).__name__} is unsupported")
        return hook(value)

    return wrapped(*args, **{**kwargs, "builtin_types": (*kinds, TaintedStr), "enc_hook": convert})


def _force(value: Any, name: str, new: Any) -> None:
    """Set a field of a copy, also where the class is frozen."""
    import msgspec

    if isinstance(value, msgspec.Struct):
        msgspec.structs.force_setattr(value, name, new)
    else:
        object.__setattr__(value, name, new)


def _refuse(_value: Any) -> NoReturn:
    raise TypeError


class _Format:
    """The wrappers of one format."""

    def __init__(self, is_json: bool) -> None:  # noqa: FBT001  # Private, and called twice, just above.
        self.is_json = is_json

    def patches(self, module: ModuleType) -> tuple[Patch, ...]:
        return (
            Patch(module, "encode", self.encode),
            Patch(module, "decode", self.decode),
            Patch(module, "Encoder", self.encoder),
            Patch(module, "Decoder", self.decoder),
        )

    def encoded(self, document: Any, made: Detached) -> Any:
        return labelled_json(document, made) if self.is_json else labelled_document(document, made, msgpack_tree)

    def decoded(self, value: Any, document: Any) -> Any:
        if not is_carrier(document):
            return value
        if not isinstance(document, str | bytes):  # A labelled buffer, which has no ranges.
            return label_loaded(value, labels_of_carrier(document), lambda: msgpack_tree(b""), _force)
        if self.is_json:
            return label_json_values(value, document, _force)
        return label_loaded(value, coverage_of(document), lambda: msgpack_tree(bare(document)), _force)

    def encode(self, wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if not args:
            return wrapped(*args, **kwargs)
        if "enc_hook" not in kwargs and is_plain(args[0]):
            try:
                return wrapped(*args, enc_hook=_refuse, **kwargs)
            except Exception:  # noqa: BLE001, S110  # A labelled byte string, or what msgspec refuses itself, below.
                pass
        made = detached(args[0], _force)
        if "enc_hook" in kwargs:
            kwargs = {**kwargs, "enc_hook": made.hook(kwargs["enc_hook"])}
        return self.encoded(wrapped(made.value, *args[1:], **kwargs), made)

    def decode(self, wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        value = plain_call(wrapped, args, kwargs)
        return self.decoded(value, args[0]) if args else value

    def encoder(
        self, wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        return _Encoder(self, wrapped, args, kwargs)

    def decoder(
        self, wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        return _Decoder(self, wrapped(*args, **kwargs))


class _Encoder(wrapt.ObjectProxy):  # type: ignore[type-arg]  # As `TaintedProxy`.
    """An `Encoder`, a final compiled class, that labels what it gives."""

    def __init__(self, form: _Format, make: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._self_form = form
        self._self_hook = kwargs.get("enc_hook")
        self._self_making: list[Detached] = []
        if self._self_hook is not None:
            kwargs = {**kwargs, "enc_hook": self._self_convert}
        super().__init__(make(*args, **kwargs))

    def _self_convert(self, value: Any) -> Any:
        convert: Any = self._self_hook
        if self._self_making:
            convert = self._self_making[-1].hook(convert)
        return convert(value)

    def _self_encode(self, encode: Callable[..., Any], value: Any, *rest: Any) -> tuple[Any, Detached]:
        made = detached(value, _force)
        self._self_making.append(made)
        try:
            return encode(made.value, *rest), made
        finally:
            self._self_making.remove(made)

    def encode(self, value: Any) -> Any:
        """Encode as the native one does. Labels: where the values stand."""
        document, made = self._self_encode(self.__wrapped__.encode, value)
        return self._self_form.encoded(document, made)

    def encode_lines(self, values: Any) -> Any:
        """Encode line by line as the native one does. Labels: on all lines."""
        document, made = self._self_encode(self.__wrapped__.encode_lines, values)
        return apply_labels(document, made.labels)

    def encode_into(self, value: Any, *rest: Any) -> None:
        """Encode into a buffer as the native one does. Labels: left behind."""
        self._self_encode(self.__wrapped__.encode_into, value, *map(bare, rest))


class _Decoder(wrapt.ObjectProxy):  # type: ignore[type-arg]  # As `TaintedProxy`.
    """A `Decoder`, a final compiled class, that labels what it gives."""

    def __init__(self, form: _Format, decoder: Any) -> None:
        super().__init__(decoder)
        self._self_form = form

    def decode(self, document: Any) -> Any:
        """Decode as the native one does. Labels: on the leaves that the document's labels cover."""
        return self._self_form.decoded(self.__wrapped__.decode(bare(document)), document)

    def decode_lines(self, document: Any) -> Any:
        """Decode line by line as the native one does. Labels: the document's, on all."""
        return apply_labels(self.__wrapped__.decode_lines(bare(document)), labels_given((document,), {}))

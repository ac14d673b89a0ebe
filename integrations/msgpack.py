"""msgpack: packed bytes keep which part of them is labelled, and give it back when they are unpacked.

Source: none. Sink: none.

Covered: `packb`, `pack`, `Packer.pack` (and the other names `dumps`, `dump`) label the bytes where the
labelled values stand, also under `strict_types`, which refuses every subclass, and with `default=`;
`unpackb`, `unpack`, `loads`, `load` label the leaves that the labels cover, and no others. `Unpacker`
labels what it gives with all labels that were fed to it, which covers more.

Not covered: names imported before `install()`; subclasses of `Packer` and `Unpacker`; a `Packer` that
is used piece by piece (`pack_array_header`, `autoreset=False`), whose `bytes()` are labelled as a whole.

    import taint
    taint.install(integrations=["msgpack"])
    import msgpack
    phone = taint.label("+14155550100", purpose="security.mfa")
    packed = msgpack.packb({"id": 7, "phone": phone}, strict_types=True)
    taint.labels_of(msgpack.unpackb(packed)["phone"])       # Labels of the phone; "id" has none
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

import wrapt

from taint.carriers.operations import coverage_of
from taint.carriers.proxy import bare, carry, is_carrier, labels_of_carrier
from taint.carriers.values import apply_labels
from taint.integrations.base import Integration
from taint.integrations.calls import labels_given, plain_call
from taint.integrations.msgpack_tree import msgpack_tree
from taint.labels import NO_LABELS, Labels
from taint.propagation.pairing import Detached, detached, label_loaded, labelled_document
from taint.propagation.patches import Patch

__all__ = ["MsgpackIntegration"]


class MsgpackIntegration(Integration):
    """Keeps labels through packing and unpacking."""

    identifier = "msgpack"
    requires = ("msgpack>=1.0",)

    def _install(self) -> None:
        import msgpack

        # Since 1.0 packb and pack make a Packer, and unpack calls unpackb; loads is another name of it. No events.
        self._wrap(
            (
                Patch(msgpack, "Packer", _packer),
                Patch(msgpack, "Unpacker", _unpacker),
                Patch(msgpack, "unpackb", _unpackb),
                Patch(msgpack, "loads", _unpackb),
            )
        )


def _refuse(_value: Any) -> NoReturn:
    raise TypeError


class _Packer(wrapt.ObjectProxy):  # type: ignore[type-arg]  # As `TaintedProxy`.
    """A `Packer`, a compiled class, whose `pack` labels what it gives."""

    def __init__(self, make: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._self_default = kwargs.get("default")
        self._self_made: Detached | None = None
        self._self_kept: Labels = NO_LABELS
        if self._self_default is not None:
            kwargs = {**kwargs, "default": self._self_convert}
        super().__init__(make(*args, **kwargs))
        # A value that strict packing takes has no subclass of anything in it, and so no carrier.
        strict = {**kwargs, "strict_types": True, "default": _refuse}
        self._self_strict = make(*args, **strict) if kwargs.get("autoreset", True) and not args else None

    def _self_convert(self, value: Any) -> Any:
        convert: Any = self._self_default
        if self._self_made is not None:
            convert = self._self_made.hook(convert)
        return convert(value)

    def pack(self, value: Any) -> Any:
        """Pack as the native one does. Labels: where the values stand."""
        if self._self_strict is not None:
            try:
                return self._self_strict.pack(value)
            except Exception:  # noqa: BLE001  # There is one, or a tuple, or what msgpack refuses itself, below.
                self._self_strict.reset()
        made = self._self_made = detached(value)
        try:
            packed = self.__wrapped__.pack(made.value)
        finally:
            self._self_made = None
        if packed is None:  # autoreset=False: it is asked for later, by bytes().
            self._self_kept |= made.labels
        return labelled_document(packed, made, msgpack_tree)

    def bytes(self) -> Any:
        """Give all that was packed. Labels: all that went in, on all of it."""
        return carry(self.__wrapped__.bytes(), self._self_kept)


def _packer(wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return _Packer(wrapped, args, kwargs)


def _unpackb(wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    value = plain_call(wrapped, args, kwargs)
    packed = args[0] if args else kwargs.get("packed")
    if not is_carrier(packed):
        return value
    # A labelled buffer has no ranges.
    coverage = coverage_of(packed) if isinstance(packed, bytes) else labels_of_carrier(packed)
    return label_loaded(value, coverage, lambda: msgpack_tree(bare(packed)))


class _Unpacker(wrapt.ObjectProxy):  # type: ignore[type-arg]  # As `TaintedProxy`.
    """An `Unpacker`, a compiled class, that labels what it gives with what was fed to it."""

    def __init__(self, unpacker: Any, labels: Labels) -> None:
        super().__init__(unpacker)
        self._self_labels = labels

    def feed(self, data: Any) -> None:
        """Feed bytes. Labels: on all that is unpacked from here on."""
        if is_carrier(data):
            self._self_labels |= labels_of_carrier(data)
        self.__wrapped__.feed(bare(data))

    def unpack(self) -> Any:
        """Unpack one object. Labels: all that were fed."""
        return apply_labels(self.__wrapped__.unpack(), self._self_labels)

    def read_bytes(self, count: int) -> Any:
        """Read bytes. Labels: all that were fed."""
        return carry(self.__wrapped__.read_bytes(count), self._self_labels)

    def __iter__(self) -> Any:
        """Iterate over the objects."""
        return self

    def __next__(self) -> Any:
        """Unpack the next object. Labels: all that were fed."""
        return apply_labels(next(self.__wrapped__), self._self_labels)


def _unpacker(wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return _Unpacker(plain_call(wrapped, args, kwargs), labels_given(args, kwargs))

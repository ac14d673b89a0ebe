"""Tracing: labels keep the last operations from their source to here, while it is on.

Every carrier gets its labels in one of four places. While tracing is on these are exchanged for ones that add a
step: the operation, and the place in the program that asked for it. Otherwise they are what they always
are, so that tracing costs nothing while it is off. A step names functions and files, never a value.
"""

from __future__ import annotations

import functools
import os
import sys
import sysconfig
import threading
from collections.abc import Callable
from dataclasses import replace
from types import FrameType
from typing import Any

from taint.carriers import text
from taint.carriers.coverage import Coverage
from taint.carriers.number import TaintedInt
from taint.carriers.proxy import TaintedProxy
from taint.carriers.text import TaintedStr
from taint.errors import ConfigurationError
from taint.guard import report_internal_error, shown
from taint.labels import NO_LABELS, Label, Labels, Step

__all__ = ["MAXIMUM_STEPS", "is_tracing", "last_step", "on_seen", "set_tracing", "with_step"]

MAXIMUM_STEPS = 16
"""Steps that a label keeps: its first ones, where it was collected, and the last ones."""
_FIRST = 2

_Seen = Callable[[Any, Coverage], None]

_OPERATIONS = {
    "add": "+",
    "radd": "+",
    "reflected_plus": "+",
    "mul": "*",
    "rmul": "*",
    "mod": "%",
    "rmod": "%",
    "getitem": "[]",
    "join_pieces": "format",
    "percent": "%",
    "joined": "join",
    "formatted": "format",
    "formatted_with_names": "format",
    "apply_labels": "label",
}
"""Operations by the names of what does them, where the program writes them otherwise."""

_FUNCTIONS = ("wrapped", "method", "operation", "native")
"""What wrappers call the function that they stand for."""

_OWN = ("taint.", "wrapt.")
_LIBRARY = tuple(
    os.path.join(path, "")  # noqa: PTH118  # Compared with `co_filename`, a text.
    for path in {sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")}
)
_INSTALLED = ("site-packages", "dist-packages")


@functools.lru_cache(maxsize=4096)
def _is_of_python(file: str) -> bool:
    return file.startswith("<frozen ") or (file.startswith(_LIBRARY) and not any(part in file for part in _INSTALLED))


def _step_here() -> Step | None:
    """Say which operation is going on, as the program calls it, and where in the program."""
    frame: FrameType | None = sys._getframe(1)  # As in `call_site`.
    own: FrameType | None = None
    called: FrameType | None = None
    nearest: FrameType | None = None
    while frame is not None:
        if f"{frame.f_globals.get('__name__', '')}.".startswith(_OWN):
            if called is None:
                own = frame
        elif _is_of_python(frame.f_code.co_filename):
            called, nearest = frame, nearest or frame
        else:
            break
        frame = frame.f_back
    if frame is None:  # A thread of the standard library that runs the operation itself.
        frame, called = nearest, None
    if frame is None:
        return None
    operation = _called_operation(called) if called is not None else _own_operation(own)
    code = frame.f_code
    module = frame.f_globals.get("__name__", "?")
    return Step(shown(operation), f"{module}.{code.co_qualname}", code.co_filename, frame.f_lineno)


def _called_operation(frame: FrameType) -> str:
    return f"{frame.f_globals.get('__name__', '?')}.{frame.f_code.co_qualname}"


def _own_operation(frame: FrameType | None) -> str:
    if frame is None:
        return "?"
    variables = frame.f_locals
    for function in (frame.f_globals.get("_native"), *map(variables.get, _FUNCTIONS)):  # The first, in a guard.
        if callable(function) and not isinstance(function, type):
            return _name_of(function)
    name = frame.f_code.co_qualname.partition(".<locals>")[0].rpartition(".")[2]
    if name == "__getattr__":
        name = variables["name"]
    return _OPERATIONS.get(name.strip("_"), name.strip("_"))


def _name_of(function: Any) -> str:
    """Give the name of a function, native or the program's, without what only C code calls it."""
    owner, _, name = getattr(function, "__qualname__", type(function).__name__).rpartition(".")
    bare = name.strip("_") if name.startswith("__") else name.removeprefix("openssl_")
    name = _OPERATIONS.get(bare, bare) if name.startswith("__") else bare
    module = getattr(function, "__module__", None)
    if module and module != "builtins":
        owner = f"{module.lstrip('_')}.{owner}" if owner else module.lstrip("_")
    return f"{owner}.{name}" if owner and name.isidentifier() else name


def with_step(labels: Labels, step: Step) -> Labels:
    """Give labels with one more step; the same ones where that is their last already."""
    if all(label.steps[-1:] == (step,) for label in labels):
        return labels
    return Labels(_label_with(label, step) for label in labels)


def _label_with(label: Label, step: Step) -> Label:
    steps = label.steps
    if steps[-1:] == (step,):
        return label
    if len(steps) >= MAXIMUM_STEPS:
        steps = (*steps[:_FIRST], *steps[_FIRST + 1 :])  # The oldest but the first ones.
    return replace(label, steps=(*steps, step))


def _stepped(coverage: Any) -> Any:
    """Give a coverage whose labels have the step that is going on."""
    if not coverage:
        return coverage
    try:
        step = _step_here()
        if step is None:
            return coverage
        if type(coverage) is Labels:
            return with_step(coverage, step)
        return tuple([(start, stop, with_step(labels, step)) for start, stop, labels in coverage])
    except Exception as error:  # noqa: BLE001  # Whatever fails, the value keeps its labels.
        report_internal_error("tracing an operation", error)
        return coverage


def _noted(value: Any, coverage: Any) -> None:
    if _state.seen is not None and coverage:
        try:
            _state.seen(value, coverage)
        except Exception as error:  # noqa: BLE001  # As above.
            report_internal_error("noting a carrier", error)


class _State:
    """Whether tracing is on, and who is shown the carriers."""

    is_on = False
    seen: _Seen | None = None


_state = _State()
_lock = threading.Lock()

_native_coverage: Any = TaintedStr.__dict__["_coverage"]
_native_set_attributes: Any = text._set_attributes  # One of the four places.
_native_init: Any = TaintedProxy.__init__


def _set_coverage(self: TaintedStr, coverage: Coverage) -> None:
    coverage = _stepped(coverage)
    _native_coverage.__set__(self, coverage)
    _noted(self, coverage)


def _set_attributes(result: bytes, attributes: dict[str, Any]) -> None:
    coverage = _stepped(attributes["_coverage"])
    _native_set_attributes(result, {"_coverage": coverage})
    _noted(result, coverage)


def _init(self: TaintedProxy, wrapped: Any, labels: Labels) -> None:
    labels = _stepped(labels)
    _native_init(self, wrapped, labels)
    _noted(wrapped, labels)


def _get_labels(self: TaintedInt) -> Labels:
    found: Labels = self.__dict__.get("labels", NO_LABELS)
    return found


def _set_labels(self: TaintedInt, labels: Labels) -> None:
    self.__dict__["labels"] = labels = _stepped(labels)
    _noted(int(self), labels)


def set_tracing(*, is_on: bool) -> bool:
    """Begin or end to keep steps, for the whole process, and tell whether it was on before."""
    with _lock:
        before, _state.is_on = _state.is_on, is_on
        if is_on and not before:
            type.__setattr__(TaintedStr, "_coverage", property(_native_coverage.__get__, _set_coverage))
            text._set_attributes = _set_attributes  # As above.
            type.__setattr__(TaintedProxy, "__init__", _init)
            type.__setattr__(TaintedInt, "labels", property(_get_labels, _set_labels))
        elif before and not is_on:
            type.__setattr__(TaintedStr, "_coverage", _native_coverage)
            text._set_attributes = _native_set_attributes  # As above.
            type.__setattr__(TaintedProxy, "__init__", _native_init)
            type.__delattr__(TaintedInt, "labels")
    return before


def is_tracing() -> bool:
    """Tell whether steps are kept."""
    return _state.is_on


def on_seen(seen: _Seen) -> None:
    """Have every carrier that is made while tracing is on shown to somebody, with its coverage."""
    _state.seen = seen


def last_step(value: Any, coverage: Coverage) -> None:
    """Note the operation that takes a value's labels off, as the last that was seen of it; while tracing is on."""
    if _state.is_on:
        _noted(value, _stepped(coverage))


def _asked_for() -> bool:
    setting = os.environ.get("TAINT_TRACE", "")
    if setting.lower() in {"", "0", "false", "off", "no"}:
        return False
    if setting.lower() in {"1", "true", "on", "yes"}:
        return True
    raise ConfigurationError(f"TAINT_TRACE is neither on nor off: {setting!r}. Set it to 1 or 0.")


set_tracing(is_on=_asked_for())

"""What rewritten f-strings call: one function for each pattern of literals and values.

`LDL` takes a literal, a finished value and a literal. Where the values are exact texts, as they are
wherever nothing is labelled, it builds the text as an f-string does, with one test per value. The
functions are made when they are first imported: a program has some tens of patterns.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

from taint.carriers.operations import coverage_of
from taint.carriers.text import join_pieces
from taint.guard import report_internal_error

__all__ = ["build_text", "fstring"]


def build_text(*pieces: Any) -> str:
    """Put finished pieces together, some of which are no exact `str`. Labels: of each, at its place."""
    native = "".join(pieces)
    try:
        # A subclass of somebody else's is taken for its characters, as the native operation does.
        return join_pieces([piece if coverage_of(piece) else str.__str__(piece) for piece in pieces])
    except Exception as error:  # noqa: BLE001  # Whatever it is, the program goes on with the native text.
        report_internal_error("building an f-string", error)
        return native


def fstring(pattern: str) -> Callable[..., str]:
    """Make the function for a pattern.

    Args:
        pattern: `L` for a literal, `D` for a value, in order.
    """
    names = [f"{kind.lower()}{at}" for at, kind in enumerate(pattern)]
    values = [name for name in names if name.startswith("d")]
    text = "".join(f"{{{name}}}" for name in names)
    source = (
        f"def {pattern}({', '.join(names)}, /):\n"
        f"    if {' and '.join(f'type({name}) is str' for name in values)}:\n"
        f"        return f'{text}'\n"
        f"    return build_text({', '.join(names)})\n"
    )
    namespace: dict[str, Any] = {"build_text": build_text, "__name__": __name__}
    exec(compile(ast.parse(source), f"<{__name__} {pattern}>", "exec", dont_inherit=True), namespace)  # noqa: S102  # From L and D only.
    made: Callable[..., str] = namespace[pattern]
    return made


def __getattr__(name: str) -> Callable[..., str]:
    if not name or name.strip("LD"):
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    made = globals()[name] = fstring(name)
    return made

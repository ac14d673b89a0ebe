"""Leaving: what goes to an address that the policy declares as a sink is checked before it goes.

A sink that is no function of the program (a host, a path, a bucket, a recipient, a logger, a program)
stands in the policy. Integrations ask here whether there is one at an address, and have everything that
goes there checked as a decorated sink has its arguments. An address that nobody declared is no sink.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Sequence
from contextvars import ContextVar
from typing import Any

from taint.carriers.proxy import exact, is_carrier
from taint.errors import PurposeViolationError
from taint.evidence import LONGEST, Evidence, current_known_values
from taint.flows.admission import admitted_all
from taint.flows.declared import SINKS
from taint.flows.finding import flows_across
from taint.flows.outcome import call_site, carry_out
from taint.guard import report_internal_error
from taint.labels import NO_LABELS
from taint.modes import Mode, current_mode, is_off
from taint.policy import Address, Flow, Outcome, current_decider
from taint.telemetry import is_exporting

__all__ = [
    "UNREAD",
    "Pieces",
    "has_sinks",
    "is_unchecked",
    "let_go",
    "let_go_async_items",
    "let_go_guarded",
    "let_go_items",
    "sink_at",
    "tell_unread",
    "unchecked",
]

UNREAD = "unread-payload"
"""The rule by which something that leaves and cannot be looked into is a gap."""


_is_busy: ContextVar[bool] = ContextVar("taint_leaving", default=False)
"""Whether a check is under way: what that writes, logs and sends itself is not checked again."""


@contextlib.contextmanager
def unchecked() -> Iterator[None]:
    """Check nothing that leaves while the block runs: it is the library's own, or was checked as a whole before."""
    token = _is_busy.set(True)
    try:
        yield
    finally:
        _is_busy.reset(token)


def is_unchecked() -> bool:
    """Tell whether what runs now is the library's own, or was checked as a whole before."""
    return _is_busy.get()


def has_sinks(kind: str) -> bool:
    """Tell, at next to no cost, whether the policy declares a sink of a kind at all."""
    return kind in current_decider().addresses.kinds and not is_off()


def sink_at(kind: str, *names: str) -> Address | None:
    """Give the sink that the policy declares at an address.

    Labels: not looked at. What telemetry sends is never asked about: an exporter that waited for its own
    signals would never end.

    Args:
        kind: Of address: `http`, `file`, `bucket`, `topic`, `mail`, `logger` or `command`.
        names: The address, in the ways in which it may be written.

    Returns:
        The most specific one; None where there is none, in mode `off`, and for telemetry's own traffic.
    """
    if not has_sinks(kind) or _is_busy.get() or is_exporting():
        return None
    found = current_decider().addresses.find(kind, *map(exact, names))
    if found is not None:
        SINKS.where.setdefault(found.sink, current_decider().policy.origin)
        SINKS.reached.add(found.sink)
    return found


def let_go(sink: Address, parts: Sequence[tuple[str, Any]], *, is_fixed: bool = False) -> Sequence[Any]:
    """Check all that leaves together, in the mode that holds at the sink.

    Labels: read; in mode `redact` the ranges that may not go are replaced in a copy.

    Args:
        sink: As `sink_at` gives it.
        parts: What leaves, and what each part is called: `json`, `headers.x-user`.
        is_fixed: The length was promised: what may not go is stopped instead of redacted.

    Returns:
        The parts as they may go, in order.

    Raises:
        PurposeViolationError: In mode `block`, and in mode `redact` for what cannot be redacted.
    """
    __tracebackhide__ = True  # As in `carry_out`.
    with unchecked():
        return admitted_all(parts, sink=sink.sink, purpose=sink.purpose, mode=None, is_fixed=is_fixed)


def let_go_guarded(sink: Address, parts: Sequence[tuple[str, Any]], *, is_fixed: bool = False) -> Sequence[Any]:
    """Check as `let_go` does; where the library itself fails, the parts go on, or are stopped in mode `block`.

    Raises:
        PurposeViolationError: As `let_go`; and in mode `block` where the library fails.
    """
    __tracebackhide__ = True  # As in `carry_out`.
    try:
        return let_go(sink, parts, is_fixed=is_fixed)
    except PurposeViolationError:
        raise
    except Exception as error:  # noqa: BLE001  # What the library cannot do must neither break a call nor go unsaid.
        report_internal_error("checking what leaves", error)
        tell_unread(sink, parts[0][0] if parts else "", is_failure=True)
        return [value for _, value in parts]


class Pieces:
    """What leaves piece by piece, of which none is held back: each is checked before it goes.

    A known value that is cut between two is found when the second one is to go. For that the end of what has gone is
    kept, as long as the longest value is; what carries labels is decided by those, on each side of a cut.

    Args:
        sink: As `let_go`.
        root: What the whole is called.
        is_fixed: As `let_go`.
        is_numbered: Whether a piece is called by its number.
    """

    __slots__ = ("_end", "_index", "_is_fixed", "_is_numbered", "_root", "_sink")

    def __init__(self, sink: Address, root: str, *, is_fixed: bool = False, is_numbered: bool = True) -> None:
        self._sink, self._root, self._is_fixed, self._is_numbered = sink, root, is_fixed, is_numbered
        self.begin()

    def begin(self) -> None:
        """Forget what has gone: it goes again from its beginning."""
        self._index = 0
        self._end = b""

    def let_go(self, piece: Any) -> Any:
        """Give the next piece as it may go.

        Raises:
            PurposeViolationError: As `let_go_guarded`.
        """
        __tracebackhide__ = True  # As in `carry_out`.
        name = f"{self._root}[{self._index}]" if self._is_numbered else self._root
        self._index += 1
        (safe,) = let_go_guarded(self._sink, ((name, piece),), is_fixed=self._is_fixed)
        if current_known_values() is not None:
            self._look_across(name, safe)
        return safe

    def _look_across(self, name: str, piece: Any) -> None:
        __tracebackhide__ = True  # As in `carry_out`.
        if is_carrier(piece) or not isinstance(piece, str | bytes | bytearray | memoryview):
            self._end = b""
            return
        try:
            begin, end = (
                part.encode(errors="surrogatepass") if isinstance(part, str) else bytes(part)
                for part in (piece[:LONGEST], piece[-LONGEST:])
            )
            if self._end and begin:
                with unchecked():
                    flows = flows_across(
                        self._end, begin[:LONGEST], name, sink=self._sink.sink, purpose=self._sink.purpose
                    )
                    carry_out(flows)
            self._end = (self._end + end)[-LONGEST:]
        except PurposeViolationError:
            raise
        except Exception as error:  # noqa: BLE001  # As in `let_go_guarded`.
            report_internal_error("looking for values between two pieces", error)
            tell_unread(self._sink, name, is_failure=True)


def let_go_items(sink: Address, root: str, items: Iterable[Any], *, is_fixed: bool = False) -> Iterator[Any]:
    """Check what leaves piece by piece, each before it goes; arguments as `let_go`."""
    pieces = Pieces(sink, root, is_fixed=is_fixed)
    for item in items:
        yield pieces.let_go(item)


async def let_go_async_items(
    sink: Address, root: str, items: AsyncIterable[Any], *, is_fixed: bool = False
) -> AsyncIterator[Any]:
    """Check as `let_go_items` does, what comes asynchronously."""
    pieces = Pieces(sink, root, is_fixed=is_fixed)
    async for item in items:
        yield pieces.let_go(item)


def tell_unread(sink: Address, root: str, *, is_failure: bool = False) -> None:
    """Say that something leaves that was not looked into: a gap.

    Args:
        sink: Where it goes.
        root: What it is called.
        is_failure: The library failed; then mode `block` stops it. What nobody can look into stops nobody.

    Raises:
        PurposeViolationError: See `is_failure`.
    """
    __tracebackhide__ = True  # As in `carry_out`.
    mode = Mode.REPORT
    if is_failure:
        mode = current_decider().sink_settings(sink.sink).mode or current_mode()
    gap = Outcome.GAP
    carry_out(
        (Flow(gap, sink.sink, sink.purpose, NO_LABELS, Evidence.LABEL, root, UNREAD, mode, 1, call_site()),),
    )

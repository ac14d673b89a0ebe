"""What keeps the library from doing harm.

When it fails itself it says so once, and never stops the program it watches; and a name that it is
going to show is never somebody's data.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable

__all__ = ["HIDDEN", "after_fork", "report_internal_error", "shown"]

HIDDEN = "(labelled text)"
"""What stands for a name that is itself labelled data."""


_logger = logging.getLogger("taint")
_reported: set[tuple[str, str, int]] = set()
_lock = threading.Lock()


def report_internal_error(doing: str, error: BaseException) -> None:
    """Log an internal error, once for each place it comes from.

    Only the kind of error and the place are logged: its message may hold a value.

    Args:
        doing: What the library was about to do, in words.
        error: What was raised.
    """
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    line = last.tb_lineno if last is not None else 0
    file = last.tb_frame.f_code.co_filename if last is not None else "?"
    key = (type(error).__qualname__, file, line)
    with _lock:
        if key in _reported:
            return
        _reported.add(key)
    _logger.error(
        "purpose-taint failed while %s: %s at %s:%d. The program goes on; please report it. This is said once.",
        doing,
        type(error).__qualname__,
        file,
        line,
    )


def shown(text: object) -> str:
    """Give a name as an exact `str` that may be shown and leave the process.

    OpenTelemetry's SDK keeps a subclass of `str` as it is, alive and with its labels; and a name that
    was built from personal data would carry that data out.

    Labels: a text that has any is not shown.
    """
    if type(text) is str:
        return text
    if hasattr(text, "_coverage") or not isinstance(text, str):
        return HIDDEN
    return str.__str__(text)


def after_fork(begin_again: Callable[[], object]) -> None:
    """Have something begun again in every forked process; nothing where processes cannot fork."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=begin_again)

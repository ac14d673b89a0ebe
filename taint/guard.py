"""What is done when the library itself fails: it says so once, and never stops the program it watches."""

from __future__ import annotations

import logging
import threading

__all__ = ["report_internal_error"]

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

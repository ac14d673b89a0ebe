"""Assert in tests that no data is used for another purpose."""

from taint.testing.recording import Record, record

__all__ = ["Record", "record"]

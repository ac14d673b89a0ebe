"""Assert in tests that no data is used for another purpose."""

from taint.testing.assertions import assert_labelled, assert_no_flow, expect_violation
from taint.testing.recording import Record, record
from taint.testing.tracing import trace

__all__ = ["Record", "assert_labelled", "assert_no_flow", "expect_violation", "record", "trace"]

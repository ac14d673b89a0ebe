"""Names of what is emitted.

Where OpenTelemetry's conventions have a name it is used (`code.*`, `error.type`, `security_rule.*`);
they have none for purposes or data categories, so that those stand under `taint.`.
"""

from __future__ import annotations

from typing import Final

CODE_FILE_PATH: Final = "code.file.path"
CODE_FUNCTION_NAME: Final = "code.function.name"
CODE_LINE_NUMBER: Final = "code.line.number"
ERROR_TYPE: Final = "error.type"
SECURITY_RULE_NAME: Final = "security_rule.name"

CATEGORIES: Final = "taint.categories"
"""Keys of the data categories of the labels."""
EVIDENCE: Final = "taint.evidence"
"""How it is known: `label`, `lineage`, `comparison`, `content` or `digest`."""
MODE: Final = "taint.mode"
"""What was done: `block` or `report`."""
PATH: Final = "taint.path"
"""Where in the sink's arguments the first value stands."""
PURPOSES: Final = "taint.purposes"
"""What the data was collected for."""
SINK_NAME: Final = "taint.sink.name"
SINK_PURPOSE: Final = "taint.sink.purpose"
SOURCES: Final = "taint.sources"
"""Names of the functions, fields or columns where the data was collected."""
VALUE_COUNT: Final = "taint.value.count"
"""How many values of the same source reached the same place in one call."""
VERDICT: Final = "taint.verdict"
"""`violation` or `gap`."""

SPAN_VIOLATION: Final = "taint.violation"
"""Name of the span that stands for one violation."""
LINK_COLLECTION: Final = "taint.collection"
"""Value of the link attribute `taint.link.kind`: the linked span is where the data was collected."""
LINK_KIND: Final = "taint.link.kind"

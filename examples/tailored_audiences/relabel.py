"""Give values from the database back the labels with which they were stored.

This is the one place in the example where a program labels by hand what it reads. It is here only until the
store integration of the library does it: then this file goes away and nothing else changes.
"""

from __future__ import annotations

import taint
from examples.tailored_audiences.store import Contact


def relabel(contact: Contact) -> str:
    """Return a contact's number or address with its label.

    Labels: what it was collected for, by what, and in which request, as the row says.
    """
    return taint.label(
        contact.value,
        purpose=contact.purpose,
        category=contact.category,
        source=contact.collected_by,
        trace=contact.traceparent,
    )

"""Putting an envelope beside a body that leaves, and labelling one that arrives; what goes wrong is a gap.

Nothing here raises, and nothing removes a label: an envelope that cannot be verified adds its purposes,
as labels that nobody vouches for, to the whole body, and is told.
"""

from __future__ import annotations

from typing import TypeVar

from taint.carriers.coverage import Coverage, flat, joined, spans_of
from taint.carriers.operations import coverage_of
from taint.carriers.proxy import exact
from taint.carriers.text import carry_bytes, carry_text
from taint.envelopes.envelope import HEADER_BYTES, Problem, open_envelope, seal
from taint.envelopes.facts import distrusted
from taint.evidence import Evidence
from taint.flows.outcome import call_site, carry_out
from taint.flows.zones import current_zone
from taint.guard import report_internal_error
from taint.labels import NO_LABELS, Labels
from taint.losses import count_loss
from taint.modes import Mode, is_off
from taint.policy import ENVELOPE_RULE, Flow, Outcome
from taint.propagation.pairing import layered

__all__ = ["arrived", "claimed", "leaving", "report_problem"]

Body = TypeVar("Body", str, bytes)


def leaving(
    body: str | bytes, *, channel: str, context: str = "", max_bytes: int = HEADER_BYTES, is_always: bool = False
) -> str | None:
    """Give the envelope of a body that is about to be sent or stored.

    Labels: of the body, in the envelope. Where there is no key they are lost, which is counted and a gap.

    Args:
        body: As it is sent.
        channel: What it goes through, as gaps name it: `http`, `celery`.
        context: What it is bound to besides; never shown.
        max_bytes: The longest that it may be.
        is_always: A body without labels has one too, which says so.

    Returns:
        The envelope; None where there is nothing to say.
    """
    if not (is_always or coverage_of(body)) or is_off():
        return None
    try:
        return seal(body, context=context, max_bytes=max_bytes, is_always=is_always)
    except LookupError:
        count_loss(f"{channel} without an envelope key")
        report_problem(Problem.NO_KEY, channel)
    except Exception as error:  # noqa: BLE001  # The body is sent all the same.
        count_loss(f"{channel} without an envelope")
        report_internal_error("writing an envelope", error)
    return None


def arrived(body: Body, envelope: object, *, channel: str, context: str = "", is_required: bool = False) -> Body:
    """Label a body that has arrived with what its envelope says.

    Labels: joined to those that the body has. Of an envelope that is not verified the known purposes and
    categories, on all of the body; the problem is a gap.

    Args:
        body: As it came.
        envelope: What came beside it; None where nothing did.
        channel: As `leaving`.
        context: As `leaving`.
        is_required: A body without an envelope is a gap too.
    """
    if is_off() or (envelope is None and not is_required):
        return body
    try:
        opened = open_envelope(envelope, body, context=context)
        if opened.problem is None:
            more = opened.coverage
        else:
            more = distrusted(opened.claimed)
            report_problem(opened.problem, channel, more)
        if not more or not body:
            return body
        own, plain = coverage_of(body), exact(body)
        if own:
            more = _joined(own, more, len(plain))
        return carry_text(plain, more) if isinstance(plain, str) else carry_bytes(plain, more)  # type: ignore[return-value]  # As it came.
    except Exception as error:  # noqa: BLE001  # The program gets its body.
        report_internal_error("reading an envelope", error)
        return body


def claimed(envelope: object) -> Labels:
    """Give what an envelope adds whose body is not looked at: known purposes and categories, vouched for by nobody."""
    opened = open_envelope(envelope, b"")
    return distrusted(opened.claimed | flat(opened.coverage))


def _joined(own: Coverage, more: Coverage, length: int) -> Coverage | None:
    if type(more) is Labels:
        return joined(own, more, length)
    return layered((*spans_of(own, length), *spans_of(more, length)), length)


def report_problem(problem: Problem, channel: str, labels: Labels = NO_LABELS) -> None:
    """Tell that an envelope is of no use. Labels: shown by their keys; nothing else of it is.

    Args:
        problem: What is wrong.
        channel: Where.
        labels: What it added all the same.
    """
    zone = current_zone()
    flow = Flow(
        outcome=Outcome.GAP,
        sink=f"envelope.{channel}",
        purpose="" if zone is None else zone.purpose,
        labels=labels,
        evidence=Evidence.LABEL,
        path=channel,
        rule=f"{ENVELOPE_RULE}-{problem.value}",
        mode=Mode.REPORT,
        call_site=call_site(),
        advice=_ADVICE[problem],
    )
    carry_out((flow,))


_ADVICE = {
    Problem.MISSING: "Have the sender install the integration and share a key, or do not require an envelope here",
    Problem.TRUNCATED: "Look for what cuts or changes headers between the two",
    Problem.UNKNOWN_VERSION: "Bring this process to the release that the sender runs",
    Problem.UNKNOWN_KEY: "Give this process the sender's key, before the sender signs with it",
    Problem.FORGED: "See that both have the same secret under this key id; if they do, find out who sent it",
    Problem.REPLAYED: "Look for what changes bodies between the two, or stores one under another's name",
    Problem.TOO_LARGE: "Send such a body in parts, or raise max_body_bytes of the middleware",
    Problem.NO_KEY: "Set TAINT_ENVELOPE_KEYS, or taint.configure(envelope_keys=...)",
    Problem.UNFOLLOWED: "Use a command that hands its labels on with the value",
}

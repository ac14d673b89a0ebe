"""What is allowed: decisions, verdicts and the flows they are about."""

from taint.policy.decision import PURPOSE_LIMITATION, decide
from taint.policy.verdict import CallSite, Flow, Outcome, Verdict

__all__ = ["PURPOSE_LIMITATION", "CallSite", "Flow", "Outcome", "Verdict", "decide"]

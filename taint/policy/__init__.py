"""What is allowed: policies, decisions, verdicts and the flows they are about."""

from taint.policy.consent import (
    BoundedConsentStore,
    ConsentStore,
    InMemoryConsentStore,
    current_consent_store,
    set_consent_store,
)
from taint.policy.current import (
    PolicyState,
    current_decider,
    current_policy,
    find_policy,
    policy_state,
    read_policy_again,
    restore_policy,
    set_policy,
    use_policy,
)
from taint.policy.decision import DECLASSIFICATION, UNLABELLED, Decider, Decision
from taint.policy.loading import load_policy
from taint.policy.making import make_policy
from taint.policy.messages import ENVELOPE_RULE
from taint.policy.outcome import Outcome
from taint.policy.records import flow_from_record, flow_record
from taint.policy.rules import PURPOSE_LIMITATION, Address, Policy, Rule, Suppression
from taint.policy.verdict import CallSite, Flow, Verdict

__all__ = [
    "DECLASSIFICATION",
    "ENVELOPE_RULE",
    "PURPOSE_LIMITATION",
    "UNLABELLED",
    "Address",
    "BoundedConsentStore",
    "CallSite",
    "ConsentStore",
    "Decider",
    "Decision",
    "Flow",
    "InMemoryConsentStore",
    "Outcome",
    "Policy",
    "PolicyState",
    "Rule",
    "Suppression",
    "Verdict",
    "current_consent_store",
    "current_decider",
    "current_policy",
    "find_policy",
    "flow_from_record",
    "flow_record",
    "load_policy",
    "make_policy",
    "policy_state",
    "read_policy_again",
    "restore_policy",
    "set_consent_store",
    "set_policy",
    "use_policy",
]

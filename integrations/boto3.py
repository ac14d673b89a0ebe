"""boto3: what goes to a bucket, topic, queue or host that the policy declares as a sink is checked before it is sent.

Source: none.

Sink: buckets with keys, `at = { bucket = ["ads-exports/*"] }`; topics, queues, streams, event buses and tables by
name or ARN, `at = { topic = ["arn:aws:sns:*:ads-*"] }`; everything else by its endpoint, `at = { http = [...] }`.

Covered: every operation of every client and resource (`put_object`, `publish`, `send_message`, `put_record`,
`put_item`, ...), each parameter by its name; `upload_file`, `upload_fileobj` and multipart uploads. A body that is a
file is checked as it is read, and stopped, since its length is promised.

Not covered: presigned URLs, which others send to.

    import taint
    taint.install(integrations=["boto3"])
    import boto3, botocore.client
    taint.configure(policy={"sinks": {"ads": {"purpose": "advertising", "at": {"topic": ["ads"]}}}})
    from taint.integrations.boto3 import sink_of
    sink_of("publish", {"TopicArn": "arn:aws:sns:eu-west-1:1:ads"}, "https://sns.eu-west-1.amazonaws.com")
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import wrapt

from taint.flows.leaving import Pieces, has_sinks, let_go_guarded, sink_at
from taint.flows.outcome import look_past
from taint.integrations.base import Integration
from taint.policy import Address
from taint.propagation.patches import Patch

__all__ = ["Boto3Integration", "checked_params", "has_cloud_sinks", "sink_of"]

_NAMES = (
    *("TopicArn", "TargetArn", "QueueUrl", "StreamName", "StreamARN", "DeliveryStreamName", "EventBusName"),
    *("TableName", "TableArn", "FunctionName", "StateMachineArn"),
)
"""Parameters that say where something goes: of SNS, SQS, Kinesis, Firehose, EventBridge, DynamoDB, Lambda, Step
Functions."""
_LAST = re.compile(r"[^:/]+$")


class Boto3Integration(Integration):
    """Checks calls before they are sent."""

    identifier = "boto3"
    requires = ("boto3>=1.28",)
    waits_for = "botocore.client"

    def _install(self) -> None:
        import botocore.client

        look_past("boto3", "botocore", "s3transfer")
        # Its events are registered with each client, before or after others that change parameters;
        # `_make_api_call` is where every call passes, since 1.0.
        self._wrap((Patch(botocore.client.BaseClient, "_make_api_call", _call),))


def sink_of(operation: str, params: Mapping[str, Any], endpoint: str) -> Address | None:
    """Give the sink that a call goes to.

    Labels: not looked at.

    Args:
        operation: Its name, which is not needed where a parameter says where it goes.
        params: Its parameters.
        endpoint: The client's.
    """
    bucket = params.get("Bucket")
    if isinstance(bucket, str):
        found = sink_at("bucket", f"{bucket}/{params.get('Key', '')}")
        if found is not None:
            return found
    for name in _names(params):
        last = _LAST.search(name)
        found = sink_at("topic", name, name if last is None else last[0])
        if found is not None:
            return found
    return sink_at("http", f"{endpoint}/{operation}")


def _names(params: Mapping[str, Any]) -> Iterator[str]:
    for key in _NAMES:
        if isinstance(params.get(key), str):
            yield params[key]
    for entry in params.get("Entries") or ():  # Of EventBridge.
        if isinstance(entry, dict) and isinstance(entry.get("EventBusName"), str):
            yield entry["EventBusName"]
    yield from params.get("RequestItems") or ()  # Tables of DynamoDB.


class _CheckedBody(wrapt.ObjectProxy):  # type: ignore[type-arg]  # As `TaintedProxy`.
    """A file that is checked as it is read, as often as it is: for its digest, and to be sent."""

    _self_pieces: Pieces

    def read(self, *args: Any) -> Any:
        return self._self_pieces.let_go(self.__wrapped__.read(*args))

    def seek(self, *args: Any) -> Any:
        self._self_pieces.begin()
        return self.__wrapped__.seek(*args)

    def __iter__(self) -> Iterator[Any]:
        return map(self._self_pieces.let_go, self.__wrapped__)


def has_cloud_sinks() -> bool:
    """Tell, at next to no cost, whether the policy declares a sink that a call may go to."""
    return any(map(has_sinks, ("bucket", "topic", "http")))


def checked_params(operation: str, params: Mapping[str, Any], endpoint: str) -> Mapping[str, Any]:
    """Check what a call sends; gives the parameters as they may go.

    Args:
        operation: As `sink_of`.
        params: As `sink_of`.
        endpoint: As `sink_of`.

    Raises:
        PurposeViolationError: One of them may not go.
    """
    __tracebackhide__ = True  # As in `carry_out`.
    sink = sink_of(operation, params, endpoint)
    if sink is None:
        return params
    body = params.get("Body")
    parts = [(name, value) for name, value in params.items() if not hasattr(value, "read")]
    params = {**params, **dict(zip((name for name, _ in parts), let_go_guarded(sink, parts), strict=True))}
    if hasattr(body, "read"):
        checked = _CheckedBody(body)
        checked._self_pieces = Pieces(sink, "Body", is_fixed=True, is_numbered=False)
        params["Body"] = checked
    return params


def _call(wrapped: Callable[..., Any], client: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    __tracebackhide__ = True  # As in `carry_out`.
    if not has_cloud_sinks():
        return wrapped(*args, **kwargs)
    operation, params = (*args, *kwargs.values())
    return wrapped(operation, checked_params(operation, params, client.meta.endpoint_url))

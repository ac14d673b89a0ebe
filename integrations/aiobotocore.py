"""aiobotocore: what goes to a bucket, topic, queue or host that the policy declares as a sink is checked before.

Source: none.

Sink: as the integration `boto3`: `at = { bucket = ["ads-exports/*"] }`, `topic`, `http`.

Covered: every operation of every client (`put_object`, `upload_part`, `publish`, `send_message`, ...), each parameter
by its name, and so what is built on it, as aioboto3 and s3fs are. A body that is a file is checked as it is read, and
stopped, since its length is promised.

Not covered: presigned URLs, which others send to; a body that is read asynchronously: a gap.

    import taint
    taint.install(integrations=["aiobotocore"])
    import aiobotocore.client
    taint.configure(policy={"sinks": {"ads": {"purpose": "advertising", "at": {"bucket": ["ads"]}}}})
    from taint.integrations.boto3 import sink_of
    sink_of("put_object", {"Bucket": "ads", "Key": "a"}, "https://s3.eu-west-1.amazonaws.com")
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from taint.flows.leaving import tell_unread
from taint.flows.outcome import look_past
from taint.integrations.base import Integration
from taint.integrations.boto3 import checked_params, has_cloud_sinks, sink_of
from taint.propagation.patches import Patch

__all__ = ["AiobotocoreIntegration"]


class AiobotocoreIntegration(Integration):
    """Checks calls before they are sent."""

    identifier = "aiobotocore"
    requires = ("aiobotocore>=2.5",)
    waits_for = "aiobotocore.client"

    def _install(self) -> None:
        import aiobotocore.client

        look_past("aiobotocore", "botocore", "aioboto3")
        # As of botocore: every call passes by it, since 1.0.
        self._wrap((Patch(aiobotocore.client.AioBaseClient, "_make_api_call", _call),))


async def _call(wrapped: Callable[..., Any], client: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    __tracebackhide__ = True  # As in `carry_out`.
    if not has_cloud_sinks():
        return await wrapped(*args, **kwargs)
    operation, params = (*args, *kwargs.values())
    body = params.get("Body")
    if inspect.iscoroutinefunction(getattr(body, "read", None)) or hasattr(body, "__aiter__"):
        sink = sink_of(operation, params, client.meta.endpoint_url)
        if sink is not None:
            tell_unread(sink, "Body")
        rest = {name: value for name, value in params.items() if name != "Body"}
        return await wrapped(operation, {**checked_params(operation, rest, client.meta.endpoint_url), "Body": body})
    return await wrapped(operation, checked_params(operation, params, client.meta.endpoint_url))

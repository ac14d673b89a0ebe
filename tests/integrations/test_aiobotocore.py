"""aiobotocore: calls to buckets and topics that the policy declares, against moto's own server on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import io
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

pytest.importorskip("aiobotocore", reason="the extra 'aiobotocore' is not installed")

import aiobotocore.session

import taint
from taint.testing import record
from tests.integrations.outside import PHONE, REDACTED, advertising, security
from tests.integrations.test_boto3 import Cloud, address, cloud, declare

__all__ = ["address", "cloud"]


@pytest.fixture(autouse=True)
def _installed(cloud: Cloud) -> None:
    taint.uninstall()
    taint.install(integrations=["aiobotocore"])


def call(cloud: Cloud, service: str, ask: Callable[[Any], Awaitable[Any]]) -> Any:
    """Call the cloud by a client of its own."""

    async def run() -> Any:
        session = aiobotocore.session.get_session()
        given = {
            "endpoint_url": cloud.s3.meta.endpoint_url,
            "region_name": "eu-west-1",
            "aws_access_key_id": "none",
            "aws_secret_access_key": "none",
        }
        async with session.create_client(service, **given) as client:
            return await ask(client)

    return asyncio.run(run())


class Reader:
    """A body that is read asynchronously."""

    def __init__(self, content: bytes) -> None:
        self._file = io.BytesIO(content)

    async def read(self, size: int = -1) -> bytes:
        """Read."""
        return self._file.read(size)


async def in_parts(client: Any, phone: str) -> None:
    """Upload in parts."""
    place = {"Bucket": "ads-exports", "Key": "a"}
    upload = (await client.create_multipart_upload(**place))["UploadId"]
    part = await client.upload_part(**place, UploadId=upload, PartNumber=1, Body=b"n" + phone.encode())
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    await client.complete_multipart_upload(**place, UploadId=upload, MultipartUpload=parts)


CALLS: list[tuple[str, str, Callable[[Any, Cloud, str], Awaitable[Any]], str]] = [
    (
        "body",
        "s3",
        lambda client, _, phone: client.put_object(Bucket="ads-exports", Key="a", Body=b"n" + phone.encode()),
        "Body",
    ),
    (
        "key",
        "s3",
        lambda client, _, phone: client.put_object(Bucket="ads-exports", Key="u/" + phone, Body=b"n"),
        "Key",
    ),
    ("parts", "s3", lambda client, _, phone: in_parts(client, phone), "Body"),
    (
        "message",
        "sns",
        lambda client, cloud, phone: client.publish(TopicArn=cloud.topic, Message="to " + phone),
        "Message",
    ),
]


@pytest.mark.parametrize(("service", "ask", "path"), [row[1:] for row in CALLS], ids=[row[0] for row in CALLS])
class TestSink:
    """A declared place is a sink, in every parameter."""

    def test_block(self, cloud: Cloud, service: str, ask: Any, path: str) -> None:
        """What may not go there is not sent."""
        declare()
        with pytest.raises(taint.PurposeViolationError) as stopped:
            call(cloud, service, lambda client: ask(client, cloud, security()))
        assert stopped.value.violation.path == path
        assert cloud.stored == []

    def test_safe_twin_report_and_redact(self, cloud: Cloud, service: str, ask: Any, path: str) -> None:
        """What may go goes; in mode `report` all does, told; in mode `redact` what may not is replaced."""
        declare()
        with record() as seen:
            call(cloud, service, lambda client: ask(client, cloud, advertising()))
            assert seen.violations == []
            declare("report")
            call(cloud, service, lambda client: ask(client, cloud, security()))
            assert [flow.path for flow in seen.violations] == [path]
            declare("redact")
            call(cloud, service, lambda client: ask(client, cloud, security()))
        if path == "Body":
            assert cloud.stored == [b"n" + REDACTED.encode()]


def test_other_places_are_no_sinks(cloud: Cloud) -> None:
    """A key that nobody declared is no sink."""
    declare(bucket=["ads-exports/daily/*"])
    with record() as seen:
        call(
            cloud,
            "s3",
            lambda client: client.put_object(Bucket="ads-exports", Key="weekly/a", Body=security().encode()),
        )
    assert cloud.stored == [PHONE.encode()]
    assert seen.flows == []


@pytest.mark.parametrize("is_known", [True, False])
def test_file(cloud: Cloud, is_known: bool) -> None:
    """A file is checked as it is read: what known values know of it is found, anything else goes."""
    content = f"7,{PHONE if is_known else '+14155550111'}".encode()

    def put() -> None:
        call(cloud, "s3", lambda client: client.put_object(Bucket="ads-exports", Key="a", Body=io.BytesIO(content)))

    taint.configure(known_values=True)
    try:
        security()
        declare()
        if is_known:
            with pytest.raises(taint.PurposeViolationError):
                put()
        else:
            put()
        assert cloud.stored == ([] if is_known else [content])
    finally:
        taint.configure(known_values=False)


def test_body_that_is_read_asynchronously(cloud: Cloud) -> None:
    """A body that cannot be looked into is a gap; elsewhere it is none."""
    ask = {"Bucket": "ads-exports", "Key": "a", "Body": Reader(b"n"), "ContentLength": 1}
    for bucket, gaps in (("ads-exports", ["unread-payload"]), ("others", [])):
        declare("report", bucket=[bucket])
        # Where a digest is asked for, botocore itself cannot read it.
        with record() as seen, contextlib.suppress(AttributeError):
            call(cloud, "s3", lambda client: client.put_object(**ask))
        assert [gap.rule for gap in seen.gaps] == gaps

"""boto3: calls to buckets, topics and hosts that the policy declares, against moto's own server on loopback."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from moto.server import ThreadedMotoServer

import taint
from taint.testing import record
from tests.integrations.outside import PHONE, REDACTED, advertising, security


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A server that answers as the cloud does."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


class Cloud:
    """Clients of it."""

    def __init__(self, address: str) -> None:
        given: dict[str, Any] = {
            "endpoint_url": address,
            "region_name": "eu-west-1",
            "aws_access_key_id": "none",
            "aws_secret_access_key": "none",
            "config": Config(retries={"max_attempts": 1}),
        }
        self.s3: Any = boto3.client("s3", **given)
        self.sns: Any = boto3.client("sns", **given)
        self.sqs: Any = boto3.client("sqs", **given)
        self.s3.create_bucket(Bucket="ads-exports", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        self.topic: str = self.sns.create_topic(Name="ads-people")["TopicArn"]
        self.queue: str = self.sqs.create_queue(QueueName="ads-queue")["QueueUrl"]

    @property
    def stored(self) -> list[bytes]:
        """What the bucket holds."""
        found = self.s3.list_objects_v2(Bucket="ads-exports").get("Contents", ())
        return [self.s3.get_object(Bucket="ads-exports", Key=one["Key"])["Body"].read() for one in found]


@pytest.fixture
def cloud(address: str) -> Iterator[Cloud]:
    """A bucket, a topic and a queue."""
    taint.install(integrations=["boto3"])
    made = Cloud(address)
    yield made
    taint.configure(policy={}, mode="block")
    for one in made.s3.list_objects_v2(Bucket="ads-exports").get("Contents", ()):
        made.s3.delete_object(Bucket="ads-exports", Key=one["Key"])
    made.s3.delete_bucket(Bucket="ads-exports")
    for client in (made.s3, made.sns, made.sqs):
        client.close()


def declare(mode: str = "block", **at: list[str]) -> None:
    """Put a policy in force in which some of the cloud is a sink for advertising."""
    places = at or {"bucket": ["ads-exports"], "topic": ["ads-*"]}
    taint.configure(policy={"sinks": {"ads.cloud": {"purpose": "advertising", "at": places}}}, mode=mode)


CALLS: list[tuple[str, Callable[[Cloud, str], Any], str]] = [
    (
        "body",
        lambda cloud, phone: cloud.s3.put_object(Bucket="ads-exports", Key="a", Body=b"n" + phone.encode()),
        "Body",
    ),
    (
        "metadata",
        lambda cloud, phone: cloud.s3.put_object(Bucket="ads-exports", Key="a", Body=b"n", Metadata={"who": phone}),
        "Metadata.who",
    ),
    ("key", lambda cloud, phone: cloud.s3.put_object(Bucket="ads-exports", Key="u/" + phone, Body=b"n"), "Key"),
    ("message", lambda cloud, phone: cloud.sns.publish(TopicArn=cloud.topic, Message="to " + phone), "Message"),
    ("queue", lambda cloud, phone: cloud.sqs.send_message(QueueUrl=cloud.queue, MessageBody=phone), "MessageBody"),
]


@pytest.mark.parametrize(("call", "path"), [row[1:] for row in CALLS], ids=[row[0] for row in CALLS])
class TestSink:
    """A declared place is a sink, in every parameter."""

    def test_block(self, cloud: Cloud, call: Callable[[Cloud, str], Any], path: str) -> None:
        """What may not go there is not sent."""
        declare()
        with pytest.raises(taint.PurposeViolationError) as stopped:
            call(cloud, security())
        assert stopped.value.violation.path == path
        assert cloud.stored == []

    def test_safe_twin_report_and_redact(self, cloud: Cloud, call: Callable[[Cloud, str], Any], path: str) -> None:
        """What may go goes; in mode `report` all does, told; in mode `redact` what may not is replaced."""
        declare()
        with record() as seen:
            call(cloud, advertising())
            assert seen.violations == []
            declare("report")
            call(cloud, security())
            assert [flow.path for flow in seen.violations] == [path]
            declare("redact")
            call(cloud, security())
        if path == "Body":
            assert cloud.stored == [b"n" + REDACTED.encode()]


def test_other_places_are_no_sinks(cloud: Cloud) -> None:
    """A bucket that nobody declared is no sink; neither is another key of one."""
    declare(bucket=["ads-exports/daily/*"])
    with record() as seen:
        cloud.s3.put_object(Bucket="ads-exports", Key="weekly/a", Body=security().encode())
    assert cloud.stored == [PHONE.encode()]
    assert seen.flows == []


def test_endpoint(cloud: Cloud, address: str) -> None:
    """What is neither bucket nor topic is a sink by its host."""
    declare(http=[f"{address}/*"])
    with pytest.raises(taint.PurposeViolationError) as stopped:
        cloud.sns.publish(PhoneNumber=security(), Message="n")
    assert stopped.value.violation.path == "PhoneNumber"


@pytest.mark.parametrize("given", [security, advertising])
def test_file_in_memory(cloud: Cloud, given: Callable[[], str]) -> None:
    """A file in memory is checked as it is read, by `upload_fileobj` too."""
    declare()
    file = io.BytesIO(b"n," + given().encode())
    if given is advertising:
        cloud.s3.upload_fileobj(file, "ads-exports", "a")
        assert cloud.stored == [b"n," + PHONE.encode()]
    else:
        with pytest.raises(taint.PurposeViolationError):
            cloud.s3.upload_fileobj(file, "ads-exports", "a")
        assert cloud.stored == []


@pytest.mark.parametrize("is_known", [True, False])
def test_known_values(cloud: Cloud, tmp_path: Path, is_known: bool) -> None:
    """A file on disk is found by what known values know of it; another one is stored as it is."""
    file = tmp_path / "a.csv"
    file.write_text(f"7,{PHONE if is_known else '+14155550111'}{os.linesep}", encoding="utf-8")
    taint.configure(known_values=True)
    try:
        security()
        declare()
        if is_known:
            with pytest.raises(taint.PurposeViolationError):
                cloud.s3.upload_file(str(file), "ads-exports", "a")
            assert cloud.stored == []
        else:
            cloud.s3.upload_file(str(file), "ads-exports", "a")
            assert cloud.stored == [file.read_bytes()]
    finally:
        taint.configure(known_values=False)

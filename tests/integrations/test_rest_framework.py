"""Django REST framework: what a view reads and a serializer validates is labelled, and what is not."""

from collections.abc import Iterator
from typing import Annotated, Any

import pytest
from django import test
from django.core.files.uploadedfile import SimpleUploadedFile

import taint
from taint.integrations.django import DjangoIntegration
from tests.integrations.test_django import SECURITY, purposes, sources

# isort: split
# The framework reads Django's settings as it is imported, which the module above has made.
from rest_framework import parsers, serializers
from rest_framework.request import Request


class Device(serializers.Serializer[Any]):
    """A part of what somebody enrols with."""

    serial: Annotated[str, taint.Collected(SECURITY)] = serializers.CharField()
    name = serializers.CharField()


class Enrolment(serializers.Serializer[Any]):
    """What somebody enrols with."""

    phone: Annotated[str, taint.Collected(SECURITY)] = serializers.CharField()
    city = serializers.CharField()
    devices = Device(many=True, required=False)

    def validate(self, attrs: Any) -> Any:
        """See labelled values already."""
        assert purposes(attrs["phone"]) == {SECURITY}
        return attrs


@pytest.fixture
def installed() -> Iterator[None]:
    """Both integrations."""
    django = DjangoIntegration(collected={"phone": taint.Collected(SECURITY), "file:scan": taint.Collected(SECURITY)})
    taint.install(integrations=[django, "rest_framework"])
    yield
    taint.uninstall()


def read(data: Any, **kwargs: Any) -> Any:
    """Send a request through Django's resolver, and give what the framework reads of it."""
    request = test.RequestFactory().post("/enrol/", data, **kwargs)
    handler = test.client.ClientHandler(enforce_csrf_checks=False)
    handler.load_middleware()
    handler.resolve_request(request)
    return Request(request, parsers=[parsers.JSONParser(), parsers.FormParser(), parsers.MultiPartParser()]).data


def test_json(installed: None) -> None:
    """A field of a JSON body is labelled by its name, wherever it stands; another one is not."""
    data = read({"phone": "1", "city": "2", "people": [{"phone": "3"}]}, content_type="application/json")
    assert data == {"phone": "1", "city": "2", "people": [{"phone": "3"}]}
    assert sources(data["phone"]) == {"POST /enrol/ body:phone"}
    assert purposes(data["people"]) == {SECURITY}
    assert purposes(data["city"]) == set()


def test_json_list(installed: None) -> None:
    """A body that is a list is labelled inside."""
    data = read([{"phone": "1", "city": "2"}], content_type="application/json")
    assert [purposes(data[0][name]) for name in ("phone", "city")] == [{SECURITY}, set()]


@pytest.mark.parametrize("is_multipart", [True, False])
def test_form(installed: None, is_multipart: bool) -> None:
    """A field of a form is labelled, whatever its encoding; another one is not."""
    if is_multipart:
        data = read({"phone": "1", "city": "2"})
    else:
        data = read("phone=1&city=2", content_type="application/x-www-form-urlencoded")
    assert (data["phone"], data["city"]) == ("1", "2")
    assert sources(data["phone"]) == {"POST /enrol/ form:phone"}
    assert purposes(data["city"]) == set()


def test_files(installed: None) -> None:
    """A file's contents are labelled; another file's are not."""
    data = read({"scan": SimpleUploadedFile("a.txt", b"passport"), "other": SimpleUploadedFile("b.txt", b"else")})
    scan, other = data["scan"].read(), data["other"].read()
    assert (scan, other) == (b"passport", b"else")
    assert (purposes(scan), purposes(other)) == ({SECURITY}, set())


def test_serializer(installed: None) -> None:
    """Fields that say what they are collected for are labelled after validation, nested ones too."""
    given = {"phone": " 1 ", "city": "2", "devices": [{"serial": "s", "name": "n"}]}
    enrolment = Enrolment(data=given)
    assert enrolment.is_valid()
    found = enrolment.validated_data
    assert found == {"phone": "1", "city": "2", "devices": [{"serial": "s", "name": "n"}]}
    assert sources(found["phone"]) == {f"{__name__}.Enrolment.phone"}
    assert purposes(found["devices"][0]["serial"]) == {SECURITY}
    assert purposes(found["city"]) == purposes(found["devices"][0]["name"]) == set()
    assert dict(Enrolment(found).data) == {"phone": "1", "city": "2", "devices": [{"serial": "s", "name": "n"}]}
    wrong = Enrolment(data={"city": "2"})
    assert not wrong.is_valid()
    assert set(wrong.errors) == {"phone"}


def test_off_again(installed: None) -> None:
    """After uninstall() nothing is labelled."""
    taint.uninstall()
    assert purposes(read({"phone": "1"}, content_type="application/json")) == set()

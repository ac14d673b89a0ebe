"""A Django application whose customers give numbers, some for security and some for marketing.

    python -m examples.django_contacts

A real server on loopback, real HTTP, an SQLite file. Customers send a form; the model keeps why each number was given
beside it (`LabelsField`); an audience export, in another request, reads the table. Numbers given for marketing go out.
One given for two-factor authentication does not: the export stops before the platform has anything, and says whose form
it came from. With `TAINT_MODE=off` all of them go out: that is the incident.

Exit codes: 0, all held; 1, something did not.
"""

from __future__ import annotations

import json
import sys
import tempfile
import threading
import urllib.error
import urllib.parse
import urllib.request
import wsgiref.simple_server
from pathlib import Path
from typing import Any

import taint
from taint.integrations.django import DjangoIntegration

POLICY = {
    "collected": {
        "POST /two-factor/": {"phone": {"purpose": "security.mfa", "category": "user.contact.phone_number"}},
        "POST /newsletter/": {"phone": {"purpose": "advertising", "category": "user.contact.phone_number"}},
    }
}
"""What each form collects, and for what: no line of the application says it."""

taint.configure(policy=POLICY)
taint.install(integrations=[DjangoIntegration(), "sqlite3"])

import django  # noqa: E402  # Its settings come first.
from django.conf import settings  # noqa: E402  # As above.

FOLDER = Path(tempfile.mkdtemp(prefix="django-contacts-"))
settings.configure(
    ALLOWED_HOSTS=["127.0.0.1"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": FOLDER / "contacts.sqlite3"}},
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    LOGGING_CONFIG=None,
    ROOT_URLCONF=__name__,
    SECRET_KEY="of this example alone",  # noqa: S106  # It guards nothing.
    USE_TZ=True,
)
django.setup()

from django.core.wsgi import get_wsgi_application  # noqa: E402  # As above.
from django.db import connection, models  # noqa: E402  # As above.
from django.http import HttpRequest, HttpResponse, JsonResponse  # noqa: E402  # As above.
from django.urls import path  # noqa: E402  # As above.

from taint.integrations.django_labels import LabelsField  # noqa: E402  # As above.

PLATFORM: list[str] = []
"""What the ad platform has received."""


class Contact(models.Model):  # type: ignore[misc]  # Django is untyped.
    """A customer's number, and beside it why it was given."""

    phone = models.CharField(max_length=40)
    phone_labels = LabelsField(of="phone")

    class Meta:  # noqa: D106  # Django reads it.
        app_label = "contacts"

    def __str__(self) -> str:
        """Show no number."""
        return f"contact {self.pk}"


def keep(request: HttpRequest) -> HttpResponse:
    """Keep the number of a form; the same view for both forms."""
    Contact.objects.create(phone=request.POST["phone"].replace(" ", ""))
    return HttpResponse(status=201)


@taint.sink(purpose="advertising.audiences", name="ads.upload")
def upload(numbers: list[str]) -> None:
    """Send numbers to the ad platform."""
    PLATFORM.extend(numbers)


def export(request: HttpRequest) -> HttpResponse:
    """Upload the numbers of some contacts, as a marketing team would ask for it."""
    wanted = Contact.objects.order_by("id")
    if "id" in request.GET:
        wanted = wanted.filter(pk__in=request.GET.getlist("id"))
    try:
        upload([contact.phone for contact in wanted])
    except taint.PurposeViolationError as error:
        return JsonResponse({"error": str(error)}, status=403)
    return JsonResponse({"sent": len(wanted)})


urlpatterns = [path("two-factor/", keep), path("newsletter/", keep), path("export/", export)]


class _Quiet(wsgiref.simple_server.WSGIRequestHandler):
    def log_message(self, *args: Any) -> None:
        """Write no line for each request."""


def ask(address: str, form: dict[str, str] | None = None) -> tuple[int, dict[str, Any]]:
    """Send a request; a form by POST."""
    data = None if form is None else urllib.parse.urlencode(form).encode()
    try:
        with urllib.request.urlopen(address, data, timeout=10) as answer:  # noqa: S310  # To our own server.
            body = answer.read()
            return answer.status, json.loads(body) if body else {}
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def play(server: str) -> list[tuple[str, bool]]:
    """Have three customers give their numbers and export twice; give each fact and whether it held."""
    is_off = taint.labels_of(taint.label("x", purpose="security.mfa")) == taint.labels_of("x")
    for form, number in (
        ("newsletter", "+1 415 555 0100"),
        ("two-factor", "+1 415 555 0101"),
        ("newsletter", "+44 20 7946 0001"),
    ):
        ask(f"{server}/{form}/", {"phone": number})
    subscribers = ask(f"{server}/export/?id=1&id=3")
    sent_to_subscribers = len(PLATFORM)
    status, answer = ask(f"{server}/export/")
    if is_off:
        return [("Without the library the number given for security was sent too: the incident.", len(PLATFORM) == 5)]
    message = answer.get("error", "")
    return [
        (
            "Two numbers given for the newsletter were exported.",
            subscribers == (200, {"sent": 2}) and sent_to_subscribers == 2,
        ),
        ("The export of all numbers was stopped before the platform had any.", status == 403 and len(PLATFORM) == 2),
        ("The message names the form that collected the number.", "POST /two-factor/ form:phone" in message),
        ("The message shows no number.", not any(digits in message for digits in ("4155550101", "555 0101"))),
    ]


def main() -> int:
    """Run the server, play, and say what held."""
    with connection.schema_editor() as editor:
        editor.create_model(Contact)
    application = get_wsgi_application()
    with wsgiref.simple_server.make_server("127.0.0.1", 0, application, handler_class=_Quiet) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        facts = play(f"http://127.0.0.1:{server.server_port}")
        server.shutdown()
    for fact, held in facts:
        print("held  " if held else "FAILED", fact)
    return 0 if all(held for _, held in facts) else 1


if __name__ == "__main__":
    sys.exit(main())

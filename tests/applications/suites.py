"""The suites: where each comes from, what it needs, and which of its functions become sinks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["SUITES", "Suite"]

_OLD_PYTEST = "pytest==8.4.2"  # These suites import what pytest 9 has no more.
_PYTEST = "pytest>=9,<10"


@dataclass(frozen=True, slots=True)
class Suite:
    """One application or library with its own tests.

    Args:
        sdist: The distribution whose source holds them, with its version.
        requires: What they need besides, as pip takes it.
        packages: What is rewritten on import, when it is.
        sinks: Functions that are declared as sinks; each test runs in a zone besides.
        reached: Whose labels must arrive at a sink or in the zone: `fields`, `columns` or both.
        name: The distribution's, unless it holds several.
        folder: Where in the source pytest is run.
        arguments: What pytest is told.
        settings: Django's.
        sources: Functions of which each answer is labelled as a field, where no request brings any.
        plugins: Further plugins of ours that its tests need.
    """

    sdist: str
    requires: tuple[str, ...]
    packages: tuple[str, ...]
    sinks: tuple[str, ...]
    reached: frozenset[str]
    name: str = ""
    folder: str = ""
    arguments: tuple[str, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    sources: tuple[str, ...] = ()
    plugins: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """Its name and version."""
        distribution, _, version = self.sdist.partition("==")
        return f"{self.name} (in {distribution} {version})" if self.name else f"{distribution} {version}"


_FIELDS, _COLUMNS = frozenset(("fields",)), frozenset(("columns",))
_ANSWER = "flask.app:Flask.make_response"
_DJANGO = {"DJANGO_SETTINGS_MODULE": "tests.test_settings"}

SUITES = (
    Suite(
        "Flask==3.1.3",
        ("Flask==3.1.3", "asgiref", "greenlet", "python-dotenv", _OLD_PYTEST),
        ("flask",),
        (_ANSWER,),
        _FIELDS,
    ),
    Suite(
        "Flask==3.1.3",
        ("Flask==3.1.3", _PYTEST),
        ("flaskr",),
        (_ANSWER, "flask.templating:_render", "werkzeug.security:generate_password_hash"),
        _FIELDS | _COLUMNS,
        name="flaskr",
        folder="examples/tutorial",
    ),
    Suite("httpbin==0.10.4", ("httpbin==0.10.4", _PYTEST), ("httpbin",), (_ANSWER,), _FIELDS),
    Suite(
        "Flask-SQLAlchemy==3.1.1",
        ("Flask-SQLAlchemy==3.1.1", "sqlalchemy<2.1", _OLD_PYTEST),
        ("flask_sqlalchemy",),
        (),
        _COLUMNS,
    ),
    Suite(
        "Flask-Security==5.9.2",
        (
            "Flask-Security[babel,common,fsqla,mfa]==5.9.2",
            *("Flask-SQLAlchemy-Lite", "authlib", "cbor2", "freezegun", "requests", "sqlalchemy-utils", "zxcvbn"),
            *("sqlalchemy<2.1", _OLD_PYTEST),
        ),
        ("flask_security",),
        (_ANSWER, "flask_security.utils:hash_password"),
        _FIELDS | _COLUMNS,
        arguments=(  # The whole of it takes ten minutes.
            *("tests/test_two_factor.py", "tests/test_registerable.py", "tests/test_recovery_codes.py"),
            *("tests/test_phone_util.py", "tests/test_hashing.py"),
        ),
    ),
    Suite(
        "starlette==1.10.0",
        (
            *("starlette[full]==1.10.0", "httpx2[zstd]", "trio", "blockbuster", "opentelemetry-sdk"),
            *("pytest-codspeed", _PYTEST),
        ),
        ("starlette",),
        ("starlette.responses:Response.render",),
        _FIELDS,
        arguments=("tests",),
    ),
    Suite(
        "django-contact-form==5.2.0",
        ("django-contact-form==5.2.0", "Django==5.2.19", "akismet", "pytest-django", _PYTEST),
        ("django_contact_form",),
        ("django.template.loader:render_to_string",),
        _FIELDS | _COLUMNS,
        arguments=("tests",),
        settings=_DJANGO,
    ),
    Suite(
        "django-registration==5.2.1",
        ("django-registration==5.2.1", "Django==5.2.19", "pytest-django", _PYTEST),
        ("django_registration",),
        ("django.core.mail.message:EmailMessage.__init__", "django.contrib.auth.hashers:check_password"),
        _FIELDS | _COLUMNS,
        arguments=("tests",),
        settings=_DJANGO,
    ),
    Suite(
        "django-allauth==65.21.1",
        (
            "django-allauth[headless-spec,idp-oidc,mfa,openid,saml,socialaccount,steam]==65.21.1",
            *("Django==5.2.19", "Pillow", "django-ninja", "djangorestframework", "pyyaml"),
            *("pytest-asyncio==1.3.0", "pytest-django", _OLD_PYTEST),
        ),
        ("allauth",),
        ("allauth.account.adapter:DefaultAccountAdapter.send_mail", "django.http.response:HttpResponse.__init__"),
        _FIELDS | _COLUMNS,
        arguments=("--ds", "tests.projects.regular.settings", "tests/apps/account"),
    ),
    Suite(
        "Django==5.2.19",
        ("Django==5.2.19", "jinja2", _PYTEST),
        ("django.forms",),
        ("django.forms.forms:BaseForm.add_error",),
        _FIELDS | _COLUMNS,
        name="forms_tests",
        folder="tests",
        arguments=("-o", "python_files=test*.py", "forms_tests"),
        settings={"DJANGO_SETTINGS_MODULE": "test_sqlite", "DJANGO_SUITE": "forms_tests"},
        sources=("django.forms.widgets:Widget.value_from_datadict",),
        plugins=("django_suite",),
    ),
    Suite(
        "httpie==3.2.4",
        ("httpie==3.2.4", "pytest-httpbin", "pytest-mock", "responses", _OLD_PYTEST),
        ("httpie", "httpbin"),
        (_ANSWER,),
        _FIELDS,
        arguments=("tests/test_json.py", "tests/test_stream.py"),  # Others ask hosts of the Internet.
    ),
)

"""Which integrations there are, by name, so that none is imported before it is asked for."""

from __future__ import annotations

import difflib
import importlib
import importlib.metadata
import importlib.util
import logging
import sys
import threading
from collections.abc import Iterable

import wrapt

from taint.errors import IntegrationError
from taint.guard import shown
from taint.integrations.base import Integration

__all__ = ["ENTRY_POINTS", "INTEGRATIONS", "install_integrations", "integration_names", "uninstall_integrations"]

ENTRY_POINTS = "taint.integrations"
"""The entry point group in which other packages name their integrations."""

INTEGRATIONS = {
    "aiobotocore": "taint.integrations.aiobotocore:AiobotocoreIntegration",
    "aiohttp": "taint.integrations.aiohttp:AiohttpIntegration",
    "aiosmtplib": "taint.integrations.aiosmtplib:AiosmtplibIntegration",
    "celery": "taint.integrations.celery:CeleryIntegration",
    "boto3": "taint.integrations.boto3:Boto3Integration",
    "confluent_kafka": "taint.integrations.confluent_kafka:ConfluentKafkaIntegration",
    "dateutil": "taint.integrations.dateutil:DateutilIntegration",
    "django": "taint.integrations.django:DjangoIntegration",
    "email_validator": "taint.integrations.email_validator:EmailValidatorIntegration",
    "fastapi": "taint.integrations.fastapi:FastapiIntegration",
    "flask": "taint.integrations.flask:FlaskIntegration",
    "httpx": "taint.integrations.httpx:HttpxIntegration",
    "idna": "taint.integrations.idna:IdnaIntegration",
    "jinja2": "taint.integrations.jinja2:Jinja2Integration",
    "kafka": "taint.integrations.kafka:KafkaIntegration",
    "files": "taint.integrations.files:FilesIntegration",
    "logging": "taint.integrations.logging:LoggingIntegration",
    "lxml": "taint.integrations.lxml:LxmlIntegration",
    "markupsafe": "taint.integrations.markupsafe:MarkupsafeIntegration",
    "msgpack": "taint.integrations.msgpack:MsgpackIntegration",
    "msgspec": "taint.integrations.msgspec:MsgspecIntegration",
    "orjson": "taint.integrations.orjson:OrjsonIntegration",
    "passlib": "taint.integrations.passlib:PasslibIntegration",
    "phonenumbers": "taint.integrations.phonenumbers:PhonenumbersIntegration",
    "pydantic": "taint.integrations.pydantic:PydanticIntegration",
    "psycopg": "taint.integrations.psycopg:PsycopgIntegration",
    "redis": "taint.integrations.redis:RedisIntegration",
    "rest_framework": "taint.integrations.rest_framework:RestFrameworkIntegration",
    "requests": "taint.integrations.requests:RequestsIntegration",
    "simplejson": "taint.integrations.simplejson:SimplejsonIntegration",
    "smtplib": "taint.integrations.smtplib:SmtplibIntegration",
    "sqlalchemy": "taint.integrations.sqlalchemy:SqlalchemyIntegration",
    "sqlite3": "taint.integrations.sqlite3:Sqlite3Integration",
    "starlette": "taint.integrations.starlette:StarletteIntegration",
    "structlog": "taint.integrations.structlog:StructlogIntegration",
    "subprocess": "taint.integrations.subprocess:SubprocessIntegration",
    "ujson": "taint.integrations.ujson:UjsonIntegration",
    "yaml": "taint.integrations.yaml:YamlIntegration",
}
"""Identifier, which is also the library's package, and where the class is; `files` are those of the language itself."""

_logger = logging.getLogger("taint")
_lock = threading.RLock()
_made: dict[str, Integration] = {}
_installed: list[Integration] = []


_left_out: set[str] = set()
"""What was said to be left out: once is enough."""


def integration_names() -> list[str]:
    """Give the identifiers of all integrations, of other packages too."""
    return sorted({*INTEGRATIONS, *(point.name for point in importlib.metadata.entry_points(group=ENTRY_POINTS))})


def install_integrations(wanted: Iterable[str | Integration] | None = None) -> None:
    """Install integrations.

    Args:
        wanted: Identifiers, or integrations that were made with options; None for every one whose
            library is installed. One of those that cannot be installed is left out, and that is logged
            when the program imports the library: `sqlite3` is everywhere, and few programs use it.

    Raises:
        IntegrationError: One that was asked for is unknown, or its library is not there or not
            supported. None of them is installed then that was not before.
    """
    if isinstance(wanted, str):
        said = shown(wanted)
        raise IntegrationError(
            f"integrations is one text: {said!r}. It is a list of names. Write integrations=[{said!r}]."
        )
    with _lock:
        begun = len(_installed)
        try:
            for item in integration_names() if wanted is None else wanted:
                if wanted is None and isinstance(item, str) and not _is_present(item):
                    continue
                try:
                    _install(_integration(item) if isinstance(item, str) else item)
                except IntegrationError as error:
                    if wanted is not None:
                        raise
                    _leave_out(str(item), error)
        except IntegrationError:
            while len(_installed) > begun:
                _installed.pop().uninstall()
            raise


def uninstall_integrations() -> None:
    """Take every integration off again, the last one first."""
    with _lock:
        while _installed:
            _installed.pop().uninstall()


def _install(integration: Integration) -> None:
    for other in _installed:
        if other.identifier == integration.identifier:
            if other is not integration and integration is not _made.get(integration.identifier):
                raise IntegrationError(
                    f"integration {integration.identifier!r} is installed already, with other options. "
                    "Each is installed once. Call uninstall() first."
                )
            return
    integration.install()
    _installed.append(integration)


def _leave_out(name: str, error: IntegrationError) -> None:
    if name in _left_out:
        return
    _left_out.add(name)
    if name in sys.modules:
        _logger.warning("left out: %s", error)
        return
    told = str(error)

    def say(_module: object) -> None:
        if _installed:
            _logger.warning("left out: %s", told)

    wrapt.register_post_import_hook(say, name)


def _is_present(name: str) -> bool:
    return name == "files" or name in sys.modules or importlib.util.find_spec(name) is not None


def _integration(name: str) -> Integration:
    if name not in _made:
        _made[name] = _load(name)()
    return _made[name]


def _load(name: str) -> type[Integration]:
    where = INTEGRATIONS.get(name)
    if where is not None:
        module, _, attribute = where.partition(":")
        found: type[Integration] = getattr(importlib.import_module(module), attribute)
        return found
    for point in importlib.metadata.entry_points(group=ENTRY_POINTS, name=name):
        loaded = point.load()
        if isinstance(loaded, type) and issubclass(loaded, Integration) and loaded.identifier == name:
            return loaded
        raise IntegrationError(
            f"entry point {name!r} of group {ENTRY_POINTS!r} is not an integration. It has to name a class that "
            f"derives from taint.integrations.base.Integration and has the identifier {name!r}. Tell its authors."
        )
    names = integration_names()
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"Did you mean {near[0]!r}?" if near else "Correct the name."
    raise IntegrationError(f"no such integration: {shown(name)!r}. There are {', '.join(map(repr, names))}. {hint}")

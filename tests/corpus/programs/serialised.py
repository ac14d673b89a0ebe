"""The value goes through a format and back."""

from __future__ import annotations

import ast
import base64
import binascii
import configparser
import copy
import csv
import gzip
import io
import json
import pickle
import shlex
import xml.etree.ElementTree as ET
from email.message import EmailMessage

from tests.corpus.engines import Engine
from tests.corpus.programs import EMAIL, PHONE, program


@program
def as_json(engine: Engine, purpose: str) -> None:
    """As a JSON document."""
    engine.use(json.dumps({"rows": [{"phone": engine.collect(PHONE, purpose)}]}))


@program
def through_json(engine: Engine, purpose: str) -> None:
    """Through JSON and back."""
    engine.use(json.loads(json.dumps({"id": 7, "phone": engine.collect(PHONE, purpose)}))["phone"])


@program
def through_csv(engine: Engine, purpose: str) -> None:
    """Through CSV and back."""
    file = io.StringIO()
    csv.writer(file).writerow([7, engine.collect(EMAIL, purpose), "x, y"])
    file.seek(0)
    engine.use(next(csv.reader(file))[1])


@program
def through_pickle(engine: Engine, purpose: str) -> None:
    """Through pickle and back."""
    engine.use(pickle.loads(pickle.dumps([engine.collect(PHONE, purpose)])))  # noqa: S301  # Our own.


@program
def copied(engine: Engine, purpose: str) -> None:
    """Through a deep copy."""
    engine.use(copy.deepcopy({"phone": engine.collect(PHONE, purpose)}))


@program
def in_base64(engine: Engine, purpose: str) -> None:
    """In base64."""
    engine.use(base64.urlsafe_b64encode(engine.collect(PHONE, purpose).encode()))


@program
def in_hex(engine: Engine, purpose: str) -> None:
    """In hex."""
    engine.use(binascii.hexlify(engine.collect(PHONE, purpose).encode()).decode())


@program
def compressed(engine: Engine, purpose: str) -> None:
    """Compressed and back."""
    engine.use(gzip.decompress(gzip.compress(engine.collect(PHONE, purpose).encode())))


@program
def in_xml(engine: Engine, purpose: str) -> None:
    """As an attribute in XML."""
    engine.use(ET.tostring(ET.Element("user", phone=engine.collect(PHONE, purpose))))


@program
def as_literal(engine: Engine, purpose: str) -> None:
    """As a Python literal."""
    engine.use(ast.literal_eval(repr(engine.collect(PHONE, purpose))))


@program
def in_settings(engine: Engine, purpose: str) -> None:
    """As an option of an INI file."""
    parser = configparser.ConfigParser(interpolation=None)
    parser["user"] = {"phone": engine.collect(PHONE, purpose)}
    engine.use(parser["user"]["phone"])


@program
def on_a_command_line(engine: Engine, purpose: str) -> None:
    """As a word of a command line."""
    engine.use(shlex.split("upload --phone " + shlex.quote(engine.collect(PHONE, purpose)))[2])


@program
def in_a_message(engine: Engine, purpose: str) -> None:
    """As a header of a message."""
    message = EmailMessage()
    message["To"] = engine.collect("ann@example.com", purpose)
    engine.use(message.as_string())

"""ujson: what holds for every library like `json`."""

import ujson

from tests.integrations.json_libraries import JsonLibrary


class TestUjson(JsonLibrary):
    """Documents that ujson writes and reads."""

    library = ujson

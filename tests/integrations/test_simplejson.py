"""simplejson: what holds for every library like `json`."""

import simplejson

from tests.integrations.json_libraries import JsonLibrary


class TestSimplejson(JsonLibrary):
    """Documents that simplejson writes and reads."""

    library = simplejson

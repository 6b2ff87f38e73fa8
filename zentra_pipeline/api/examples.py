"""Examples in the description of the API: how a client goes through the shipped story `unmatched_provider_row`.

examples.json has them, as asked and as answered. Does not belong here: what routes take and answer, which a test
holds every example to.
"""

import json
from pathlib import Path
from typing import Any, Final

_FILE: Final = Path(__file__).with_name("examples.json")


def add_to(described: dict[str, Any]) -> None:
    """Put the examples beside the schemas of an OpenAPI description: path parameters, bodies, good answers."""
    known = json.loads(_FILE.read_text(encoding="utf-8"))
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            for parameter in operation.get("parameters", ()):
                if parameter["in"] == "path":
                    parameter["example"] = known["parameters"][parameter["name"]]
            example = known["operations"].get(f"{method.upper()} {path}", {})
            _put(operation.get("requestBody", {}), example.get("request", {}))
            for status, answer in operation["responses"].items():
                if status.startswith("2"):
                    _put(answer, example.get("response", {}))


def _put(described: dict[str, Any], examples: dict[str, Any]) -> None:
    for media_type, content in described.get("content", {}).items():
        if media_type in examples:
            content["example"] = examples[media_type]

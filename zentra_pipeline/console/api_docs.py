"""The page /docs: what OpenAPI says of every route, rendered here and from no other server."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from fastapi import FastAPI

_METHODS: Final = ("get", "post", "put", "patch", "delete")


def sections(app: FastAPI) -> dict[str, list[dict[str, Any]]]:
    """Every operation of the app by its tag, in the order of the description."""
    described = app.openapi()
    found: dict[str, list[dict[str, Any]]] = {}
    for path, operations in described["paths"].items():
        for method in _METHODS:
            if method in operations:
                operation = operations[method]
                found.setdefault(operation["tags"][0], []).append(_operation(described, path, method, operation))
    return found


def _operation(described: Mapping[str, Any], path: str, method: str, operation: Mapping[str, Any]) -> dict[str, Any]:
    body = operation.get("requestBody", {}).get("content", {})
    return {
        "method": method.upper(),
        "path": path,
        "id": f"{method}-{path.strip('/').replace('/', '-').replace('{', '').replace('}', '')}",
        "summary": operation.get("summary", ""),
        "description": operation.get("description", ""),
        "needs_token": bool(operation.get("security")),
        "parameters": [
            {
                "name": each["name"],
                "place": each["in"],
                "is_required": each.get("required", False),
                "kind": _kind(described, each.get("schema", {})),
                "description": each.get("description", ""),
            }
            for each in operation.get("parameters", ())
        ],
        "bodies": {kind: list(_fields(described, content.get("schema", {}))) for kind, content in body.items()},
        "answers": [
            {
                "status": status,
                "description": answer.get("description", ""),
                "kinds": list(answer.get("content", {})),
                "fields": list(_fields(described, _first_schema(answer))) if status.startswith("2") else [],
            }
            for status, answer in sorted(operation["responses"].items())
        ],
    }


def _first_schema(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    return next((content.get("schema", {}) for content in answer.get("content", {}).values()), {})


def _fields(described: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The members of an object, each with its kind and what is said of it."""
    resolved = _resolved(described, schema)
    for name, member in resolved.get("properties", {}).items():
        yield {
            "name": name,
            "kind": _kind(described, member),
            "is_required": name in resolved.get("required", ()),
            "description": _resolved(described, member).get("description", ""),
        }


def _resolved(described: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    while "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1]
        schema = described["components"]["schemas"].get(name, {"type": name})  # a body keeps its parts to itself
    return schema


def _kind(described: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    """What a value is, in a word or two: `text`, `integer or null`, `one of open, resolved`, `list of objects`."""
    schema = _resolved(described, schema)
    if "enum" in schema:
        return f"one of {', '.join(map(str, schema['enum']))}"
    if "const" in schema:
        return f"{schema['const']}"
    if "anyOf" in schema:
        return " or ".join(_kind(described, each) for each in schema["anyOf"])
    kinds = schema.get("type", "any")
    names = [kinds] if isinstance(kinds, str) else list(kinds)
    words = [
        f"list of {_kind(described, schema.get('items', {}))}" if name == "array" else _WORDS.get(name, name)
        for name in names
    ]
    return " or ".join(words) + (f" ({schema['format']})" if "format" in schema else "")


_WORDS: Final = {"string": "text"}

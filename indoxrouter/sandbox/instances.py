"""An instance of a JSON schema: the same for the same schema, and one that fits it.

Optional properties are filled in as well, down to a depth at which schemas that contain themselves end.
What the sandbox cannot make an instance of is refused.
"""

import re
from typing import Any

from indoxrouter.sandbox.errors import refused
from indoxrouter.sandbox.ranges import Range, RangeError

Schema = dict[str, Any]
_OPTIONAL_DEPTH = 4  # deeper than this, only what is required
_DEEPEST = 40
_MOST = 10_000  # instances within one instance
_LONGEST_TEXT = 100_000
_LONGEST = 60  # characters of a free text
_FORMATS = {
    "date": "2025-01-01",
    "date-time": "2025-01-01T12:00:00Z",
    "time": "12:00:00Z",
    "duration": "P1D",
    "email": "sandbox@example.com",
    "hostname": "example.com",
    "ipv4": "127.0.0.1",
    "ipv6": "::1",
    "uri": "https://example.com/sandbox",
    "url": "https://example.com/sandbox",
    "uuid": "00000000-0000-4000-8000-000000000000",
}
_SAMPLES: tuple[str, ...] = (
    "sandbox",
    "Sandbox",
    "a",
    "A",
    "0",
    "1",
    "12",
    "123",
    "1234",
    "12345",
    "123-45-6789",
    "AB",
    "ABC",
    "USD",
)
_SAMPLES += ("ABC-123", "AB12", "a1", "+15550100", "555-0100", "1.0", "1.0.0", "#00ff00", "12:00", *_FORMATS.values())
_TYPES: dict[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "null": type(None),
    "number": (int, float),
    "integer": int,
}


def instance(schema: Any, text: str) -> Any:
    """An instance of the schema; free texts in it are the given text, as far as they may be."""
    return _Maker(schema, " ".join(text.split())[:_LONGEST].strip() or "sandbox").make(schema, 0)


class _Maker:
    def __init__(self, root: Any, text: str) -> None:
        self._root = root
        self._text = text
        self._made = 0

    def make(self, schema: Any, depth: int, number: int = 0) -> Any:
        """An instance; another number gives another one where the schema leaves a choice."""
        self._count(depth)
        if schema is True:
            return self._string({}, number)
        if not isinstance(schema, dict):
            raise _impossible(f"{schema!r} is not a schema that has instances")
        schema = self._whole(schema, depth)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return _member(schema["enum"], number)
        kind = _kind(schema)
        if "default" in schema and number == 0 and _is_of(schema["default"], schema.get("type")):
            return schema["default"]
        return self._of_kind(kind, schema, depth, number)

    def _count(self, depth: int) -> None:
        self._made += 1
        if depth > _DEEPEST or self._made > _MOST:
            raise _impossible("it is too large, or asks for itself without end")

    def _of_kind(self, kind: str, schema: Schema, depth: int, number: int) -> Any:
        match kind:
            case "object":
                return self._object(schema, depth, number)
            case "array":
                return self._array(schema, depth)
            case "string":
                return self._string(schema, number)
            case "integer" | "number":
                return _number(schema, kind, number)
            case "boolean":
                return number % 2 == 0
            case "null":
                return None
        raise _impossible(f"{kind!r} is no type")

    def _whole(self, schema: Schema, depth: int) -> Schema:
        """The schema with what it refers to, all of `allOf` and the first of `anyOf` and `oneOf` put in."""
        whole = {key: value for key, value in schema.items() if key not in ("$ref", "allOf", "anyOf", "oneOf")}
        parts = [self._referred(schema["$ref"])] if "$ref" in schema else []
        parts += _listed(schema, "allOf") + _listed(schema, "anyOf")[:1] + _listed(schema, "oneOf")[:1]
        self._count(depth)
        for part in parts:
            if part is not True:
                whole = _merged(self._whole(_mapping(part), depth + 1), whole)
        return whole

    def _referred(self, reference: Any) -> Any:
        found = self._root
        path = str(reference)
        if not path.startswith("#"):
            raise _impossible(f"{path} is not in it")
        for step in path.removeprefix("#").split("/")[1:]:
            name = step.replace("~1", "/").replace("~0", "~")
            if isinstance(found, dict) and name in found:
                found = found[name]
            else:
                raise _impossible(f"{path} refers to nothing")
        return found

    def _object(self, schema: Schema, depth: int, number: int) -> dict[str, Any]:
        properties = _mapping(schema.get("properties", {}))
        required = _listed(schema, "required")
        names = list(properties) if depth < _OPTIONAL_DEPTH else []
        names += [name for name in required if name not in names]
        if not all(isinstance(name, str) for name in required):
            raise _impossible("required does not list names")
        return {name: self.make(properties.get(name, True), depth + 1, number) for name in names}

    def _array(self, schema: Schema, depth: int) -> list[Any]:
        first = _listed(schema, "prefixItems")
        least, most = _size(schema, "minItems", 0), _size(schema, "maxItems", _MOST)
        count = max(least, len(first), 1 if depth < _OPTIONAL_DEPTH and schema.get("items") is not False else 0)
        count = max(least, min(count, most))
        rest = schema.get("items", True)
        return [
            self.make(first[index] if index < len(first) else rest, depth + 1, max(0, index - len(first)))
            for index in range(count)
        ]

    def _string(self, schema: Schema, number: int) -> str:
        ending = f" {number + 1}" if number else ""
        least, most = _size(schema, "minLength", 0), _size(schema, "maxLength", _LONGEST_TEXT)
        if "pattern" in schema:
            return _matching(schema["pattern"], least, most)
        known = _FORMATS.get(str(schema.get("format")))
        if known is not None:
            return known
        text = self._text[: max(0, most - len(ending))]
        return (text + ending)[:most].ljust(least, ".")


def _merged(part: Schema, whole: Schema) -> Schema:
    merged = part | whole
    if "properties" in part and "properties" in whole:
        merged["properties"] = _mapping(part["properties"]) | _mapping(whole["properties"])
    if "required" in part and "required" in whole:
        merged["required"] = _listed(part, "required") + _listed(whole, "required")
    return merged


def _kind(schema: Schema) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = kind[0] if kind else None
    if kind is None:
        hints = {"properties": "object", "required": "object", "items": "array", "prefixItems": "array"}
        hints |= dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"), "number")
        return next((hints[key] for key in schema if key in hints), "string")
    return str(kind)


def _is_of(value: Any, kind: Any) -> bool:
    kinds = kind if isinstance(kind, list) else [kind]
    for name in kinds:
        if name is None:
            return True
        if isinstance(value, _TYPES.get(str(name), ())) and isinstance(value, bool) <= (name == "boolean"):
            return True
    return False


def _number(schema: Schema, kind: str, number: int) -> int | float:
    try:
        return Range.of(schema, whole=kind == "integer").number(number)
    except RangeError as error:
        raise _impossible(str(error)) from None


def _size(schema: Schema, key: str, default: int) -> int:
    size = schema.get(key, default)
    if not isinstance(size, int | float) or not 0 <= size < 1e9:
        raise _impossible(f"{key} cannot be {size!r}")
    if key.startswith("min") and size > _LONGEST_TEXT:
        raise _impossible(f"{key} is more than the sandbox writes")
    return int(size)


def _matching(pattern: Any, least: int, most: int) -> str:
    try:
        form = re.compile(pattern)
    except (TypeError, re.error, RecursionError, OverflowError):
        raise _impossible(f"{pattern!r} is no pattern") from None
    for sample in _SAMPLES:
        if form.search(sample) and least <= len(sample) <= most:
            return sample
    raise _impossible(f"it has no text for the pattern {pattern!r}")


def _member(members: Any, number: int) -> Any:
    if not isinstance(members, list) or not members:
        raise _impossible("an enum has no members")
    return members[number % len(members)]


def _listed(schema: Schema, key: str) -> list[Any]:
    value = schema.get(key, [])
    if not isinstance(value, list):
        raise _impossible(f"{key} is not a list")
    return value


def _mapping(value: Any) -> Schema:
    if not isinstance(value, dict):
        raise _impossible(f"{value!r} is not an object")
    return value


def _impossible(reason: str) -> Exception:
    return refused(f"The sandbox cannot make an instance of the schema: {reason}.", "schema")

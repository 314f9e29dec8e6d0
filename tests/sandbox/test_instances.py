"""Instances of JSON schemas: they fit, are the same each time, and end."""

from typing import Any

import pytest

from indoxrouter.sandbox.errors import RouterError
from indoxrouter.sandbox.instances import instance

TEXT = "the asked text"


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        (True, TEXT),
        ({}, TEXT),
        ({"type": "string"}, TEXT),
        ({"type": "string", "maxLength": 3}, "the"),
        ({"type": "string", "minLength": 20}, TEXT + "......"),
        ({"type": "string", "format": "date"}, "2025-01-01"),
        ({"type": "string", "format": "unknown"}, TEXT),
        ({"type": "string", "pattern": r"^\d{3}-\d{2}-\d{4}$"}, "123-45-6789"),
        ({"type": "string", "pattern": "^[a-z]+$", "maxLength": 3}, "a"),
        ({"type": "string", "default": "given"}, "given"),
        ({"type": "string", "default": None}, TEXT),
        ({"type": "integer", "default": True, "minimum": 4}, 4),
        ({"type": ["null", "string"], "default": "given"}, "given"),
        ({"default": [1]}, [1]),
        ({"type": "boolean"}, True),
        ({"type": "null"}, None),
        ({"type": ["integer", "null"]}, 1),
        ({"type": []}, TEXT),
        ({"const": {"a": 1}}, {"a": 1}),
        ({"enum": ["b", "a"]}, "b"),
        ({"type": "integer", "minimum": 18, "maximum": 20}, 18),
        ({"type": "integer", "exclusiveMinimum": 18}, 19),
        ({"type": "integer", "minimum": 3, "exclusiveMinimum": True}, 4),
        ({"type": "integer", "exclusiveMinimum": False}, 1),
        ({"type": "integer", "minimum": 1, "multipleOf": 7}, 7),
        ({"type": "integer", "minimum": 1, "multipleOf": 1.5}, 3),
        ({"maximum": -4}, -4),
        ({"type": "integer", "exclusiveMaximum": -4}, -5),
        ({"type": "number", "minimum": 0.25, "maximum": 0.75}, 0.5),
        ({"type": "number", "minimum": 0.25, "maximum": 0.25}, 0.25),
        ({"type": "number", "minimum": 0.3, "multipleOf": 0.25}, 0.5),
        ({"type": "number", "exclusiveMinimum": 1, "exclusiveMaximum": 2}, 1.5),
        ({"type": "array", "items": {"type": "integer"}}, [1]),
        ({"type": "array", "items": {"type": "integer"}, "minItems": 3, "uniqueItems": True}, [1, 2, 3]),
        ({"type": "array", "items": {"type": "integer", "minimum": 1, "maximum": 2}, "minItems": 3}, [1, 2, 1]),
        ({"type": "array", "items": {"type": "string"}, "minItems": 2}, [TEXT, TEXT + " 2"]),
        ({"type": "array", "items": {"enum": [5, 6]}, "minItems": 2}, [5, 6]),
        ({"type": "array", "maxItems": 0}, []),
        ({"items": False}, []),
        ({"prefixItems": [{"const": 1}, {"const": 2}], "items": {"const": 3}, "minItems": 3}, [1, 2, 3]),
        ({"type": "object"}, {}),
        ({"required": ["x"]}, {"x": TEXT}),
        ({"properties": {"a": {"const": 1}, "b": {"const": 2}}, "required": ["a"]}, {"a": 1, "b": 2}),
        ({"anyOf": [{"const": 1}, {"const": 2}]}, 1),
        ({"oneOf": [{"const": 1}, {"const": 2}]}, 1),
        ({"anyOf": [True], "type": "integer"}, 1),
        (
            {
                "allOf": [
                    {"properties": {"a": {"const": 1}}, "required": ["a"]},
                    {"properties": {"b": {"const": 2}}, "required": ["b"]},
                ]
            },
            {"a": 1, "b": 2},
        ),
        ({"$ref": "#/$defs/P", "$defs": {"P": {"type": "integer"}}}, 1),
        ({"$ref": "#/definitions/a~1b", "definitions": {"a/b": {"const": 2}}}, 2),
    ],
)
def test_an_instance_fits(schema: Any, expected: Any) -> None:
    found = instance(schema, TEXT)
    assert (found, type(found)) == (expected, type(expected))
    assert instance(schema, TEXT) == found


def test_items_that_are_objects_differ() -> None:
    schema = {"type": "array", "minItems": 2, "items": {"properties": {"id": {"type": "integer"}}}}
    assert instance(schema, TEXT) == [{"id": 1}, {"id": 2}]


def test_a_text_that_is_empty_or_long() -> None:
    assert instance({"type": "string"}, "  ") == "sandbox"
    assert len(instance({"type": "string"}, "word " * 100)) <= 60


def test_a_schema_that_contains_itself_ends() -> None:
    node: dict[str, Any] = {
        "type": "object",
        "properties": {
            "value": {"type": "integer"},
            "next": {"$ref": "#"},
            "children": {"type": "array", "items": {"$ref": "#"}},
        },
        "required": ["value"],
    }
    found = instance(node, TEXT)
    depth = 0
    while "next" in found:
        assert isinstance(found["children"], list)
        found, depth = found["next"], depth + 1
    assert 1 <= depth < 10
    assert found == {"value": 1}


@pytest.mark.parametrize(
    "schema",
    [
        False,
        {"$ref": "#"},
        {"$ref": "#/$defs/none"},
        {"$ref": "https://example.com/schema.json"},
        {"allOf": [{"$ref": "#"}, {"$ref": "#"}]},
        {"allOf": [False]},
        {"required": ["a"], "properties": {"a": {"$ref": "#"}}},
        {"required": [1]},
        {"required": "a"},
        {"properties": []},
        {"enum": []},
        {"enum": "ab"},
        {"type": "date"},
        {"type": "integer", "minimum": 3, "maximum": 2},
        {"type": "integer", "minimum": 1, "maximum": 4, "multipleOf": 5},
        {"type": "number", "minimum": 2, "exclusiveMaximum": 2},
        {"type": "number", "minimum": "2"},
        {"type": "number", "multipleOf": 0},
        {"type": "number", "minimum": 1e308},
        {"type": "string", "pattern": "^never there$"},
        {"type": "string", "pattern": "("},
        {"type": "string", "pattern": 5},
        {"type": "string", "minLength": "3"},
        {"type": "string", "minLength": 1_000_000},
        {"type": "array", "minItems": 500, "items": {"type": "array", "minItems": 500}},
    ],
)
def test_what_has_no_instance_is_refused(schema: Any) -> None:
    with pytest.raises(RouterError) as refusal:
        instance(schema, TEXT)
    assert refusal.value.status == 400
    assert refusal.value.message.startswith("The sandbox cannot make an instance")

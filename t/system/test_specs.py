"""The descriptions in specs/ are sound by themselves: valid OpenAPI and AsyncAPI, every reference leads somewhere,
every example is one of its schema, every error has one. That they say what the services do is tested in t/flow."""

import importlib.machinery
import importlib.util
import os
import sys

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "t/lib"))
from contract import METHODS, Contract, faults_in  # noqa: E402


def _bundler():
    """scripts/bundle-specs, as a module."""
    path = os.path.join(ROOT, "scripts/bundle-specs")
    sys.dont_write_bytecode = True
    loader = importlib.machinery.SourceFileLoader("bundle_specs", path)
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("bundle_specs", loader))
    loader.exec_module(module)
    return module


BUNDLER = _bundler()
NAMES = sorted(name for name in os.listdir(BUNDLER.SPECS) if name.endswith(".yaml") and ".asyncapi." not in name)


@pytest.fixture(scope="module", params=NAMES)
def spec(request):
    return BUNDLER.Bundle(request.param).spec


@pytest.fixture(scope="module")
def events():
    return BUNDLER.read("events.asyncapi.yaml")


def media(spec):
    """(where, media type object) of every body, asked or answered; and of every parameter."""
    contract = Contract(spec)
    for path, method, operation in contract.operations():
        where = f"{method.upper()} {path}"
        if "requestBody" in operation:
            body = contract.resolve(operation["requestBody"])
            yield from ((f"{where} body", kind) for kind in body["content"].values())
        for status, answer in operation["responses"].items():
            yield from ((f"{where} {status}", kind) for kind in contract.resolve(answer).get("content", {}).values())
        for parameter in operation.get("parameters", []) + spec["paths"][path].get("parameters", []):
            parameter = contract.resolve(parameter)
            yield f"{where} {parameter['name']}", parameter


def test_it_is_valid_openapi(spec):
    assert spec["openapi"].startswith("3.1.")
    assert [error.message for error in OpenAPIV31SpecValidator(spec).iter_errors()] == []


def test_examples_are_of_their_schemas_and_every_body_has_one(spec):
    for where, content in media(spec):
        examples = [content["example"]] if "example" in content else [
            one["value"] for one in content.get("examples", {}).values()]
        # the page at /docs fills an example in: with one for this, a second try would be a repeat
        assert examples or content.get("name") == "Idempotency-Key", f"{where}: no example"
        for example in examples:
            assert faults_in(example, content["schema"], spec) == [], where


def test_operations_have_names_of_their_own_and_say_what_they_do(spec):
    operations = [operation for _, _, operation in Contract(spec).operations()]
    assert len({operation["operationId"] for operation in operations}) == len(operations)
    assert all(operation["summary"] for operation in operations)


def test_every_component_is_used(spec):
    used = set()

    def walk(node):
        if isinstance(node, dict):
            if isinstance(node.get("$ref"), str):
                used.add(node["$ref"])
            node = list(node.values())
        for one in node if isinstance(node, list) else ():
            walk(one)
    walk(spec)
    there = {f"#/components/{kind}/{name}" for kind, parts in spec.get("components", {}).items() for name in parts
             if kind != "securitySchemes"}
    assert there - used == set()


# AsyncAPI 3.0: no light checker knows it; this is as much of its schema as we use.

TEXT, TEXTS = {"type": "string"}, {"type": "array", "items": {"type": "string"}}
REFERENCE = {"type": "object", "required": ["$ref"], "properties": {"$ref": {"type": "string", "pattern": "^#/"}},
             "additionalProperties": False}
ASYNCAPI = {
    "type": "object",
    "required": ["asyncapi", "info", "channels", "operations", "components"],
    "properties": {
        "asyncapi": {"const": "3.0.0"},
        "info": {"type": "object", "required": ["title", "version"],
                 "properties": {"title": {"type": "string"}, "version": {"type": "string"},
                                "license": {"type": "object", "required": ["name"]}}},
        "defaultContentType": {"type": "string"},
        "servers": {"additionalProperties": {"type": "object", "required": ["host", "protocol"]}},
        "channels": {"minProperties": 1, "additionalProperties": {
            "type": "object", "required": ["address", "messages"],
            "properties": {"address": {"type": ["string", "null"]}, "description": {"type": "string"},
                           "parameters": {"additionalProperties": {
                               "properties": {"enum": TEXTS, "default": TEXT, "description": TEXT, "location": TEXT,
                                              "examples": TEXTS},
                               "additionalProperties": False}},
                           "messages": {"minProperties": 1, "additionalProperties": REFERENCE}},
            "additionalProperties": False}},
        "operations": {"additionalProperties": {
            "type": "object", "required": ["action", "channel"],
            "properties": {"action": {"enum": ["send", "receive"]}, "channel": REFERENCE, "summary": {"type": "string"},
                           "messages": {"type": "array", "items": REFERENCE}},
            "additionalProperties": False}},
        "components": {"type": "object", "properties": {
            "messages": {"additionalProperties": {
                "type": "object", "required": ["payload"],
                "properties": {"examples": {"type": "array", "items": {
                    "type": "object", "minProperties": 1,
                    "properties": {"name": {}, "summary": {}, "headers": {"type": "object"}, "payload": {}},
                    "additionalProperties": False}}},
                "propertyNames": {"enum": ["title", "name", "summary", "description", "contentType", "headers",
                                           "payload", "bindings", "examples"]}}},
            "schemas": {"type": "object"}}, "additionalProperties": False},
    },
    "additionalProperties": False,
}


def follow(spec, reference):
    """What a local reference stands for; KeyError when nothing."""
    for step in reference.removeprefix("#/").split("/"):
        spec = spec[step]
    return spec


def test_the_events_are_valid_asyncapi(events):
    faults = Draft202012Validator(ASYNCAPI).iter_errors(events)
    assert [f"{fault.json_path}: {fault.message}" for fault in faults] == []
    for channel in events["channels"].values():
        for message in channel["messages"].values():
            assert "payload" in follow(events, message["$ref"])
        wanted = set(channel.get("parameters", {}))
        assert all("{%s}" % name in channel["address"] for name in wanted)
        assert channel["address"].count("{") == len(wanted)
    for operation in events["operations"].values():
        assert "address" in follow(events, operation["channel"]["$ref"])


def test_the_events_examples_are_of_their_schemas(events):
    for name, message in events["components"]["messages"].items():
        for part in ("headers", "payload"):
            if part not in message:
                continue
            schema = message[part]
            Draft202012Validator.check_schema(schema)
            for example in message.get("examples", []):
                if part in example:
                    assert faults_in(example[part], schema, events) == [], name
        assert message.get("examples"), f"{name}: no example"
    for schema in events["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


def test_events_and_orders_have_the_same_statuses(events):
    orders = BUNDLER.read("order-service.yaml")["components"]["schemas"]["OrderStatus"]["enum"]
    assert sorted(events["components"]["schemas"]["Event"]["properties"]["status"]["enum"]) == sorted(orders)


def test_methods_are_known(spec):
    for path, item in spec["paths"].items():
        assert set(item) - {"parameters", "summary", "description"} <= set(METHODS), path

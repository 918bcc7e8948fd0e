"""The OpenAPI descriptions as the tests use them: is an answer one that the service's description allows?"""

import re

from jsonschema import Draft202012Validator, FormatChecker

METHODS = ("get", "put", "post", "delete", "patch", "head", "options", "trace")


def validator(schema, spec):
    """For one schema of a description; its references are resolved there."""
    whole = {"$schema": "https://json-schema.org/draft/2020-12/schema", "components": spec.get("components", {}),
             "allOf": [schema]}
    return Draft202012Validator(whole, format_checker=FormatChecker())


def faults_in(value, schema, spec):
    """What is wrong with a value, as texts."""
    return [f"{error.json_path}: {error.message[:300]}" for error in validator(schema, spec).iter_errors(value)]


class Contract:
    """One service's description, which has to be whole by itself."""

    def __init__(self, spec):
        self.spec = spec
        self.paths = [(re.compile(re.sub(r"\{[^}]*\}", "[^/]+", path) + r"\Z"), item)
                      for path, item in spec["paths"].items()]
        self.seen = set()               # (operationId, status)

    def resolve(self, node):
        """What a reference stands for."""
        while "$ref" in node:
            target = self.spec
            for step in node["$ref"].removeprefix("#/").split("/"):
                target = target[step]
            node = target
        return node

    def operation(self, method, path):
        """The operation of a request, or None; and whether the description has the path at all."""
        for pattern, item in self.paths:
            if pattern.match(path.split("?")[0]):
                return item.get(method.lower()), True
        return None, False

    def operations(self):
        """(path, method, operation) of all."""
        return [(path, method, item[method]) for path, item in self.spec["paths"].items() for method in METHODS
                if method in item]

    def faults(self, method, path, answer):
        """What in an answer (of requests) is not as described, as texts."""
        operation, known = self.operation(method, path)
        if operation is None:
            allowed = (401, 405) if known else (401, 404)
            return [] if answer.status_code in allowed else [f"{answer.status_code} to a request that is not described"]
        described = operation["responses"].get(str(answer.status_code))
        if described is None:
            return [f"status {answer.status_code} is not described"]
        self.seen.add((operation["operationId"], answer.status_code))
        return self.faults_of(described, answer)

    def faults_of(self, described, answer):
        """What in an answer is not as one response object, or a reference to one, says."""
        described = self.resolve(described)
        found = []
        for name, header in described.get("headers", {}).items():
            header = self.resolve(header)
            if name not in answer.headers:
                found += [f"no header {name}"] if header.get("required", True) else []
                continue
            value, schema = answer.headers[name], header["schema"]
            if schema.get("type") == "integer" and value.isdigit():
                value = int(value)
            found += faults_in(value, schema, self.spec)
        content = described.get("content")
        if not content:
            return found + (["a body, where none is described"] if answer.content else [])
        kind = answer.headers.get("Content-Type", "").split(";")[0]
        if kind not in content:
            return found + [f"Content-Type {kind!r} is not described"]
        try:
            body = answer.json()
        except ValueError as error:
            return found + [f"the body is no JSON: {error}"]
        return found + faults_in(body, content[kind]["schema"], self.spec)

"""Judges requests and our own answers: by Amazon's published models when at hand, by plain rules always.

Needs jsonschema, and only when a folder of models is given; it is a test dependency.
"""

from __future__ import annotations

import functools
import json
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from .wire import Answer, Call

if TYPE_CHECKING:
    from .operations import Operation

LONGEST_USER_AGENT = 500
JUDGED_MESSAGES = 500


def form_problems(call: Call) -> list[str]:
    """Rules that hold for every request of the API (SP-API developer guide: User-Agent header)."""
    problems = []
    agent = call.headers.get("user-agent", "")
    if not agent or len(agent) > LONGEST_USER_AGENT:
        problems.append("the user-agent header is mandatory and at most 500 characters long")
    twice = [name for name, values in call.query.items() if len(values) > 1]
    problems += [f"{name} stands more than once: arrays are comma separated" for name in twice]
    if call.body and not call.headers.get("content-type", "").startswith("application/json"):
        problems.append("a body must be sent as application/json")
    return problems


@functools.cache
def judge_of(folder: Path) -> Judge:
    """The one judge of a folder: reading the models and building the validators takes time."""
    return Judge(folder)


class Judge:
    """Validates against the models in a folder; each model is read on first use."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._models: dict[str, dict[str, Any]] = {}
        self._validators: dict[tuple[str, str], Any] = {}

    def request_problems(self, operation: Operation, call: Call) -> list[str]:
        """What in a request is not as the model of its operation says."""
        described = self._operation(operation)
        parameters = {p["name"]: p for p in described.get("parameters", [])}
        problems = [f"unknown parameter {name}" for name in call.query if name not in parameters]
        for name, parameter in parameters.items():
            if parameter["in"] == "query":
                problems += _query_problems(name, parameter, call.query.get(name, []))
            elif parameter["in"] == "body":
                problems += self._body_problems(operation, parameter, call)
            elif parameter["in"] == "path" and not call.params.get(name):
                problems.append(f"path parameter {name} is empty")
        return problems

    def _body_problems(self, operation: Operation, parameter: dict[str, Any], call: Call) -> list[str]:
        try:
            body = json.loads(call.body)
        except ValueError:
            return ["the body is not JSON"]
        return self._schema_problems(operation.model, parameter["schema"], body)

    def answer_problems(self, operation: Operation, answer: Answer) -> list[str]:
        """What in an answer is not as the model says."""
        responses = self._operation(operation)["responses"]
        if str(answer.status) not in responses:
            return [f"{operation.name} never answers {answer.status}"]
        schema = responses[str(answer.status)].get("schema")
        if schema is None or answer.content is None:
            return [] if schema is None or answer.status == 200 else ["an answer without a body"]
        return self._schema_problems(operation.model, schema, json.loads(answer.payload()))

    def feed_problems(self, body: bytes) -> list[str]:
        """What in an uploaded listings feed is not as its schema says; other documents have no schema."""
        try:
            content = json.loads(body)
        except ValueError:
            return []
        if not isinstance(content, dict) or "messages" not in content:
            return []
        # the schema's own bound is checked apart, so that a feed of 25,000 does not take a minute to judge
        few = content | {"messages": content["messages"][:JUDGED_MESSAGES]}
        return self.document_problems("listings-feed-schema-v2", few)

    def document_problems(self, schema_name: str, content: Any) -> list[str]:
        """What in a feed or a processing report is not as its schema, a file of the folder, says."""
        return self._schema_problems(schema_name, {"$ref": "#"}, content)

    def _operation(self, operation: Operation) -> dict[str, Any]:
        paths = self._model(operation.model)["paths"]
        found: dict[str, Any] = paths[operation.template][operation.method.lower()]
        return found

    def _model(self, name: str) -> dict[str, Any]:
        if name not in self._models:
            self._models[name] = json.loads((self._folder / f"{name}.json").read_text())
        return self._models[name]

    def _schema_problems(self, model: str, schema: dict[str, Any], value: Any) -> list[str]:
        key = (model, json.dumps(schema))
        if key not in self._validators:
            self._validators[key] = self._validator(model, schema)
        errors = self._validators[key].iter_errors(value)
        return [f"{error.json_path}: {error.message[:200]}" for error in errors]

    def _validator(self, model: str, schema: dict[str, Any]) -> Any:
        # imported here, by name: a test dependency without types, and needed only where models are given
        jsonschema, referencing = import_module("jsonschema"), import_module("referencing.jsonschema")
        content = self._model(model)
        new_style = "$schema" in content
        uri = f"urn:zenv:{quote(model)}"
        specification = referencing.DRAFT7 if new_style else referencing.DRAFT4
        resource = specification.create_resource(content)
        registry = referencing.EMPTY_REGISTRY.with_resource(uri, resource)
        checker = jsonschema.FormatChecker(formats=())
        checker.checks("date-time", ValueError)(_is_date_time)
        kind = jsonschema.Draft7Validator if new_style else jsonschema.Draft4Validator
        anchored = json.loads(json.dumps(schema).replace('"$ref": "#', f'"$ref": "{uri}#'))
        return kind(anchored, registry=registry, format_checker=checker)


def _is_date_time(value: object) -> bool:
    if isinstance(value, str) and ("T" not in value or datetime.fromisoformat(value).tzinfo is None):
        raise ValueError("not a date-time with an offset")
    return True


def _query_problems(name: str, parameter: dict[str, Any], values: list[str]) -> list[str]:
    if not values:
        return [f"parameter {name} is required"] if parameter.get("required") else []
    text = values[0]
    if parameter["type"] == "array":
        return _array_problems(name, parameter, text.split(","))
    return _scalar_problems(name, parameter, text)


def _array_problems(name: str, parameter: dict[str, Any], values: list[str]) -> list[str]:
    problems = []
    if not parameter.get("minItems", 0) <= len(values) <= parameter.get("maxItems", 10**9):
        problems.append(f"{name} holds {len(values)} values")
    return problems + [p for value in values for p in _scalar_problems(name, parameter["items"], value)]


def _scalar_problems(name: str, described: dict[str, Any], text: str) -> list[str]:
    if "enum" in described and text not in described["enum"]:
        return [f"{name}: {text!r} is not one of the model's values"]
    if described["type"] == "integer":
        if not text.isdecimal():
            return [f"{name}: {text!r} is not a whole number"]
        if not described.get("minimum", 0) <= int(text) <= described.get("maximum", 10**9):
            return [f"{name}: {text} is out of bounds"]
    if described["type"] == "boolean" and text not in ("true", "false"):
        return [f"{name}: {text!r} is not a boolean"]
    if described.get("format") == "date-time":
        try:
            _is_date_time(text)
        except ValueError:
            return [f"{name}: {text!r} is not a date-time"]
    return []

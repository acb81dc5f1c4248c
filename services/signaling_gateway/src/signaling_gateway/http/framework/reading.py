"""From a REST request to a question of the contracts: read once, from path, query and body, and validated once."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Generic, get_origin
from urllib.parse import parse_qsl

from chassis.refusals import InvalidError
from chassis.requests import Question
from pydantic import ValidationError
from pydantic_core import from_json

from signaling_gateway.http.framework.exchange import Request

WITHOUT_BODY = frozenset({"GET", "DELETE"})

_IN_PATH = re.compile(r"\{(\w+)\}")


class Reading(Generic[Question]):
    """Where each field of a question stands: what is not in the path is in the body, or without one in the query."""

    def __init__(
        self,
        method: str,
        path: str,
        question: type[Question],
        *,
        query: Iterable[str] = (),
        aliases: Mapping[str, str] | None = None,
        fixed: Mapping[str, Any] | None = None,
        hidden: Iterable[str] = (),
        opaque: bool = False,
    ) -> None:
        """`query`: fields that may stand there beside a body; `aliases`: further names; `hidden`: not for REST.

        `opaque`: the body is bytes, and no part of the question.
        """
        self.method = method
        self.path = path
        self.question = question
        self.aliases = dict(aliases or {})
        self._fixed = dict(fixed or {})
        own = [name for name in question.model_fields if name not in {*self._fixed, *hidden}]
        self.in_path = [name for name in _IN_PATH.findall(path) if name in own]
        rest = [name for name in own if name not in self.in_path]
        bodiless = opaque or method in WITHOUT_BODY
        self.in_query = rest if bodiless else [name for name in rest if name in set(query)]
        self.in_body = [] if bodiless else rest
        self._query_names = self._names(self.in_query)
        self._body_names = self._names(self.in_body)
        self._many = {name for name in self.in_query if get_origin(question.model_fields[name].annotation) is tuple}

    def _names(self, fields: list[str]) -> dict[str, str]:
        return {alias: name for alias, name in self.aliases.items() if name in fields} | {name: name for name in fields}

    def read(self, request: Request) -> Question:
        """Put the question together; InvalidError says what is wrong where, ForbiddenError that it names another's."""
        given = self._from_body(request) if self._body_names else {}
        if request.query and self._query_names:
            given |= self._from_query(request.query)
        given |= request.params
        given |= self._fixed
        try:
            question = self.question.model_validate(given)
        except ValidationError as error:
            raise self._malformed(error) from None
        request.admission.check(question)
        return question

    def _from_body(self, request: Request) -> dict[str, Any]:
        names = self._body_names
        if request.body and not says_json(request.headers.get(b"content-type")):
            raise malformed({"loc": ["header", "content-type"], "msg": "Must be application/json", "type": "json_type"})
        return {names[name]: value for name, value in object_in(request.body).items() if name in names}

    def _from_query(self, query: bytes) -> dict[str, Any]:
        given: dict[str, Any] = {}
        for alias, value in words_in(query):
            name = self._query_names.get(alias)
            if name in self._many:
                given.setdefault(name, []).append(value)
            elif name is not None:
                given[name] = value
        for name in self._many & given.keys():
            if len(given[name]) == 1:  # ?players=a,b as well as ?players=a&players=b
                given[name] = given[name][0].split(",")
        return given

    def _malformed(self, error: ValidationError) -> InvalidError:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        return malformed(
            *(
                {"loc": [self._place(each["loc"]), *each["loc"]], "msg": each["msg"], "type": each["type"]}
                for each in found
            )
        )

    def _place(self, loc: tuple[int | str, ...]) -> str:
        name = loc[0] if loc else ""
        if name in self.in_path:
            return "path"
        return "body" if name in self.in_body or not self.in_query else "query"


def malformed(*findings: Mapping[str, Any]) -> InvalidError:
    """A refusal that lists what is wrong where, as FastAPI does."""
    return InvalidError("The request is malformed.", fields={"errors": [dict(finding) for finding in findings]})


def says_json(content_type: bytes | None) -> bool:
    """Whether a body may be JSON by what its sender calls it; a browser sends no page's JSON unasked, but its text."""
    if content_type is None:
        return True
    kind = content_type.partition(b";")[0].strip().lower()
    return kind == b"application/json" or (kind.startswith(b"application/") and kind.endswith(b"+json"))


def object_in(body: bytes) -> dict[str, Any]:
    """Read a body that must be one JSON object; no body at all is an empty one."""
    try:
        sent = from_json(body or b"{}", allow_inf_nan=False)
    except ValueError as error:
        raise malformed({"loc": ["body"], "msg": f"Invalid JSON: {error}", "type": "json_invalid"}) from None
    if not isinstance(sent, dict):
        raise malformed({"loc": ["body"], "msg": "Must be a JSON object", "type": "dict_type"})
    return sent


def words_in(query: bytes) -> list[tuple[str, str]]:
    """Read a query string."""
    try:
        return parse_qsl(query.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=100)
    except ValueError:
        raise malformed(
            {"loc": ["query"], "msg": "Must be a percent-encoded UTF-8 query", "type": "value_error"}
        ) from None

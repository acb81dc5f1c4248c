"""What the OpenAPI document says of a route, drawn from the contracts: parameters, bodies, answers, every refusal."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from http import HTTPStatus
from inspect import Parameter, Signature
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from chassis.refusals import HTTP_STATUS
from contracts.refusals import Code
from contracts.subjects import Message
from fastapi import Body, Header, Path, Query
from pydantic import BaseModel, Field, JsonValue, create_model
from pydantic.fields import FieldInfo

from signaling_gateway.http.framework import examples
from signaling_gateway.http.framework.exchange import KEY_LENGTH
from signaling_gateway.http.framework.reading import Reading

OWNERS = (Code.INVALID, Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED)
"""The refusals of every route that asks somebody something."""

_ASK_AGAIN = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT})
_RETRY_AFTER = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}}

LINK = {"Link": {"description": 'The next page, `rel="next"`, if there is one.', "schema": {"type": "string"}}}

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        max_length=KEY_LENGTH,
        description="Repeat a request with the same key and it takes effect once.",
    ),
]


class Finding(BaseModel):
    """One thing that is wrong with a request, and where."""

    loc: list[str | int] = Field(examples=[["body", "host_id"]])
    msg: str = Field(examples=["Field required"])
    type: str = Field(examples=["missing"])


class Error(BaseModel):
    """Every answer that is not a success."""

    detail: str | list[Finding] = Field(description="One sentence; of a malformed request, what is wrong where.")
    code: Code = Field(description="A stable word to match on.")
    trace_id: str | None = Field(description="Names this request in traces and logs.")
    fields: dict[str, JsonValue] | None = Field(default=None, description="What the refusal is about, typed.")


def answers(
    answer: Any,
    status: HTTPStatus,
    codes: Iterable[Code],
    *,
    takes_body: bool,
    beside: Mapping[int | str, dict[str, Any]],
) -> dict[int | str, dict[str, Any]]:
    """What a route may answer, by status: its success, each refusal with its codes, and what is `beside` these."""
    found = refusals(codes, takes_body=takes_body)
    if (example := examples.named(answer)) is not None:
        found[int(status)] = _shown(example)
    for other, about in beside.items():
        content = found.get(other, {}).get("content", {}) | about.get("content", {})
        found[other] = about | ({"content": content} if content else {})
    return found


def refusals(codes: Iterable[Code], *, takes_body: bool) -> dict[int | str, dict[str, Any]]:
    """The answers to expect beside success, by status, each with its codes."""
    by_status: dict[int, list[Code]] = {}
    for code in dict.fromkeys((*codes, Code.INTERNAL)):
        by_status.setdefault(HTTP_STATUS[code], []).append(code)
    if takes_body:
        by_status[HTTPStatus.REQUEST_ENTITY_TOO_LARGE] = [Code.INVALID]
    return {int(status): _described(status, sorted(found)) for status, found in sorted(by_status.items())}


def _described(status: int, codes: list[Code]) -> dict[str, Any]:
    about = {"model": Error, "description": " or ".join(f"`{code}`" for code in codes)} | _shown(*codes)
    return about | {"headers": _RETRY_AFTER} if status in _ASK_AGAIN else about


def _shown(*names: str) -> dict[str, Any]:
    found = {str(name): {"$ref": f"#/components/examples/{name}"} for name in names}
    return {"content": {"application/json": {"examples": found}}}


def beside_text(codes: Iterable[Code]) -> dict[int | str, dict[str, Any]]:
    """The refusals of a route that answers with text: FastAPI would have them be text too."""
    found = refusals(codes, takes_body=False)
    for about in found.values():
        about.pop("model")
        about["content"]["application/json"]["schema"] = {"$ref": "#/components/schemas/Error"}
    return found


def signed(reading: Reading[Any] | None, *, keyed: bool = False) -> Callable[[], None]:
    """Make a function for FastAPI to read the signature of: it says where each field stands; nobody calls it."""

    def documented() -> None: ...

    key = Parameter("idempotency_key", Parameter.KEYWORD_ONLY, annotation=IdempotencyKey, default=None)
    parameters = [*(_parameters(reading) if reading is not None else ()), *([key] if keyed else ())]
    documented.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    return documented


def _parameters(reading: Reading[Any]) -> Iterator[Parameter]:
    fields = reading.question.model_fields
    for name in reading.in_path:
        yield _parameter(name, fields[name], Path(description=fields[name].description))
    for name in reading.in_query:
        yield _parameter(name, fields[name], Query(description=fields[name].description), optional=True)
    for alias, name in reading.aliases.items():
        if name in reading.in_query:
            yield _parameter(alias, fields[name], Query(description=f"The same as `{name}`."), optional=True)
    if reading.in_body:
        required = any(fields[name].is_required() for name in reading.in_body if name not in reading.in_query)
        yield _body(reading.question, {name: fields[name] for name in reading.in_body}, required=required)


def _parameter(name: str, about: FieldInfo, place: Any, *, optional: bool = False) -> Parameter:
    annotation = about.rebuild_annotation()
    default: Any = Parameter.empty
    if optional:
        default = None if about.is_required() else about.get_default(call_default_factory=False)
    else:
        annotation = _present(annotation)
    return Parameter(name, Parameter.KEYWORD_ONLY, annotation=Annotated[annotation, place], default=default)


def _present(annotation: Any) -> Any:
    """`X | None` as it is when it is there."""
    given = [choice for choice in get_args(annotation) if choice is not NoneType]
    return given[0] if get_origin(annotation) in {Union, UnionType} and len(given) == 1 else annotation


def _body(question: type[Message], fields: dict[str, FieldInfo], *, required: bool) -> Parameter:
    model: Any = create_model(
        f"{question.__name__}Body",
        __doc__=question.__doc__,
        **{name: (about.rebuild_annotation(), about) for name, about in fields.items()},  # type: ignore[call-overload]
    )
    default = Parameter.empty if required else None
    return Parameter("body", Parameter.KEYWORD_ONLY, annotation=Annotated[model, Body()], default=default)

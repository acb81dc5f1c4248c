"""What the OpenAPI document says of a route, drawn from the contracts: parameters, bodies, answers, every refusal."""

from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus
from inspect import Parameter, Signature
from typing import Annotated, Any

from chassis.refusals import HTTP_STATUS
from contracts.refusals import Code
from contracts.subjects import Message
from fastapi import Body, Path, Query
from pydantic import BaseModel, Field, JsonValue, create_model
from pydantic.fields import FieldInfo

from signaling_gateway.http.reading import Reading

_EVERYWHERE = (Code.INVALID, Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED, Code.INTERNAL)


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


def refusals(codes: Iterable[Code]) -> dict[int | str, dict[str, Any]]:
    """The answers to expect beside success, by status, each with its codes."""
    by_status: dict[int, list[Code]] = {HTTPStatus.REQUEST_ENTITY_TOO_LARGE: [Code.INVALID]}
    for code in dict.fromkeys((*codes, *_EVERYWHERE)):
        by_status.setdefault(HTTP_STATUS[code], []).append(code)
    return {
        int(status): {"model": Error, "description": " or ".join(f"`{code}`" for code in sorted(found))}
        for status, found in sorted(by_status.items())
    }


def signed(reading: Reading[Any]) -> Callable[[], None]:
    """Make a function for FastAPI to read the signature of: it says where each field stands; nobody calls it."""

    def documented() -> None: ...

    documented.__signature__ = Signature([*_parameters(reading)])  # type: ignore[attr-defined]
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
        yield _body(reading.question, {name: fields[name] for name in reading.in_body})


def _parameter(name: str, about: FieldInfo, place: Any, *, optional: bool = False) -> Parameter:
    annotation = about.rebuild_annotation()
    default = Parameter.empty
    if optional:
        default = None if about.is_required() else about.get_default(call_default_factory=False)
    return Parameter(name, Parameter.KEYWORD_ONLY, annotation=Annotated[annotation, place], default=default)


def _body(question: type[Message], fields: dict[str, FieldInfo]) -> Parameter:
    model: Any = create_model(
        f"{question.__name__}Body",
        __doc__=question.__doc__,
        **{name: (about.rebuild_annotation(), about) for name, about in fields.items()},  # type: ignore[call-overload]
    )
    if any(about.is_required() for about in fields.values()):
        return Parameter("body", Parameter.KEYWORD_ONLY, annotation=Annotated[model, Body()])
    return Parameter("body", Parameter.KEYWORD_ONLY, annotation=Annotated[model | None, Body()], default=None)

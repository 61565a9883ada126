"""Configuration: TOML files into frozen pydantic models; an unknown key is an error that names the near one."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, cast, get_args, get_origin

import tomli_w
from pydantic import BaseModel, ConfigDict, ValidationError

from mindgap.core.errors import ConfigError, near_names

_PLAIN = (
    (re.compile(r"Input should be greater than or equal to (\S+)"), r"give \1 or more"),
    (re.compile(r"Input should be less than or equal to (\S+)"), r"give \1 or less"),
    (re.compile(r"Input should be greater than (\S+)"), r"give more than \1"),
    (re.compile(r"Input should be less than (\S+)"), r"give less than \1"),
    (re.compile(r"Input should be a valid integer[^;]*"), "give a whole number"),
    (re.compile(r"Input should be a valid number[^;]*"), "give a number"),
    (re.compile(r"Input should be a finite number"), "give a finite number"),
    (re.compile(r"Input should be a valid boolean[^;]*"), "give true or false"),
    (re.compile(r"Input should be a valid string"), "give a text"),
)


class StrictModel(BaseModel):
    """A frozen record that refuses keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


ModelT = TypeVar("ModelT", bound=BaseModel)
Scalar = bool | int | float | str


def parse(model: type[ModelT], values: Mapping[str, Any], *, source: str = "options") -> ModelT:
    """Builds the model, or says in one line which value of which source is wrong.

    Raises:
        ConfigError: a key is unknown, missing, or its value does not fit.
    """
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        raise ConfigError(f"{source}: {_first_problem(model, error)}") from None


def load_toml(path: Path | str, model: type[ModelT]) -> ModelT:
    """Reads a TOML file into the model.

    Raises:
        ConfigError: the file is missing, not TOML, or does not fit the model.
    """
    return parse(model, read_toml(path), source=str(path))


def read_toml(path: Path | str) -> dict[str, Any]:
    """Reads a TOML file as a plain mapping.

    Raises:
        ConfigError: the file is missing or not TOML.
    """
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot read the file ({error.strerror}); check the path") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not valid TOML ({error}); mend the file") from None


def dump_toml(values: Mapping[str, Any]) -> str:
    """Writes a mapping as TOML; keys whose value is None are left out, as TOML has no null."""
    return tomli_w.dumps(_without_none(values))


def read_scalar(text: str) -> Scalar:
    """The value of a text: a TOML number, truth value or quoted string, and else the text as it stands."""
    try:
        read = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    value = read["value"]
    # A line break could bring a second key; dates and lists are no scalars.
    return value if len(read) == 1 and isinstance(value, (bool, int, float, str)) else text


def read_scalars(text: str) -> tuple[Scalar, ...] | str:
    """The values of a TOML list of scalars, and else the text as it stands."""
    try:
        values = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
    if not isinstance(values, list):
        return text
    found = tuple(cast("list[object]", values))
    return cast("tuple[Scalar, ...]", found) if all(isinstance(one, (bool, int, float, str)) for one in found) else text


def scalar_text(value: Scalar) -> str:
    """The text of which ``read_scalar`` makes the value; a text is quoted only where it would read as another value.

    One in brackets is, as options read those as several.

    Example:
        True gives ``true``, 0.5 ``0.5``, the text 1 ``"1"`` and the text data ``data``.
    """
    if isinstance(value, str) and read_scalar(value) == value and not value.startswith("["):
        return value
    return tomli_w.dumps({"value": value}).removeprefix("value = ").removesuffix("\n")


def _without_none(value: object) -> Any:
    if isinstance(value, Mapping):
        mapping = cast("Mapping[object, object]", value)
        return {str(key): _without_none(item) for key, item in mapping.items() if item is not None}
    if isinstance(value, (list, tuple)):
        return [_without_none(item) for item in cast("list[object]", value)]
    return str(value) if isinstance(value, Path) else value


def _first_problem(model: type[BaseModel], error: ValidationError) -> str:
    problem = error.errors()[0]
    names, fields = _place(model, problem["loc"])
    where = ".".join(names) or "value"
    if problem["type"] == "extra_forbidden":
        return f"unknown key {where!r}; {near_names(str(problem['loc'][-1]), fields)}"
    if problem["type"] == "missing":
        return f"{where} is missing; add it"
    message = plain_words(problem["msg"].removeprefix("Value error, "))
    if not names:  # of the whole, which says itself what is wrong
        return message
    return f"{where} is {problem['input']!r}: {message}"


def plain_words(message: str) -> str:
    """What a validator or the option parser says of a number, as what to give.

    Example:
        >>> plain_words("Input should be greater than or equal to 1")
        'give 1 or more'
    """
    for said, plain in _PLAIN:
        message = said.sub(plain, message)
    return message


def _place(model: type[BaseModel], location: tuple[int | str, ...]) -> tuple[list[str], list[str]]:
    """The names on the way to a value, without the member that was tried of a union, and the keys known around it."""
    names: list[str] = []
    tried: dict[str, type[BaseModel]] = {}
    for part in map(str, location):
        if part in tried:
            model, tried = tried[part], {}
            continue
        names.append(part)
        field = model.model_fields.get(part)
        models = [] if field is None else _models(field.annotation)
        if len(models) == 1:
            model = models[0]
        tried = {member.__name__: member for member in models[1:] and models}
    return names, list(model.model_fields)


def _models(annotation: Any) -> list[type[BaseModel]]:
    """The models among the members of an annotation."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _models(get_args(annotation)[0])
    if origin in {Union, UnionType}:
        return [model for member in get_args(annotation) for model in _models(member)]
    return [annotation] if isinstance(annotation, type) and issubclass(annotation, BaseModel) else []


def named(given: str | Sequence[str] | None) -> tuple[str, ...] | None:
    """Names of an option: ``a, b`` or a sequence of them; None where none was given.

    Example:
        >>> named("sex, age")
        ('sex', 'age')
    """
    if given is None:
        return None
    return tuple(name.strip() for name in given.split(",")) if isinstance(given, str) else tuple(given)

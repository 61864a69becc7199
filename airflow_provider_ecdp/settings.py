"""Settings as a table: a field of a settings class holds its help, its default, its limits and how text is read.

Callers read that table: the command line makes its options from it, operators their parameters and the checks of a DAG
that is parsed, and the documentation's tables are compared with it. `docs/architecture.md` shows where to add one.
"""

from __future__ import annotations

import ast
import dataclasses
import datetime as dt
import enum
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from airflow_provider_ecdp.errors import ConfigurationError

_T = TypeVar("_T")

_KEY = "ecdp"

#: Characters of a wrong value that a message shows.
_SHOWN = 60

_BOOLEANS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}

_SECONDS = {"d": 86_400, "h": 3600, "m": 60, "min": 60, "s": 1}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?\s*(?:d|h|min|m|s)\s*)+")
_PART_OF_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(d|h|min|m|s)")

_SEPARATORS = str.maketrans("", "", "_- ")


@dataclass(frozen=True, slots=True)
class Kind:
    """The values that a setting takes.

    :param rule: ends the sentence "it must be …"
    :param parse: returns the value of an argument of a program, a template or a shell; raises ValueError or TypeError,
        or ConfigurationError with a message of its own, and accepts its own results
    :param metavar: the placeholder of the value in the help of the command line; None for a flag
    :param least: the lowest value, where there is one
    :param most: the highest value, where there is one
    """

    rule: str
    parse: Callable[[Any], Any]
    metavar: str | None = "VALUE"
    least: float | None = None
    most: float | None = None

    def read(self, value: Any) -> Any:
        """Return the parsed value.

        :raises ConfigurationError: the value is not allowed; the message is a sentence without its subject
        """
        try:
            return self.parse(value)
        except (ValueError, TypeError, OverflowError):
            raise ConfigurationError(f"must be {self.rule}, not {shown(value)}") from None


@dataclass(frozen=True, slots=True)
class Setting:
    """One row of the table.

    :param help: one sentence, without the full stop
    :param default: as a user writes it
    :param connection: whether an Airflow connection decides where the setting is left out
    """

    name: str
    kind: Kind
    help: str
    default: Any
    connection: bool

    @property
    def required(self) -> bool:
        """Whether there is no default."""
        return self.default is ...

    def parse(self, value: Any) -> Any:
        """Return the parsed value; None, and empty text where the default is None, are the default.

        :raises ConfigurationError: the value is not allowed; the message is a sentence without its subject
        """
        if not self.required and (value is None or (value == "" and self.default is None)):
            value = self.default
        return None if value is None and not self.required else self.kind.read(value)

    def read(self, value: Any) -> Any:
        """Return the parsed value.

        :raises ConfigurationError: the value is not allowed; the message names the setting
        """
        try:
            return self.parse(value)
        except ConfigurationError as error:
            raise ConfigurationError(_sentence(self.name, str(error))) from None


def _sentence(name: str, message: str) -> str:
    if message.startswith(name):
        return message
    return f"{name} {message}" if message.startswith("must ") else f"{name}: {message}"


def setting(default: Any, kind: Kind, *, help: str, connection: bool = False) -> Any:  # noqa: A002  # argparse's word
    """Return the field of a settings class; with `...` as its default, the setting is required."""
    facts = Setting("", kind, help, default, connection)
    if facts.required:
        return dataclasses.field(metadata={_KEY: facts})
    return dataclasses.field(default=facts.parse(None), metadata={_KEY: facts})


def same(table: type, name: str, **changes: Any) -> Any:
    """Return a field with the help, limits and default of a setting of another class."""
    facts = {field.name: field for field in settings_of(table)}[name]
    facts = dataclasses.replace(facts, **changes)
    return setting(facts.default, facts.kind, help=facts.help, connection=facts.connection)


def settings_of(table: type) -> Iterator[Setting]:
    """Yield the settings of a class; fields that `setting` did not make are internal."""
    for field in dataclasses.fields(table):
        if _KEY in field.metadata:
            yield dataclasses.replace(field.metadata[_KEY], name=field.name)


def check(instance: Any) -> None:
    """Parse the settings of an instance that is being made: for `__post_init__`.

    :raises ConfigurationError: a value is not allowed
    """
    for field in settings_of(type(instance)):
        object.__setattr__(instance, field.name, field.read(getattr(instance, field.name)))


def build(table: type[_T], values: Mapping[str, object]) -> _T:
    """Return settings from values by name; None is the default, and other names are ignored.

    :raises ConfigurationError: a value is not allowed
    """
    names = {field.name for field in dataclasses.fields(table)}  # type: ignore[arg-type]  # settings are dataclasses
    present = {name: value for name, value in values.items() if name in names and value is not None}
    missing = {field.name: None for field in settings_of(table) if field.required and field.name not in present}
    return table(**present, **missing)


def shown(value: Any) -> str:
    """Return a wrong value for a message, shortened."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


# kinds


def text(rule: str = "text", metavar: str = "TEXT") -> Kind:
    """Take text, and no other type."""

    def parse(value: Any) -> str:
        if not isinstance(value, str):
            raise TypeError
        return value

    return Kind(rule, parse, metavar)


def boolean() -> Kind:
    """Take `True` and `False`, and the words for them."""

    def parse(value: Any) -> bool:
        try:
            return _BOOLEANS[str(value).strip().lower()]
        except KeyError:
            raise ValueError from None

    return Kind("true or false", parse, None)


def whole(*, least: int = 0, most: int | None = None) -> Kind:
    """Take a whole number."""

    def parse(value: Any) -> int:
        number = int(value) if isinstance(value, str) else value
        if isinstance(number, float) and number.is_integer():
            number = int(number)
        if isinstance(number, bool) or not isinstance(number, int):
            raise TypeError
        if number < least or (most is not None and number > most):
            raise ValueError
        return number

    limits = f"{least:,} or more" if most is None else f"{least:,} to {most:,}"
    return Kind(f"a whole number, {limits}", parse, "N", least, most)


def number(unit: str = "") -> Kind:
    """Take a number above 0."""

    def parse(value: Any) -> float:
        if isinstance(value, bool):
            raise TypeError
        parsed = float(value)
        if not (math.isfinite(parsed) and parsed > 0):
            raise ValueError
        return parsed

    return Kind(f"a number{unit and f' of {unit}'} above 0", parse, "X", 0)


def duration() -> Kind:
    """Take a time above 0 as seconds: a number, a timedelta, or text such as `90m` or `1h 30m`."""
    seconds = number("seconds")

    def parse(value: Any) -> float:
        if isinstance(value, dt.timedelta):
            value = value.total_seconds()
        if isinstance(value, str) and _DURATION.fullmatch(value.strip().lower()):
            parts = _PART_OF_DURATION.findall(value.lower())
            value = sum(float(amount) * _SECONDS[unit] for amount, unit in parts)
        return float(seconds.parse(value))

    return Kind("a time above 0: a number of seconds, or text such as 90m or 1h 30m", parse, "TIME", 0)


def choice(of: type[enum.StrEnum] | tuple[str, ...]) -> Kind:
    """Take one of several words; case, `_`, `-` and spaces do not matter."""
    folded = {folded_word(word): word for word in of}

    def parse(value: Any) -> Any:
        try:
            return folded[folded_word(value)]
        except (KeyError, AttributeError):
            raise ValueError from None

    *others, last = of
    return Kind(f"{', '.join(others)} or {last}", parse, "WORD")


def folded_word(value: str) -> str:
    """Return a word in lower case, without `_`, `-` and spaces: the spelling by which words are compared."""
    return value.strip().translate(_SEPARATORS).lower()


def mapping(rule: str) -> Kind:
    """Take a dict, or the text of one, as JSON or as Jinja writes it."""

    def parse(value: Any) -> Mapping[str, Any]:
        parsed = literal(value) if isinstance(value, str) else value
        if not isinstance(parsed, Mapping) or not all(isinstance(name, str) for name in parsed):
            raise TypeError
        return parsed

    return Kind(rule, parse, "JSON")


def literal(text: str) -> Any:
    """Return the value of a JSON or Python literal: a template that is not rendered natively gives the latter.

    :raises ValueError: it is neither
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    try:
        return ast.literal_eval(text.strip())
    except (SyntaxError, MemoryError, RecursionError, TypeError):
        raise ValueError from None

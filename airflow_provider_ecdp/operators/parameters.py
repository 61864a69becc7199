"""The parameters of an operator, generated from the classes of its settings.

Each is templated. A value without a template is checked when the DAG is parsed, others when the task runs.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Union

from airflow_provider_ecdp.settings import Setting, settings_of

if TYPE_CHECKING:
    from airflow.sdk import XComArg

#: Every parameter takes these in addition to values of its type: a template, or the output of a task.
Templated = Union[str, "XComArg"]

#: Settings that are not parameters: a connection has the first two, and `on_empty` decides the third.
_NOT_PARAMETERS = {"matching", "match_by", "allow_empty"}

#: Attributes of an operator whose names are taken: BaseOperator has a method of the parameter's name.
_ATTRIBUTES = {"dry_run": "check_only"}


def parameters_of(tables: Iterable[type], left_out: Collection[str]) -> dict[str, Setting]:
    """Return the parameters of an operator by name."""
    settings = (setting for table in tables for setting in settings_of(table))
    return {setting.name: setting for setting in settings if setting.name not in {*_NOT_PARAMETERS, *left_out}}


def attribute(name: str) -> str:
    """Return the attribute of the operator that holds a parameter, and is its template field."""
    return _ATTRIBUTES.get(name, name)


def shown_default(setting: Setting) -> Any:
    """Return the default that a signature shows; None where the connection decides."""
    return inspect.Parameter.empty if setting.required else None if setting.connection else setting.default


def declare(operator: type, parameters: Mapping[str, Setting]) -> None:
    """Give an operator's class the signature, the template fields and the docstring of its parameters.

    Airflow reads the signature of `__init__`: for `default_args`, and to check mapped values.
    """
    _sign(operator, parameters)
    own = tuple(operator.__dict__.get("template_fields", ()))
    operator.template_fields = tuple(dict.fromkeys((*map(attribute, parameters), *own)))  # type: ignore[attr-defined]
    lines = [f":param {setting.name}: {setting.help}" for setting in parameters.values()]
    operator.__doc__ = "\n".join([inspect.cleandoc(operator.__doc__ or ""), "", *lines])


def _sign(operator: type, parameters: Mapping[str, Setting]) -> None:
    init: Callable[..., None] = operator.__dict__.get("__init__") or _passing_on(operator)
    own = inspect.signature(init).parameters.values()
    explicit = [parameter for parameter in own if parameter.kind is not inspect.Parameter.VAR_KEYWORD]
    names = {parameter.name for parameter in explicit}
    generated = [
        inspect.Parameter(setting.name, inspect.Parameter.KEYWORD_ONLY, default=shown_default(setting))
        for setting in parameters.values()
        if setting.name not in names
    ]
    others = [parameter for parameter in own if parameter.kind is inspect.Parameter.VAR_KEYWORD]
    init.__signature__ = inspect.Signature([*explicit, *generated, *others])  # type: ignore[attr-defined]
    operator.__init__ = init  # type: ignore[misc]


def _passing_on(operator: Any) -> Callable[..., None]:
    def __init__(self: Any, **kwargs: Any) -> None:  # noqa: N807  # it becomes the method of this name
        super(operator, self).__init__(**kwargs)

    return __init__


def check_literals(parameters: Mapping[str, Setting], values: Mapping[str, Any], extensions: Iterable[str]) -> None:
    """Check values without templates.

    :param extensions: of the files that Airflow reads in place of a text
    :raises ConfigurationError: a value is not allowed
    """
    for name, setting in parameters.items():
        if name in values and not templated(values[name], tuple(extensions)):
            setting.read(values[name])


def templated(value: Any, extensions: tuple[str, ...] = ()) -> bool:
    """Whether a value exists only when the task runs: a template or its file, the output of a task, a function."""
    if isinstance(value, str):
        return any(mark in value for mark in ("{{", "{%", "{#")) or (bool(extensions) and value.endswith(extensions))
    if isinstance(value, Mapping):
        return any(templated(item, extensions) for pair in value.items() for item in pair)
    if isinstance(value, list | tuple | set | frozenset):
        return any(templated(item, extensions) for item in value)
    return hasattr(value, "iter_references") or callable(value)

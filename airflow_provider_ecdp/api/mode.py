"""The enumerations of the Orders API's POST, in its own spelling; `parse` accepts other spellings."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import TypeVar

from airflow_provider_ecdp.errors import ConfigurationError
from airflow_provider_ecdp.settings import folded_word


class Mode(enum.StrEnum):
    """How a POST treats orders that ECDP has, and those that it has not."""

    ADD = "Add"
    ADD_OR_REPLACE = "AddOrReplace"
    REPLACE = "Replace"

    @staticmethod
    def parse(text: str) -> Mode:
        """Read `AddOrReplace`, `add_or_replace`, `add-or-replace`, ...; anything else is a ConfigurationError."""
        return _parse(Mode, text, "mode", list(Mode))

    @property
    def repeatable(self) -> bool:
        """Whether the same POST may be sent twice: Add could store an order twice, for it has no idempotency key."""
        return self is not Mode.ADD


class MatchBy(enum.StrEnum):
    """The customer attribute that identifies the customer: `matchBy`, sent by the vendor's plugin, not on its page."""

    EMAIL = "Email"
    PHONE = "PhoneNumber"
    CRM_ID = "CrmId"

    @staticmethod
    def parse(text: str) -> MatchBy:
        """Read `email`, `phone`, `phone_number`, `crm_id`, `crmId`, ...; anything else is a ConfigurationError."""
        return _parse(MatchBy, text, "matching mode", [mode.field for mode in MatchBy])

    @property
    def field(self) -> str:
        """The field of `customer` that holds it."""
        return {MatchBy.EMAIL: "email", MatchBy.PHONE: "phone", MatchBy.CRM_ID: "crmId"}[self]


def envelope(mode: Mode, match_by: MatchBy | None) -> tuple[bytes, bytes]:
    """Return the text before and after the orders in the body of a POST."""
    matching = f',"matchBy":"{match_by}"' if match_by else ""
    return f'{{"mode":"{mode}"{matching},"data":['.encode(), b"]}"


_Choice = TypeVar("_Choice", Mode, MatchBy)


def _parse(choices: type[_Choice], text: str, setting: str, words: Sequence[str]) -> _Choice:
    spelling = folded_word(text) if isinstance(text, str) else ""
    for choice in choices:
        # the member's name is a spelling too: PHONE for PhoneNumber
        if spelling in (folded_word(choice.value), folded_word(choice.name)):
            return choice
    raise ConfigurationError(f"{str(text)[:50]!r} is not a {setting} of the Orders API: use one of {', '.join(words)}")

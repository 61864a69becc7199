"""Which ECDP a history is about: its base URL, and a salted fingerprint of the key. The key itself is not kept."""

from __future__ import annotations

import json
import logging
import secrets
from collections.abc import Callable

from airflow_provider_ecdp.errors import ConfigurationError
from airflow_provider_ecdp.ledger.store import Ledger

log = logging.getLogger(__name__)

_NOTE = "target"


def check_target(history: Ledger, base_url: str, fingerprint: Callable[[bytes], str]) -> None:
    """Compare what a history is about with what a run sends to; a history that does not say yet says so from now on.

    :param fingerprint: of the key, by a salt
    :raises ConfigurationError: the history is that of another base URL
    """
    kept = _kept(history)
    if kept is None:
        _keep(history, base_url, secrets.token_bytes(16), fingerprint)
        return
    known_url, salt, known_key = kept
    if known_url != base_url:
        raise ConfigurationError(
            f"{history.path} is the history of {known_url}, and this run sends to {base_url}: orders that one has "
            "accepted are not in the other. Use another folder (--only-changed) or another connection; if both are the "
            "same ECDP, delete the files _target-*.json in that folder"
        )
    if known_key != fingerprint(salt):
        log.warning(
            "%s was written with another API key; if the key is that of another business unit, use another folder or "
            "connection: orders that one has accepted are not in the other",
            history.path,
        )
        _keep(history, base_url, secrets.token_bytes(16), fingerprint)


def _kept(history: Ledger) -> tuple[str, bytes, str] | None:
    note = history.kept(_NOTE)
    if note is None:
        return None
    try:
        facts = json.loads(note)
        return str(facts["base_url"]), bytes.fromhex(facts["salt"]), str(facts["key"])
    except (ValueError, KeyError, TypeError):
        log.warning("%s: the note about its base URL cannot be read; it is written again", history.path)
        return None


def _keep(history: Ledger, base_url: str, salt: bytes, fingerprint: Callable[[bytes], str]) -> None:
    facts = {"base_url": base_url, "salt": salt.hex(), "key": fingerprint(salt)}
    history.keep(_NOTE, json.dumps(facts, indent=1).encode())

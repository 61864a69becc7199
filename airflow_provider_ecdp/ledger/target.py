"""Which ECDP a ledger is about: its base URL, and a salted fingerprint of the key. The key itself is not kept."""

from __future__ import annotations

import json
import logging
import secrets
from collections.abc import Callable

from airflow_provider_ecdp.errors import ConfigurationError
from airflow_provider_ecdp.ledger.store import Ledger

log = logging.getLogger(__name__)

_NOTE = "target"


def check_target(ledger: Ledger, base_url: str, fingerprint: Callable[[bytes], str]) -> None:
    """Compare the target of a ledger with that of a run; a ledger without one gets the run's.

    A ledger without accepted orders takes another base URL: the one before may have been a mistake.

    :param fingerprint: returns the fingerprint of the key with a salt
    :raises ConfigurationError: orders in it were accepted under another base URL
    :raises StorageError: the storage does not answer
    """
    kept = _kept(ledger)
    if kept is None or (kept[0] != base_url and not ledger.has_accepted()):
        _keep(ledger, base_url, fingerprint)
        return
    recorded_url, salt, recorded_key = kept
    if recorded_url != base_url:
        raise ConfigurationError(
            f"{ledger.path} holds results of {recorded_url}, and this run sends to {base_url}: orders "
            "accepted by one are not in the other. Use another folder (results_path, --results, --only-changed) or "
            "another connection; if both are the same ECDP, delete the files _target-*.json in that folder"
        )
    if recorded_key != fingerprint(salt):
        log.warning(
            "%s was written with another API key; if the key is that of another business unit, use another folder or "
            "connection: orders accepted by one are not in the other",
            ledger.path,
        )
        _keep(ledger, base_url, fingerprint)


def _kept(ledger: Ledger) -> tuple[str, bytes, str] | None:
    note = ledger.read_note(_NOTE)
    if note is None:
        return None
    try:
        facts = json.loads(note)
        return str(facts["base_url"]), bytes.fromhex(facts["salt"]), str(facts["key"])
    except (ValueError, KeyError, TypeError):
        log.warning("%s: the record of its base URL cannot be read, and is written again", ledger.path)
        return None


def _keep(ledger: Ledger, base_url: str, fingerprint: Callable[[bytes], str]) -> None:
    salt = secrets.token_bytes(16)
    facts = {"base_url": base_url, "salt": salt.hex(), "key": fingerprint(salt)}
    ledger.write_note(_NOTE, json.dumps(facts, indent=1).encode())

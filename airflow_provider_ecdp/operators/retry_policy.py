"""The retry policy of tasks, for Airflow 3.3; earlier versions have no policies.

The server's own pause overrides the task's `retry_delay` where it is longer; errors that cannot pass are not retried.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from airflow_provider_ecdp.errors import EcdpError

try:
    from airflow.sdk import RetryDecision, RetryPolicy
except ImportError:  # Airflow 3.1 and 3.2
    AVAILABLE = False
else:
    AVAILABLE = True

if TYPE_CHECKING:
    from airflow.sdk.definitions.context import Context

#: Longer waits are cut: a task that waits for a day looks like a task that hangs.
LONGEST_PAUSE = dt.timedelta(hours=6)


def is_transient(error: BaseException) -> bool:
    """Whether the same task can succeed later with nothing changed; errors of others may."""
    return error.transient if isinstance(error, EcdpError) else True


if AVAILABLE:

    class EcdpRetryPolicy(RetryPolicy):
        """Waits as long as ECDP asks for, and gives up at once on errors that cannot pass.

        The operators use it unless a task has a policy of its own. In a TaskFlow function that uses the hook:
        `@task(retries=3, retry_policy=EcdpRetryPolicy())`.
        """

        def evaluate(
            self,
            exception: BaseException,
            try_number: int,  # noqa: ARG002  # Airflow's signature
            max_tries: int,  # noqa: ARG002  # Airflow's signature
            context: Context | None = None,
        ) -> RetryDecision:
            """Decide; anything that this package did not raise is left to Airflow."""
            if not isinstance(exception, EcdpError):
                return RetryDecision.default()
            if not is_transient(exception):
                return RetryDecision.fail(f"{type(exception).__name__}: trying again changes nothing")
            seconds = getattr(exception, "retry_after", None)
            if seconds is None:
                return RetryDecision.default()
            pause = min(dt.timedelta(seconds=seconds), LONGEST_PAUSE)
            own = getattr(context["task"], "retry_delay", None) if context else None
            if own is not None and pause <= own:
                return RetryDecision.default()
            return RetryDecision.retry(pause, f"ECDP asked to wait for {seconds:g} s")


def with_retry_policy(arguments: dict[str, Any]) -> dict[str, Any]:
    """Add the policy to the arguments of an operator where there is none, neither its own nor the DAG's default."""
    # not setdefault: `.partial()` passes retry_policy=None
    default = (arguments.get("default_args") or {}).get("retry_policy")
    if AVAILABLE and arguments.get("retry_policy") is None and default is None:
        arguments["retry_policy"] = EcdpRetryPolicy()
    return arguments

"""Every module can be imported: with `make test-lowest`, with the lowest version of everything."""

import importlib
import pkgutil

import pytest

import airflow_provider_ecdp

MODULES = pkgutil.walk_packages(airflow_provider_ecdp.__path__, "airflow_provider_ecdp.")
#: All but the two that are programs.
NAMES = [module.name for module in MODULES if not module.name.endswith("__main__")]


@pytest.mark.parametrize("name", NAMES)
def test_every_module_can_be_imported(name):
    assert importlib.import_module(name).__doc__

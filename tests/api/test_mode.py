import pytest

from airflow_provider_ecdp.api.mode import MatchBy, Mode
from airflow_provider_ecdp.errors import ConfigurationError


@pytest.mark.parametrize(
    ("text", "mode"),
    [
        ("Add", Mode.ADD),
        ("add", Mode.ADD),
        ("AddOrReplace", Mode.ADD_OR_REPLACE),
        ("ADDORREPLACE", Mode.ADD_OR_REPLACE),
        ("add_or_replace", Mode.ADD_OR_REPLACE),
        ("add-or-replace", Mode.ADD_OR_REPLACE),
        (" Replace ", Mode.REPLACE),
        (Mode.REPLACE, Mode.REPLACE),
    ],
)
def test_a_mode_is_read_in_every_usual_spelling(text, mode):
    assert Mode.parse(text) is mode


@pytest.mark.parametrize("text", ["", "upsert", "AddReplace", "Add Or", None, 3])
def test_a_mode_that_is_none_names_the_three(text):
    with pytest.raises(ConfigurationError, match="Add, AddOrReplace, Replace"):
        Mode.parse(text)


def test_only_add_must_not_be_repeated():
    assert [mode for mode in Mode if not mode.repeatable] == [Mode.ADD]


@pytest.mark.parametrize(
    ("text", "match_by"),
    [
        ("email", MatchBy.EMAIL),
        ("Email", MatchBy.EMAIL),
        ("phone", MatchBy.PHONE),
        ("phone_number", MatchBy.PHONE),
        ("PhoneNumber", MatchBy.PHONE),
        ("crm_id", MatchBy.CRM_ID),
        ("crmId", MatchBy.CRM_ID),
    ],
)
def test_a_matching_mode_is_read_in_every_usual_spelling(text, match_by):
    assert MatchBy.parse(text) is match_by


def test_a_matching_mode_that_is_none_names_the_three():
    with pytest.raises(ConfigurationError, match="use one of email, phone, crmId"):
        MatchBy.parse("name")

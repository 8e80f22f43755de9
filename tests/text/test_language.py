"""Texts in another language than English are found, English ones are let through."""

import sys

import pytest

from ppaudioldm.sounds.speech.held_out import COMMANDS
from ppaudioldm.text import language
from ppaudioldm.text.language import may_be_english, warn_of_other_language


@pytest.fixture(scope="module", autouse=True)
def library():
    pytest.importorskip("py3langid")


@pytest.mark.parametrize(
    "text", ["Wish you have a good day", "no", "Dr. Müller lives in St. Louis", "12:34", "Jazz", "Dimitri Papadopoulos"]
)
def test_english(text):
    assert may_be_english(text)


def test_every_command_is_english():
    assert all(map(may_be_english, COMMANDS))


@pytest.mark.parametrize(
    "text",
    ["Guten Morgen, wie geht es Ihnen?", "Bonjour tout le monde", "Hola mundo", "今天天气很好", "Привет"],
)
def test_other_languages(text, caplog):
    warn_of_other_language(text)
    (record,) = caplog.records
    assert text[:60] in record.getMessage() and "is not English" in record.getMessage()


def test_without_the_library_nothing_is_said(monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "py3langid.langid", None)
    language._identifier.cache_clear()
    warn_of_other_language("Bonjour tout le monde")
    assert not caplog.records

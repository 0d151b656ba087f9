"""A user's own function as a measure: found beside the questions, tried before any model is asked, failures named."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fireact.errors import ConfigError
from fireact.tasks.measures.function import Python
from tests.tasks.measures.conftest import Ask

OWN = '''
import grading_words

def close(question, answer):
    """A share of the gold answer's letters."""
    return len(set(answer) & set(question.answer)) / len(set(question.answer))

def same(question, answer):
    return grading_words.lower(answer) == grading_words.lower(question.answer)

def broken(question, answer):
    return answer == question.answer if answer else 1 / 0

def odd(question, answer):
    return "yes"

async def slow(question, answer):
    return True

weight = 3
'''


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Modules of a user's; what was imported of them is forgotten, and Python's path is as before."""
    before, path = set(sys.modules), list(sys.path)
    (tmp_path / "own_grading.py").write_text(OWN)
    (tmp_path / "grading_words.py").write_text("def lower(text):\n    return text.lower()\n")
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "inner.py").write_text("def right(question, answer):\n    return True\n")
    yield tmp_path
    sys.path[:] = path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def test_a_truth_value_or_a_share(folder: Path, verdict: Ask) -> None:
    same = Python("own_grading.same", beside=str(folder / "questions.jsonl"))
    assert (same.name, verdict(same, "Nile", "NILE").right, verdict(same, "Nile", "").right) == ("same", True, False)
    assert verdict(same, "Nile", "NILE").value is None
    close = Python("own_grading.close", beside=str(folder), right_from=0.75)
    found = verdict(close, "abcd", "ab")
    assert (found.value, found.right) == (0.5, False)
    assert verdict(Python("pack.inner.right", beside=str(folder)), "a", "b").right


def test_its_file_is_part_of_what_it_is(folder: Path) -> None:
    before = Python("own_grading.same", beside=str(folder)).sha256
    (folder / "own_grading.py").write_text(OWN + "\n# another one\n")
    del sys.modules["own_grading"]
    assert Python("own_grading.same", beside=str(folder)).sha256 != before


@pytest.mark.parametrize(
    ("function", "sentence"),
    [
        ("same", "measure.function=same is no dotted path; write it like package.module.function"),
        ("own grading.same", "is no dotted path"),
        ("own_grading.missing", "missing is not there in own_grading; correct the path"),
        ("own_grading.weight", "weight is no function in own_grading"),
        ("own_grading.slow", "own_grading.slow is asynchronous; make it a plain function"),
        ("no_such_thing.f", "there is no module no_such_thing in .*; correct the path, or set measure.beside=FOLDER"),
        ("pack.nothing.f", "there is no module pack.nothing in "),
        ("unreadable.f", "importing unreadable failed with SyntaxError"),
        ("lacking.f", "importing lacking failed with ModuleNotFoundError: No module named 'not_installed'; repair it"),
        ("json.dumps_all", "another module is called json .*so .*json.py can't be imported; give it another name"),
    ],
)
def test_what_is_not_there_is_said_beforehand(folder: Path, function: str, sentence: str) -> None:
    (folder / "unreadable.py").write_text("def f(:\n")
    (folder / "lacking.py").write_text("import not_installed\n")
    (folder / "json.py").write_text("def dumps_all(question, answer):\n    return True\n")
    with pytest.raises(ConfigError, match=sentence):
        Python(function, beside=str(folder))


def test_a_failure_is_named_with_its_question_and_answer(folder: Path, verdict: Ask) -> None:
    broken = Python("own_grading.broken", beside=str(folder))
    assert verdict(broken, "Nile", "Nile").right
    with pytest.raises(ConfigError, match="own_grading.broken failed on the answer '' to question q-0 with ZeroDivi"):
        verdict(broken, "Nile", "")
    with pytest.raises(ConfigError, match="returned 'yes', which is neither a truth value nor a number in 0…1; repair"):
        verdict(Python("own_grading.odd", beside=str(folder)), "Nile", "Nile")


def test_the_user_s_folder_hides_no_module_of_others_afterwards(folder: Path) -> None:
    (folder / "colorsys.py").write_text("")
    Python("own_grading.same", beside=str(folder))
    sys.modules.pop("colorsys", None)
    import colorsys

    assert hasattr(colorsys, "rgb_to_hsv")

"""The released trajectories: every file read, every known fault repaired and counted."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from fireact.errors import DataError
from fireact.trajectories.dialogue import parse_step, step_text
from fireact.trajectories.files import read
from fireact.trajectories.records import Ending, Question, Score, Step, Trajectory
from fireact.trajectories.storage.writing import write_lines

ALPACA, CHAT = "fireact/alpaca_format", "fireact/gpt_format"


@pytest.mark.parametrize(
    ("file", "tasks", "methods", "counts"),
    [
        (f"{ALPACA}/hotpotqa.json", [500, 0, 0], [500, 0, 0], {}),
        (f"{ALPACA}/hotpotqa_multimethod.json", [734, 0, 0], [500, 187, 47], {"failed": 40}),
        (f"{ALPACA}/multitask.json", [500, 456, 388], [1344, 0, 0], {"choices_moved": 456}),
        (
            f"{ALPACA}/multitask_multimethod.json",
            [733, 712, 618],
            [1344, 648, 71],
            {"choices_moved": 712, "failed": 49, "preambles": 1, "answers_unpacked": 2, "invented_observations": 5},
        ),
        (f"{CHAT}/hotpotqa.jsonl", [500, 0, 0], [500, 0, 0], {}),
        (f"{CHAT}/hotpotqa_multimethod.jsonl", [733, 0, 0], [500, 186, 47], {"failed": 40, "methods_guessed": 186}),
        # a chat row does not tell the 328 MMLU and StrategyQA episodes that needed no search from CoT
        (f"{CHAT}/multitask.jsonl", [500, 456, 388], [1016, 328, 0], {"methods_guessed": 328}),
        (
            f"{CHAT}/multitask_multimethod.jsonl",
            [733, 712, 618],
            [1016, 976, 71],
            {
                "failed": 49,
                "answers_unpacked": 2,
                "invented_observations": 5,
                "questions_found": 2,
                "methods_guessed": 976,
            },
        ),
    ],
)
def test_released_training_files(
    real_data: Path, file: str, tasks: list[int], methods: list[int], counts: dict[str, int]
) -> None:
    seen: Counter[str] = Counter()
    trajectories = list(read(real_data / file, seen))
    rows = len(trajectories)
    of_task = Counter(t.question.task for t in trajectories)
    of_method = Counter(t.method for t in trajectories)
    assert [of_task[name] for name in ("hotpotqa", "mmlu", "strategyqa")] == tasks
    assert [of_method[name] for name in ("react", "cot", "reflexion")] == methods
    assert seen == {"rows": rows, "closing_lines": rows, **counts}
    assert sum(not t.score.correct for t in trajectories) == counts.get("failed", 0)


def test_both_formats_hold_the_same_questions_and_steps(real_data: Path) -> None:
    def content(file: str) -> set[Any]:
        return {(t.question.id, t.question.prompt(), t.steps) for t in read(real_data / file, Counter())}

    alpaca, chat = content(f"{ALPACA}/multitask.json"), content(f"{CHAT}/multitask.jsonl")
    assert len(alpaca) == 1344
    assert len(alpaca & chat) >= 1342, "two of them differ in what the model made of a list"


def test_every_released_step_can_be_learnt_and_parsed(real_data: Path) -> None:
    for trajectory in read(real_data / ALPACA / "multitask_multimethod.json", Counter()):
        for step in trajectory.steps:
            if step.action:
                again = parse_step(step_text(step))
                assert (again.thought, again.action, again.argument) == (step.thought, step.action, step.argument)


def test_mmlu_choices_stand_in_the_question(real_data: Path) -> None:
    first = next(t for t in read(real_data / ALPACA / "multitask.json", Counter()) if t.question.task == "mmlu")
    assert len(first.question.choices) == 4 and not first.question.text.startswith("Question:")
    assert first.question.prompt().splitlines()[-4:] == [
        f"{letter}. {choice}" for letter, choice in zip("ABCD", first.question.choices, strict=True)
    ]
    assert not any(choice in first.steps[0].thought.split("\n") for choice in first.question.choices)


def test_released_evaluation_run(real_data: Path) -> None:
    counts: Counter[str] = Counter()
    (file,) = (real_data / "fireact/trajs").glob("*.json")
    run = list(read(file, counts))
    assert counts == {"rows": 465, "missing": 35, "failed": 265, "closing_lines": 465, "extra_actions": 10}
    assert sum(t.score.em for t in run) / 500 == 0.4
    assert round(sum(t.score.f1 for t in run) / 500, 3) == 0.542
    assert run[0].question.id == "hotpotqa-dev-6238" and run[0].ending == Ending.FINISH
    assert run[0].question.answer == "seth macfarlane" and run[0].answer == "Seth MacFarlane"


def test_alpaca_text_run(tmp_path: Path) -> None:
    text = (
        "Below is … request.\n\n### Instruction:\nWho wrote X?\n\n### Response:\n"
        "Thought: find X\nAction: search[X]\nObservation: by Y\nThought: so\nAction: finish[Y]\n"
        "Observation: Episode finished, reward = True\n"
    )
    row = {"reward": True, "em": True, "f1": 1.0, "gt": "y", "pred": "y", "prompt": "", "traj": text}
    file = tmp_path / "hotpotqa_dev_0_500_llama.json"
    file.write_text(json.dumps({"7": row}))
    counts: Counter[str] = Counter()
    (run,) = read(file, counts)
    assert run.question == Question("hotpotqa-dev-7", "Who wrote X?", "y", "hotpotqa", "dev")
    assert run.steps == (
        Step("find X", "search", "X", "by Y"),
        Step("so", "finish", "Y", "Episode finished, reward = True"),
    )
    assert counts["missing"] == 499


def trajectory(method: str, *steps: Step, choices: tuple[str, ...] = ()) -> Trajectory:
    question = Question("q", "Which one?", steps[-1].argument, "hotpotqa", "train", choices)
    return Trajectory(question, method, steps, Ending.FINISH, steps[-1].argument, Score(1.0, 1.0, True))


def test_our_own_rows_are_read_back_equal(tmp_path: Path) -> None:
    originals = [
        trajectory("react", Step("ä\n", "search", "«b»", "c\u2028d"), Step("e", "finish", "f")),
        trajectory("cot", Step("a", "finish", "f"), choices=("x", "y")),
    ]
    write_lines(tmp_path / "t.jsonl", map(Trajectory.to_json, originals))
    counts: Counter[str] = Counter()
    assert list(read(tmp_path / "t.jsonl", counts)) == originals
    assert counts == {"rows": 2}


OUTPUT = "Thought: t\nAction: finish[a]\nObservation: Episode finished, reward = 1"
GOOD = json.dumps({"instruction": "Q?", "output": OUTPUT})
OURS_NAN = '{"question": {"id": "q"}, "score": {"em": NaN}}'
RUN = '{"3": {"traj": [], "gt": "y", "pred": "Y", "em": true, "reward": true, "f1": 0.5}}'
SAID = ("user", "Q?"), ("assistant", "Action: finish[Y]"), ("user", "Observation: Episode finished, reward = True")
RUN = RUN.replace("[]", json.dumps([{"role": role, "content": content} for role, content in SAID]))


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("t.jsonl", f"{GOOD}\n\n{{broken\n", "t.jsonl, line 3 is not JSON .*; expected one trajectory"),
        ("t.jsonl", f"{GOOD}\n[1]\n", "t.jsonl, line 2: expected a trajectory as a JSON object, found list"),
        ("t.jsonl", '{"question": {}}\n', "t.jsonl, line 1: .* lacks the field 'method'"),
        ("t.jsonl", '{"messages": "hello"}\n', "line 1: expected messages as a list"),
        ("t.jsonl", '{"messages": []}\n', "line 1: the row ends before the assistant's answer"),
        ("t.jsonl", '{"messages": [{"role": "user", "content": "Q?"}]}\n', "line 1: the row ends before the"),
        ("t.json", "[\n" + GOOD + ",\n oops]", "t.json, line 3 is not JSON"),
        ("t.json", f"[{GOOD}, {{}}]", "t.json, row 2: trajectory lacks the field 'question'"),
        ("t.json", '[{"instruction": "Q?", "output": 7}]', "row 1: expected the field 'output' to be text"),
        ("t.json", '[{"instruction": "Q?", "output": "Thought: t"}]', "row 1: expected to end with"),
        ("t.json", '{"3": {"traj": []}}', "row 3: expected the field 'gt'"),
        ("t.json", "7", "t.json holds one int; expected a list"),
        ("t.json", "", "t.json is empty; expected a list"),
        ("t.json", GOOD, "t.json holds one object that is no evaluation run; expected a list of rows"),
        ("t.json", f"{GOOD}\n{GOOD}", "t.json, line 2 is not JSON .*; .* must be named .jsonl"),
        ("t.json", f"[{GOOD},\n{OURS_NAN}]", "t.json, row 2 holds 'NaN' in the field 'score.em', which is no number"),
        ("t.jsonl", OURS_NAN, "t.jsonl, line 1 holds 'NaN' in the field 'score.em'"),
        ("t.jsonl", '{"conversations": [], "tools": "[]"}', "line 1: the row ends before the assistant's answer"),
        ("t.jsonl", '{"prompts": "a", "text": "b"}', "line 1: the row has the fields 'prompts, text'"),
        ("t.json", RUN.replace("0.5", "7"), "row 3: f1 is 7; expected a number in 0…1"),
        ("t.json", RUN.replace("0.5", '"x"'), "row 3: f1 is str; expected float"),
        ("t.json", RUN.replace('"f1"', '"system"'), "row 3: the row has the field 'system'"),
    ],
)
def test_malformed_files_name_the_place_and_what_was_expected(
    tmp_path: Path, name: str, text: str, message: str
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=message):
        list(read(tmp_path / name, Counter()))


def test_missing_and_undecodable_files(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="none.jsonl can't be read"):
        list(read(tmp_path / "none.jsonl", Counter()))
    (tmp_path / "t.jsonl").write_bytes(b'{"a": "\xff"}\n')
    with pytest.raises(DataError, match="line 1 is not UTF-8"):
        list(read(tmp_path / "t.jsonl", Counter()))


def test_a_directory_and_a_file_of_another_encoding(tmp_path: Path) -> None:
    for name in ("t.jsonl", "t.json"):
        (tmp_path / name).write_text(GOOD, encoding="utf-16")
        with pytest.raises(DataError, match=f"{name}.* is UTF-16 text; save the file as UTF-8"):
            list(read(tmp_path / name, Counter()))
    (tmp_path / "d.jsonl").mkdir()
    with pytest.raises(DataError, match=r"d.jsonl can't be read \(Is a directory\)"):
        list(read(tmp_path / "d.jsonl", Counter()))


def test_a_mark_line_ends_and_a_suffix_in_capitals_do_no_harm(tmp_path: Path) -> None:
    (tmp_path / "t.JSONL").write_bytes(f"\ufeff{GOOD}\r\n\r\n{GOOD}".encode())
    (tmp_path / "t.json").write_bytes(f"\ufeff[{GOOD},\r\n{GOOD}]\r\n".encode())
    lines, rows = (list(read(tmp_path / name, Counter())) for name in ("t.JSONL", "t.json"))
    assert [(t.question, t.steps) for t in lines] == [(t.question, t.steps) for t in rows]


def test_lines_are_read_one_at_a_time(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text(f"{GOOD}\n" * 3 + "{broken\n")
    counts: Counter[str] = Counter()
    rows = read(tmp_path / "t.jsonl", counts)
    assert next(rows).method == "cot"
    assert counts["rows"] == 1


def test_half_a_character_in_a_question_is_read_as_it_is_said(tmp_path: Path) -> None:
    said = ["Who \ud83d?", "Action: finish[B]", "Observation: Episode finished, reward = True"]
    messages = [{"role": role, "content": text} for role, text in zip(("user", "assistant", "user"), said, strict=True)]
    (tmp_path / "a.jsonl").write_text(json.dumps({"messages": messages}))
    (trajectory,) = read(tmp_path / "a.jsonl", Counter(), as_said=True)
    assert trajectory.question.text == said[0]
    counts = Counter[str]()
    (replaced,) = read(tmp_path / "a.jsonl", counts)
    assert (replaced.question.text, counts["replaced_surrogates"]) == ("Who \ufffd?", 1)

"""What is refused before anything is spent, for every cell of a command, and in which sentence."""

from __future__ import annotations

import dataclasses
import json
import socket

import pytest

from fireact import cli
from fireact.cli import composing
from fireact.errors import ConfigError
from fireact.models import device, hub
from fireact.models.device import Device
from fireact.models.shape import LLAMA2_7B, Shape
from fireact.runs import preflight, sweep
from fireact.runs.evaluations import check_names
from fireact.runs.preflight import jobs
from fireact.runs.preflight.to_tune import ON_THIS_MACHINE
from fireact.trajectories.storage import download


@pytest.fixture(autouse=True)
def nothing_passed(monkeypatch):
    """What an earlier test found well is looked at again."""
    monkeypatch.setattr(preflight, "_passed", set())
    monkeypatch.setattr(jobs, "_checked", set())
    monkeypatch.setattr(hub, "hub_answers", lambda: False)


@pytest.fixture
def places(tmp_path):
    return [f"runs_dir={tmp_path}/runs", f"cache_dir={tmp_path}/cache"]


@pytest.fixture
def tiny(tiny_folder):
    return ["backbone=tiny_random", f"backbone.path={tiny_folder}"]


@pytest.fixture
def said(places):
    """What stands in the way of one command, sentence by sentence."""

    def ask(script, *overrides):
        cfg = cli.compose(script, [*places, *overrides])
        return [problem.sentence for problem in preflight.problems(jobs.jobs([cfg]))]

    return ask


@pytest.fixture
def released(monkeypatch):
    """The name of a released file, whose address nobody answers at."""
    monkeypatch.delenv("FIREACT_DATA", raising=False)
    name = "fireact/alpaca_format/hotpotqa.json"
    nowhere = dataclasses.replace(download.REGISTRY[name], url="http://127.0.0.1:9/hotpotqa.json")
    monkeypatch.setitem(download.REGISTRY, name, nowhere)
    return name


@pytest.fixture
def asked(tmp_path):
    """Questions and a recording of a user's own."""
    (tmp_path / "q.jsonl").write_text(json.dumps({"question": "Who?", "answer": "Y"}) + "\n")
    output = "Thought: Y.\nAction: finish[Y]\nObservation: Episode finished, reward = True\n"
    row = {"instruction": "Who?", "input": "", "output": output}
    (tmp_path / "r.json").write_text(json.dumps([row]))
    return ["task=file", f"task.path={tmp_path}/q.jsonl", "lm=recorded", f"lm.path={tmp_path}/r.json"]


def test_what_is_all_there_has_no_problem(said, tiny):
    assert said("evaluate", *tiny) == [] and said("generate") == []


def test_a_corpus_that_is_not_there_is_refused(said, asked, tmp_path):
    choose = "file has no corpus of its own; add search.corpus=FILE (JSONL of title and text) or choose another search"
    assert said("evaluate", *asked) == [f"{choose} tool"]
    assert said("evaluate", *asked, "search=noise_none") == [f"{choose} tool"]
    assert said("evaluate", *asked, "search.corpus=no.jsonl") == ["no.jsonl does not exist; search.corpus needs a file"]
    (tmp_path / "c.jsonl").write_text(json.dumps({"title": "Y", "text": "Y."}))
    assert said("evaluate", *asked, f"search.corpus={tmp_path}/c.jsonl") == []
    assert not (tmp_path / "cache").exists()  # its index is not built just to see


def test_who_never_searches_needs_no_corpus(said, asked):
    assert said("evaluate", *asked, "method=cot") == []


def test_a_replay_needs_neither_a_key_nor_a_corpus(said, asked, monkeypatch):
    monkeypatch.delenv("SERPAPI_API_KEY", raising=False)
    assert said("evaluate", *asked, "search=serpapi", "journal.replay=only") == []


@pytest.mark.parametrize("overrides, sentence", [
    (["search=serpapi"], "SERPAPI_API_KEY is not set; put your SerpApi key into that environment variable"),
    (["lm=openai", "lm.model=m"], "wants an API key; set the environment variable OPENAI_API_KEY"),
    (["method.prompt=no.txt"], "there is no few-shot prompt no.txt for method react; write one"),
    (["tuned=nowhere", "method=fireact"], "nowhere holds no adapter; run train.py first or name its adapter folder"),
    (["task=file", "task.path=no.jsonl"], "no.jsonl can't be read (No such file or directory)"),
    (["logger=wandb"], "W&B has no key; run wandb login, set WANDB_API_KEY, or add logger.offline=true"),
])  # fmt: skip
def test_what_acting_needs_is_asked_for(said, tiny, monkeypatch, tmp_path, overrides, sentence):
    if "wandb" in str(overrides):
        pytest.importorskip("wandb", reason="the extra wandb is not installed")
    for name in ("SERPAPI_API_KEY", "OPENAI_API_KEY", "WANDB_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert sentence in said("evaluate", *tiny, *overrides)[0]


def test_a_server_that_does_not_answer_is_named(said, monkeypatch):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
        lm = ["lm=openai", "lm.model=m", f"lm.base_url={url}"]
        refused = f"no server answers at lm.base_url={url} (Connection refused); start it, or check the address and the"
        assert said("evaluate", *lm) == [f"{refused} network"]
        taken.listen()
        assert said("evaluate", *lm) == []


def test_a_server_is_not_asked_for_where_a_journal_may_hold_its_answers(said, tmp_path):
    (tmp_path / "journal.sqlite").touch()
    lm = ["lm=openai", "lm.model=m", "lm.base_url=http://127.0.0.1:9/v1", f"journal.path={tmp_path}/journal.sqlite"]
    assert said("evaluate", *lm) == []


def test_what_tuning_needs_is_asked_for(said, tiny, tmp_path, released):
    tuned = ["then_act=false", "act.task=[miniwiki]", "act.prompted=[]"]
    [weights_missing] = said("train", *tuned, "backbone=llama2_7b")
    assert "is not on this machine and can't be fetched from the model hub" in weights_missing
    [nothing] = said("train", *tuned, *tiny, "data=file", "data.path=no.jsonl")
    assert nothing.startswith("no.jsonl")
    [missing] = said("train", *tuned, *tiny, "data=hotpotqa")
    assert missing.startswith(f"{released} can't be downloaded from http://127.0.0.1:9/hotpotqa.json")
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "config.json").write_text("{}")
    hollow = f"backbone.path={tmp_path}/empty holds no weights (*.safetensors or *.bin); copy them there"
    assert said("train", *tuned, "backbone=tiny_random", f"backbone.path={tmp_path}/empty") == [hollow]
    [gpt] = said("train", *tuned, "backbone=gpt35", "adapter=none", "act.prompted=[io]")
    assert gpt.startswith("backbone gpt35 has no weights to load")


def test_rows_and_layers_are_looked_at_before_the_first_cell(said, tiny, tmp_path):
    row = {"instruction": "Who?", "input": "", "output": "Thought: Y.\nAction: search[Y]\nObservation: Y.\n"
           "Thought: Y.\nAction: finish[Y]\nObservation: Episode finished, reward = True\n"}
    (tmp_path / "t.json").write_text(json.dumps([row]))
    tuned = [*tiny, "data=file", f"data.path={tmp_path}/t.json", "act.task=[miniwiki]", "act.prompted=[]"]
    assert said("train", *tuned) == []
    [long] = said("train", *tuned, "max_length=3")
    assert long == "each of 1 trajectories exceeds max_length=3; raise it"
    [layers] = said("train", *tuned, "adapter.targets=[foo_proj]")
    assert layers.startswith("adapter.targets names foo_proj, which backbone tiny_random does not have")


def test_what_is_searched_and_where_it_is_journaled_is_looked_at(said, asked, tmp_path):
    (tmp_path / "c.jsonl").write_text('{"title": "A"}\n')
    [corpus] = said("evaluate", *asked, f"search.corpus={tmp_path}/c.jsonl")
    assert corpus.startswith(f"{tmp_path}/c.jsonl, line 1: expected a JSON object like")
    (tmp_path / "pool.jsonl").write_text("{bad")
    noise = ["search=noise_random", f"search.pool={tmp_path}/pool.jsonl", f"search.tool.corpus={tmp_path}/good.jsonl"]
    (tmp_path / "good.jsonl").write_text(json.dumps({"title": "Y", "text": "Y."}))
    [pool] = said("evaluate", *asked, *noise)
    assert pool.startswith(f"{tmp_path}/pool.jsonl, line 1 is not JSON")
    (tmp_path / "shards").mkdir()
    [shards] = said("evaluate", *asked, "search=wikipedia_bm25", f"search.path={tmp_path}/shards")
    assert shards.startswith(f"{tmp_path}/shards holds no shards")
    [journal] = said("evaluate", *asked, "method=cot", f"journal.path={tmp_path}")
    assert journal == f"the journal {tmp_path} can't be written there; choose another journal.path"


def test_ranks_and_names_of_nothing_are_refused_before_a_sweep(places, tiny):
    grid = [*places, *tiny, "act.task=[miniwiki]", "-m"]
    with pytest.raises(ConfigError, match="^trainer.devices=2 on the CPU needs process_per_cell=true in a sweep"):
        sweep.Tuning().check(cli.Sweep(None, places, "", composing.plan("train", [*grid, "trainer.devices=1,2"])))
    cells = composing.plan("train", [*grid, "act.overrides=['search=bm26: search.k=2']"])
    with pytest.raises(ConfigError, match="^act.overrides names search=bm26, which no evaluation of this sweep is"):
        check_names(cells)


def test_a_gpu_that_is_not_there_is_said_before_anything_begins(said, tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(device, "found", lambda: Device("cpu", "CPU", 2**40))
    wanted = "the trainer wants a GPU, and no CUDA device is found here; choose trainer=auto or cpu"
    assert said("train", *tiny, "trainer=gpu")[0] == wanted
    begun = tmp_path / "begun"
    begun.mkdir()
    (begun / "config.yaml").write_text("trainer: {accelerator: gpu, precision: bf16-mixed}\n")
    [sentence] = said("train", *tiny, f"run_dir={begun}")[:1]
    assert sentence.endswith("begun was begun on a GPU, and none is found here; go on where there is one, or choose "
                             "another run folder")
    monkeypatch.setattr(device, "found", lambda: Device("gpu", "A card", 2**40, 2))
    assert said("train", *tiny, "trainer=ddp", "trainer.devices=4")[0] == (
        "trainer.devices=4 is more than the 2 found here; lower it"
    )


def test_cells_that_run_on_other_machines_may_find_their_gpu_there(places, tiny, monkeypatch):
    monkeypatch.setattr(device, "found", lambda: Device("cpu", "CPU", 2**40))
    cells = [cli.compose("train", [*places, *tiny, "trainer=gpu", "act.prompted=[]"])]
    assert list(preflight.problems(jobs.jobs(cells, here=False))) == []


@pytest.mark.parametrize("gib, sentence, fatal", [
    (3, "backbone=llama2_7b: its weights take 3.9 GiB, and A card has 3.0; choose a smaller backbone, adapter=qlora or "
        "trainer=fsdp", True),
    (6, "tuning backbone=llama2_7b takes about 9.0 GiB, and A card has 6.0: it may run out of memory", False),
])  # fmt: skip
def test_memory_that_can_t_do_is_refused_and_memory_that_may_not_is_said(places, monkeypatch, gib, sentence, fatal):
    monkeypatch.setattr(device, "found", lambda: Device("gpu", "A card", gib * 2**30))
    monkeypatch.setattr(Shape, "of", lambda folder: LLAMA2_7B)
    cfg = cli.compose("train", [*places, "backbone=llama2_7b", "data=hotpotqa"])
    [problem] = preflight.problems([preflight.Job("cell", cfg, ON_THIS_MACHINE)])
    assert (problem.sentence, problem.fatal) == (sentence, fatal)


def test_every_cell_is_checked_and_the_first_concerned_is_named(places, tiny, tmp_path):
    grid = [*places, *tiny, "act.prompted=[]", "act.search=[bm25,serpapi]", "seed=0,1", "-m", "act.task=[miniwiki]"]
    cells = composing.plan("train", grid)
    with pytest.raises(ConfigError) as refused:
        preflight.refuse(jobs.jobs(cells))
    folder = f"{cells[0].run_dir}/acting/fireact-miniwiki-serpapi-n3"
    key = "SERPAPI_API_KEY is not set; put your SerpApi key into that environment variable"
    assert str(refused.value) == f"{folder}: {key} (nothing was run)"


def test_what_is_finished_needs_nothing(said, places, tmp_path):
    cfg = cli.compose("evaluate", [*places, "backbone=llama2_7b"])
    (tmp_path / "runs" / "evaluate").mkdir(parents=True)
    folder = tmp_path / "runs" / "evaluate" / cfg.run_dir.rpartition("/")[2]
    folder.mkdir()
    (folder / "metrics.json").write_text("{}")
    assert said("evaluate", "backbone=llama2_7b") == []


def test_one_case_is_looked_at_once(places, tiny, monkeypatch):
    looked = []
    check = preflight.Check(lambda cfg: looked.append(cfg.seed), ("task",))
    cells = [cli.compose("evaluate", [*places, *tiny, f"seed={seed}"]) for seed in (0, 1)]
    assert list(preflight.problems(preflight.Job(cfg.run_dir, cfg, (check,)) for cfg in cells)) == []
    assert looked == [0]

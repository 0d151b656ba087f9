"""What ``auto`` stands for, and that it stands for the same when a run goes on elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from fireact import cli
from fireact.cli import choosing
from fireact.errors import ConfigError
from fireact.models import device
from fireact.models.device import Device
from fireact.models.shape import LLAMA2_7B
from fireact.runs import run_folders
from fireact.runs.result_keys import result_keys
from fireact.trajectories.storage.writing import append_line

CPU = Device("cpu", "CPU", 24 * 2**30)
PAPERS = ["backbone=llama2_7b", "data=hotpotqa"]


def card(gib: int) -> Device:
    return Device("gpu", "A card", gib * 2**30)


@pytest.fixture
def on(monkeypatch):
    """Composes ``train.py`` on a machine with this device, where everything can be compiled."""

    def compose(here: Device, *overrides: str):
        monkeypatch.setattr(device, "found", lambda: here)
        monkeypatch.setattr(choosing, "can_compile", lambda: True)
        return cli.compose("train", overrides)

    return compose


def choices(cfg):
    return (cfg.trainer.accelerator, cfg.trainer.precision, cfg.packing, cfg.micro_batch_tokens, cfg.optim.compile)


def test_without_a_gpu_it_is_what_trainer_cpu_always_was(on):
    auto, cpu = (cli.resolved(on(CPU, *overrides)) for overrides in ([], ["trainer=cpu"]))
    assert choices(on(CPU)) == ("cpu", "32-true", False, 1024, False)
    assert yaml.safe_dump(auto["trainer"]) == yaml.safe_dump(cpu["trainer"])
    assert result_keys(auto) == result_keys(cpu)


def test_the_hash_of_a_plain_command_is_still_the_first_edition_s(on, tmp_path):
    run = run_folders.open(tmp_path / "run", cli.resolved(on(CPU)))
    assert run.config_hash == "9b0a758b78ab2ba258f85322757b6c87d5b35f654ea9e5f2bdb1f67d9557c817"


@pytest.mark.parametrize("gib, adapter, tokens", [
    (80, "qlora", 4096), (80, "lora", 4096), (24, "lora", 1024), (24, "qlora", 2048), (16, "qlora", 2048),
    (12, "qlora", 1024), (80, "full", 1024),
])  # fmt: skip
def test_packs_are_as_long_as_the_card_s_memory_allows(on, gib, adapter, tokens):
    cfg = on(card(gib), *PAPERS, f"adapter={adapter}")
    assert choices(cfg)[:4] == ("gpu", "bf16-mixed", True, tokens)


@pytest.mark.parametrize("overrides, compiled", [
    (PAPERS, True),
    ([*PAPERS, "size=n100"], False),
    ([*PAPERS, "optim.max_steps=300"], False),
    ([*PAPERS, "optim.max_steps=2000"], True),
    ([*PAPERS, "trainer=ddp"], True),
    ([*PAPERS, "trainer=fsdp"], False),
    ([*PAPERS, "trainer=cpu"], False),
    ([], False),
])  # fmt: skip
def test_a_long_run_is_compiled(on, overrides, compiled):
    assert on(card(80), *overrides).optim.compile is compiled


def test_nothing_is_compiled_where_the_compiler_has_not_what_it_needs(on, monkeypatch):
    on(card(80))
    monkeypatch.setattr(choosing, "can_compile", lambda: False)
    assert cli.compose("train", PAPERS).optim.compile is False


def test_what_is_said_wins(on):
    said = ["packing=false", "micro_batch_tokens=512", "optim.compile=true", "trainer=cpu"]
    assert choices(on(card(80), *PAPERS, *said)) == ("cpu", "32-true", False, 512, True)
    assert choices(on(CPU, "packing=true", "trainer=gpu"))[:4] == ("gpu", "bf16-mixed", True, 1024)


def test_a_model_with_code_of_its_own_is_not_packed(on):
    assert on(card(80), *PAPERS, "backbone.trust_remote_code=true").packing is False


def test_a_model_whose_shape_is_known_is_measured_by_it(on, tiny_folder):
    tiny = ["backbone=tiny_random", f"backbone.path={tiny_folder}", "optim.max_steps=100000"]
    assert (on(card(1), *tiny).micro_batch_tokens, on(card(1), *tiny).optim.compile) == (4096, False)
    assert LLAMA2_7B.parameters * 100_000 * 2 * 250 > 2e16  # which a 7B model of as many steps would pass


@pytest.mark.parametrize("first, then", [(CPU, card(80)), (card(80), CPU), (card(80), card(16))])
def test_a_run_goes_on_as_it_was_begun(on, tmp_path, first, then):
    place = f"run_dir={tmp_path}/run"
    begun = on(first, *PAPERS, place)
    append_line(run_folders.open(begun.run_dir, cli.resolved(begun)).folder / "predictions.jsonl", {})
    again = on(then, *PAPERS, place)
    assert choices(again) == choices(begun)
    assert run_folders.open(again.run_dir, cli.resolved(again)).state is run_folders.State.RESUMING


@pytest.mark.parametrize("content", ["", "[1", "a text", "packing: [x"])
def test_a_folder_that_holds_another_config_file_says_nothing(on, tmp_path, content):
    Path(tmp_path, "config.yaml").write_text(content)
    assert choices(on(CPU, f"run_dir={tmp_path}"))[0] == "cpu"


@pytest.mark.parametrize("override", ["micro_batch_tokens=0", "micro_batch_tokens=x", "micro_batch_tokens=1.5",
                                      "packing=3"])
def test_another_kind_of_value_is_refused(on, override):
    with pytest.raises(ConfigError, match=override):
        on(CPU, override)

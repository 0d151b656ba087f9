"""Notices of transformers that are silenced by their words: they are still said, or there is nothing to silence."""

from __future__ import annotations

import logging
import shutil
import warnings

from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM


def test_the_report_of_weights_that_are_left_over_is_silenced(tiny, tmp_path, caplog):
    said = []

    def heard(record):
        said.append(record.getMessage())
        return True

    shutil.copytree(tiny.path, tmp_path / "model")
    weights = tmp_path / "model" / "model.safetensors"
    save_file({**load_file(weights), "left.over": load_file(weights)["model.norm.weight"].clone()}, weights)
    logger = logging.getLogger("transformers.modeling_utils")
    logger.filters.insert(0, heard)
    try:
        AutoModelForCausalLM.from_pretrained(tmp_path / "model")
    finally:
        logger.filters.remove(heard)
    assert [line for line in said if "LOAD REPORT" in line] != []
    assert [line for line in caplog.messages if "LOAD REPORT" in line] == []


def test_peft_still_asks_for_what_transformers_warns_of(tiny):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        get_peft_model(tiny.model(), LoraConfig(target_modules=["q_proj"]))
    assert any(str(each.message).startswith("`is_gradient_checkpointing` is deprecated") for each in caught)

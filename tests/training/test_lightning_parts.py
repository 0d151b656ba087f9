"""What we rely on in Lightning and transformers that neither promises; docs/architecture.md lists all of it."""

from __future__ import annotations

import functools

import lightning
import pytest
import torch
from transformers.modeling_layers import GradientCheckpointingLayer

from tests.training.tiny_runs import TRAINER

QUIET = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False}


class OneStep(lightning.LightningModule):
    """One weight; ``act`` is called within its only step."""

    def __init__(self, act):
        super().__init__()
        self.automatic_optimization = False
        self.weight, self.act = torch.nn.Parameter(torch.zeros(1)), act

    def training_step(self, batch, batch_idx):
        self.act(self)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=1.0)


def fit(act, **options):
    trainer = functools.partial(TRAINER, max_epochs=1, **QUIET)(**options)
    trainer.fit(OneStep(act), torch.utils.data.DataLoader([torch.zeros(1)]))


def gradients_stay_here(tuner):
    """Inside of no_sync, a wrapped module sends no gradient; its own flag says so."""
    wrapper = tuner.trainer.strategy.model
    with wrapper.no_sync():
        assert not wrapper.require_backward_grad_sync
    assert wrapper.require_backward_grad_sync


def test_a_strategy_that_shares_gradients_lets_them_wait():
    fit(gradients_stay_here, strategy="ddp_fork")


def test_ctrl_c_in_a_fit_ends_the_process_and_says_why():
    def interrupt(tuner):
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as stop:
        fit(interrupt)
    assert isinstance(stop.value.__context__, KeyboardInterrupt)


def test_the_layers_of_a_model_are_known_by_their_class(tiny):
    layers = [module for module in tiny.model().modules() if isinstance(module, GradientCheckpointingLayer)]
    assert [layer.self_attn.layer_idx for layer in layers] == [0, 1]

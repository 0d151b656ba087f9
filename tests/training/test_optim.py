from __future__ import annotations

import logging

import pytest

from fireact.errors import ConfigError
from fireact.training.optim import Optim


def rates(total: int, **options) -> list[float]:
    optim = Optim(lr=1.0, **options)
    return [optim.rate(step, total) for step in range(total)]


def test_linear_schedule_after_warm_up():
    assert rates(6, warmup_steps=2) == pytest.approx([1 / 3, 2 / 3, 1, 3 / 4, 2 / 4, 1 / 4])


def test_cosine_schedule():
    assert rates(4, schedule="cosine") == pytest.approx([1, 0.5 + 0.5**1.5, 0.5, 0.5 - 0.5**1.5])


def test_constant_schedule():
    assert rates(3, schedule="constant", warmup_steps=1) == [0.5, 1, 1]


def test_a_warm_up_longer_than_the_run_is_said(caplog):
    with caplog.at_level(logging.WARNING):
        assert Optim(lr=1.0, epochs=30, warmup_steps=100).total_steps(steps_per_epoch=1) == 30
    assert "warm-up of 100 steps is as long as the whole run of 30" in caplog.text


def test_max_steps_override_epochs():
    assert Optim(lr=1.0, epochs=30, max_steps=7).total_steps(steps_per_epoch=5) == 7


@pytest.mark.parametrize(
    "wrong", [{"schedule": "exp"}, {"lr": 0.0}, {"epochs": 0}, {"max_steps": 0}, {"clip_norm": -1}]
)
def test_senseless_values_are_refused(wrong):
    with pytest.raises(ConfigError, match=f"optim.{next(iter(wrong))}="):
        Optim(**{"lr": 1.0, **wrong})

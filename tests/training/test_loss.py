from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from fireact.training.loss import summed_cross_entropy


@pytest.mark.parametrize("rows", [0, 1, 16, 37])
def test_loss_and_gradient_are_those_of_autograd(rows):
    torch.manual_seed(0)
    hidden, weight = torch.randn(rows, 8, dtype=torch.float64), torch.randn(50, 8, dtype=torch.float64)
    hidden.requires_grad_(), weight.requires_grad_()
    labels = torch.randint(50, (rows,))
    expected = F.cross_entropy(F.linear(hidden, weight), labels, reduction="sum")
    gradients = torch.autograd.grad(expected / 7, (hidden, weight))
    loss = summed_cross_entropy(F.linear(hidden, weight), labels)
    torch.testing.assert_close(loss, expected, rtol=1e-14, atol=0)
    torch.testing.assert_close(torch.autograd.grad(loss / 7, (hidden, weight)), gradients, rtol=1e-12, atol=1e-14)


def test_a_hopeless_label_costs_what_its_logit_says():
    logits = torch.tensor([[0.0, -1000.0]])  # its probability is 0 in floating point
    assert summed_cross_entropy(logits, torch.tensor([1])) == 1000.0


def test_logits_become_their_gradient():
    logits = torch.zeros(1, 4, requires_grad=True).clone()
    summed_cross_entropy(logits, torch.tensor([2]))
    assert logits.tolist() == [[0.25, 0.25, -0.75, 0.25]]

"""The LightningModule: the exact loss over an optimizer step, and the step itself.

To Lightning a batch is a whole optimizer step, a list of micro-batches: so its step counts, checkpoints and stops all
mean optimizer steps, and how a step is cut to bound memory shows nowhere else.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass
from typing import Any

import lightning
import torch
import torch.distributed
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor
from transformers.modeling_layers import GradientCheckpointingLayer

from fireact.errors import ModelError
from fireact.models.weights import trainable_parameters
from fireact.training.attention import attend_by_trajectory, packed_mask
from fireact.training.batches import MicroBatch
from fireact.training.loss import summed_cross_entropy
from fireact.training.low_rank import fuse_low_rank
from fireact.training.optim import Optim
from fireact.training.rng import rng_state, set_rng_state


@dataclass
class Totals:
    """What a run has gone through, over all ranks and resumptions; the ``epoch_`` ones restart with every epoch."""

    tokens: int = 0
    targets: int = 0
    seconds: float = 0.0
    epoch_loss: float = 0.0
    epoch_targets: int = 0
    val_loss: float | None = None


def summed_loss(model: nn.Module, batch: MicroBatch, at_labels: bool = True) -> Tensor:
    """The cross-entropies of ``batch``'s labels, summed in float32 or better; a scalar.

    The output embedding sees only the positions before a label, which are few and most of whose cost it is. Nothing
    here waits for a GPU: its host goes on to the next micro-batch. With ``at_labels=False`` it is the model's own
    mean over its labels, times how many they are.
    """
    mask = batch.attention_mask if batch.bounds is None else packed_mask(model, batch.bounds)
    inputs = dict(input_ids=batch.input_ids, attention_mask=mask, position_ids=batch.position_ids, use_cache=False)
    if not at_labels:
        return _own_loss(model, batch, inputs)
    with _logits_at(batch.before_labels, model):
        logits = model(**inputs).logits
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    return summed_cross_entropy(logits, batch.labels.flatten()[batch.before_labels + 1])


def _own_loss(model: nn.Module, batch: MicroBatch, inputs: dict[str, Any]) -> Tensor:
    count = len(batch.before_labels)
    loss: Tensor = model(**inputs, labels=batch.labels).loss * count if count else model(**inputs).logits.sum() * 0
    return loss


def real_tokens(batch: MicroBatch) -> Tensor:
    """How many tokens of ``batch`` are not padding, a scalar; 0 where it only keeps a rank in step with the others."""
    mask = torch.ones_like(batch.input_ids) if batch.attention_mask is None else batch.attention_mask
    return mask.sum() * (len(batch.before_labels) > 0)


@contextmanager
def _logits_at(positions: Tensor, model: nn.Module) -> Iterator[None]:
    """Make ``model`` give logits (N, V) at N ``positions`` of the flattened (B, T) batch instead of (B, T, V).

    A hook on the output embedding leaves all that the architecture does to its logits (soft-capping, scaling) as it is.
    """
    head = model.get_output_embeddings()
    hook = head.register_forward_pre_hook(lambda _, inputs: (inputs[0].flatten(0, 1)[positions],))
    try:
        yield
    finally:
        hook.remove()


def _layers(model: nn.Module) -> list[nn.Module]:
    return [module for module in model.modules() if isinstance(module, GradientCheckpointingLayer)]


class Tuner(lightning.LightningModule):
    """Trains whatever of ``model`` requires gradients.

    Args:
        model: a causal language model as ``Adapter.apply`` returns it.
        optim: rates and limits.
        total_steps: optimizer steps of the whole run, for the schedule.
        at_labels: as ``summed_loss`` takes it.
    """

    def __init__(self, model: nn.Module, optim: Optim, total_steps: int, at_labels: bool = True) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.strict_loading = False  # checkpoints hold the trainable weights only
        self.model, self.optim, self.total_steps, self.at_labels = model, optim, total_steps, at_labels
        self.totals = Totals()
        self.metrics: dict[str, float] = {}  # of the last step
        self._rng: dict[str, Any] | None = None
        self._last_step_end = 0.0
        self._validation = torch.zeros(2, dtype=torch.float64)
        attend_by_trajectory(model)
        fuse_low_rank(model)
        if optim.gradient_checkpointing:
            model.gradient_checkpointing_enable({"use_reentrant": False})
        if optim.compile:
            for layer in _layers(model):
                layer.compile(dynamic=True)  # packs differ in length

    def configure_model(self) -> None:
        """Shard the model layer by layer where the strategy asks for it (trainer=fsdp); PyTorch's FSDP2."""
        if self.device_mesh is None or isinstance(self.model, FSDPModule):
            return
        for module in (*_layers(self.model), self.model):
            # by default the root stays whole after a forward pass, and checkpoints would not know its weights
            fully_shard(module, reshard_after_forward=True)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW over the trainable parameters."""
        parameters = trainable_parameters(self.model)
        return torch.optim.AdamW(parameters, lr=self.optim.lr, weight_decay=self.optim.weight_decay, fused=True)

    def on_train_start(self) -> None:
        self.model.train()  # pretrained models come in evaluation mode, which would switch dropout off
        if self._rng is None and self.global_rank:
            torch.manual_seed(torch.initial_seed() + self.global_rank)  # no two ranks drop out the same units
        self._last_step_end = time.perf_counter()

    def on_train_batch_start(self, batch: list[MicroBatch], batch_idx: int) -> None:
        if batch_idx == 0:
            self.totals.epoch_loss, self.totals.epoch_targets = 0.0, 0
        # Steps draw from a stream of their own, so that nothing between two of them (validation, loaders, a stop and
        # a resumption) can shift it.
        if self._rng is not None:
            set_rng_state(self._rng)

    def training_step(self, batch: list[MicroBatch], batch_idx: int) -> None:
        """One optimizer step over its micro-batches.

        Raises:
            ModelError: the loss or its gradient is not finite; the weights are still those of the step before.
        """
        optimizer: Any = self.optimizers()
        optimizer.zero_grad()
        loss = torch.zeros((), dtype=torch.float64, device=self.device)
        for micro in batch:
            with nullcontext() if micro.last_of_step else self._no_sync():
                part = summed_loss(self.model, micro, self.at_labels) / micro.step_targets
                # gradients are averaged over ranks, but step_targets already counts all of theirs
                self.manual_backward(part * self.trainer.world_size)
            loss += part.detach()
        norm = self._clip_gradients(optimizer)
        self.metrics = self._measure(loss, norm, batch)
        for group in optimizer.param_groups:
            group["lr"] = self.metrics["lr"]
        optimizer.step()
        self.log_step(self.metrics)
        self._rng = rng_state()
        if self.global_step >= self.total_steps:
            self.trainer.should_stop = True  # so that Lightning validates first, even in the midst of an epoch

    def on_validation_epoch_start(self) -> None:
        self._validation.zero_()

    def validation_step(self, batch: list[MicroBatch], batch_idx: int) -> None:
        """Adds to the validation loss, the mean over target tokens."""
        for micro in batch:
            self._validation[0] += summed_loss(self.model, micro, self.at_labels).double().cpu()
        self._validation[1] = batch[0].step_targets

    def on_validation_epoch_end(self) -> None:
        loss = self._sum_over_ranks(self._validation[:1])[0] / self._validation[1]
        self.totals.val_loss = float(loss)
        self.log("val_loss", loss.float(), logger=False)  # for early stopping
        self.log_step({"val_loss": float(loss)})
        self._last_step_end = time.perf_counter()

    def log_step(self, metrics: Mapping[str, float]) -> None:
        """Send ``metrics`` to every logger under the number of optimizer steps done."""
        for logger in self.loggers:
            logger.log_metrics(dict(metrics), step=self.global_step)

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """The trainable weights; the frozen base is the backbone's to keep."""
        return {name: parameter.detach() for name, parameter in self.named_parameters() if parameter.requires_grad}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["totals"] = asdict(self.totals)
        checkpoint["rng"] = self._over_ranks(self._rng)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.totals = Totals(**checkpoint["totals"])
        states = checkpoint["rng"]
        self._rng = states[self.global_rank % len(states)]

    def _clip_gradients(self, optimizer: Any) -> Tensor:
        limit = float("inf") if self.optim.clip_norm is None else self.optim.clip_norm
        norm = nn.utils.clip_grad_norm_(optimizer.param_groups[0]["params"], limit)
        return norm.full_tensor() if isinstance(norm, DTensor) else norm

    def _measure(self, loss: Tensor, norm: Tensor, batch: list[MicroBatch]) -> dict[str, float]:
        """The step's metrics, over all ranks; brings the totals up to date."""
        here = torch.stack([loss, torch.stack([real_tokens(micro) for micro in batch]).sum().double()])
        step_loss, tokens = self._sum_over_ranks(here).tolist()
        if not math.isfinite(step_loss + float(norm)):
            raise ModelError(
                f"the loss is {step_loss:g} and its gradient {norm:g} at optimizer step {self.global_step + 1}; "
                f"lower optim.lr={self.optim.lr:g} or lengthen optim.warmup_steps"
            )
        return self._count(step_loss, int(tokens), batch[0].step_targets) | {
            "lr": self.optim.rate(self.global_step, self.total_steps), "grad_norm": float(norm)
        }

    def _count(self, loss: float, tokens: int, targets: int) -> dict[str, float]:
        now = time.perf_counter()
        seconds, self._last_step_end = now - self._last_step_end, now
        self.totals.tokens += tokens
        self.totals.targets += targets
        self.totals.seconds += seconds
        self.totals.epoch_loss += loss * targets
        self.totals.epoch_targets += targets
        return {"loss": loss, "epoch": self.current_epoch, "tokens_per_s": tokens / seconds}

    def _no_sync(self) -> AbstractContextManager[None]:
        """Keep the gradients of a micro-batch on this rank, where the strategy wraps the model to share them."""
        wrapper = self.trainer.strategy.model
        return wrapper.no_sync() if hasattr(wrapper, "no_sync") else nullcontext()

    def _sum_over_ranks(self, values: Tensor) -> Tensor:
        return self.trainer.strategy.reduce(values.to(self.device), reduce_op="sum")

    def _over_ranks(self, value: Any) -> list[Any]:
        values = [value] * self.trainer.world_size
        if self.trainer.world_size > 1:
            torch.distributed.all_gather_object(values, value)
        return values

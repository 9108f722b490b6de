"""The training loop: one optimiser step after another, logged, checkpointed, resumable to the bit."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from stereodistill.engine.batch_norm import measure_norms
from stereodistill.engine.batches import Batches, iterate
from stereodistill.engine.checkpoint import (
    Ema,
    load_checkpoint,
    newest,
    pack_optimizer,
    save_checkpoint,
    unpack_optimizer,
)
from stereodistill.engine.log import TrainLog
from stereodistill.engine.optimizer import learning_rate, make_optimizer
from stereodistill.engine.rates import RATIO
from stereodistill.engine.reach import freeze_unreached
from stereodistill.engine.recipe import Recipe
from stereodistill.errors import UserError
from stereodistill.models.layers import channels_last
from stereodistill.types import Loss, StereoPair

Objective = Callable[[nn.Module, StereoPair], Loss]
Validate = Callable[[nn.Module], dict[str, float]]


@dataclass
class Clock:
    """Where the time of the steps since the last log line went, in seconds."""

    wait_s: float = 0.0
    compute_s: float = 0.0
    total_s: float = 0.0
    began: float = field(default_factory=time.perf_counter)


@dataclass
class Loop:
    """One stage of training.  `run` goes from the last checkpoint (if any) to the last step."""

    recipe: Recipe
    model: nn.Module
    batches: Batches
    objective: Objective
    num_steps: int
    out: Path
    accelerator: Accelerator
    validate: Validate | None = None
    on_step: Callable[[int, int, float], None] = lambda step, num_steps, loss: None
    frozen: Sequence[nn.Parameter] = ()
    """Parameters that the first `frozen_steps` steps leave as they are."""
    frozen_steps: int = 0

    def __post_init__(self) -> None:
        self.network = channels_last(self.model.to(self.accelerator.device))
        self._train_mode()
        freeze_unreached(self.network, self.objective)
        optimizer = make_optimizer(self.recipe.optimizer, self.network)
        self.ema = Ema(self.network, self.recipe.loop.ema_decay) if self.recipe.loop.ema_decay else None
        self.step, self.elapsed_s, self.last_saved = 0, 0.0, time.monotonic()
        self.model, self.optimizer = self.accelerator.prepare(self.network, optimizer)
        self.log = TrainLog(self.out, self.recipe.loop.tensorboard and self.accelerator.is_main_process)

    def run(self, resume: bool = False) -> None:
        """Train to the end; Ctrl-C saves a checkpoint and passes on."""
        if resume:
            self._restore()
        accumulate = self.recipe.loop.accumulate
        stream = iterate(self.batches, self.step * accumulate, self.num_steps * accumulate, self.recipe.loop.workers)
        self._train_mode()
        self.clock = Clock()
        try:
            while self.step < self.num_steps:
                self._one_step(stream)
        except KeyboardInterrupt:
            self.save()
            raise
        self.save()

    def finished(self) -> nn.Module:
        """The network to save after `run`: averaged weights, and norms measured with them where the recipe says so."""
        network, loop = self.averaged(), self.recipe.loop
        if loop.measure_norms:
            start = self.num_steps * loop.accumulate
            stream = iterate(self.batches, start, start + loop.measure_norms, loop.workers)
            measure_norms(network, stream, self._look_at)
        return network

    def averaged(self) -> nn.Module:
        """The network with its averaged weights (or its own, without EMA)."""
        if self.ema:
            self.network.load_state_dict(self.ema.shadow)
        return self.network

    def save(self) -> None:
        """Write a checkpoint now (main process only; the other processes hold the same state)."""
        self.last_saved = time.monotonic()
        self._refuse_diverged()
        if not self.accelerator.is_main_process:
            return
        tensors = {f"model/{k}": v for k, v in self.network.state_dict().items()}
        if self.ema:
            tensors |= {f"ema/{k}": v for k, v in self.ema.shadow.items()}
        tensors |= pack_optimizer(self.optimizer) | {"rng": torch.get_rng_state()}
        info = {"recipe": self.recipe.hash, "num_steps": self.num_steps, "elapsed_s": self.elapsed_s}
        info |= {"precision": "bf16" if self.accelerator.mixed_precision == "bf16" else "f32"}
        save_checkpoint(self.out / "checkpoints", self.step, tensors, info)

    def _refuse_diverged(self) -> None:
        """A step that ruined the weights is not saved: the checkpoints before it are what the run can go back to."""
        for name, tensor in self.network.state_dict().items():
            if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
                raise self._bad_number(f"the weight {name}", None)

    def _train_mode(self) -> None:
        self.network.train()
        if self.recipe.loop.freeze_norms:
            for module in self.network.modules():
                if isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d):
                    module.eval()

    def _look_at(self, batch: StereoPair) -> None:
        self.objective(self.network, batch.to(self.accelerator.device))

    def _one_step(self, stream) -> None:
        started = time.perf_counter()
        rate = learning_rate(self.recipe.optimizer, self.step, self.num_steps)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group[RATIO]
        terms: dict[str, Tensor] = {}
        for _ in range(self.recipe.loop.accumulate):
            self._accumulate(stream, terms)
        for parameter in self.frozen if self.step < self.frozen_steps else ():
            parameter.grad = None
        spec = self.recipe.optimizer
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), spec.clip_norm or float("inf"))
        if not torch.isfinite(norm):
            raise self._bad_number("the gradient", None)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        if self.ema:
            self.ema.update(self.network, self.step)
        self.step += 1
        self.clock.total_s += time.perf_counter() - started
        self.elapsed_s += time.perf_counter() - started
        self._after_step(terms, rate)

    def _accumulate(self, stream, terms: dict[str, Tensor]) -> None:
        """Forward and backward of one micro-batch; adds its share of each loss term to `terms`."""
        began = time.perf_counter()
        batch = next(stream).to(self.accelerator.device)
        self.clock.wait_s += time.perf_counter() - began
        began = time.perf_counter()
        loss = self.objective(self.model, batch)
        total = loss.total
        if not torch.isfinite(total):
            raise self._bad_number("the loss", batch)
        self.accelerator.backward(total / self.recipe.loop.accumulate)
        for name, value in loss.terms.items():
            terms[name] = terms.get(name, 0) + value.detach().float() / self.recipe.loop.accumulate
        self.clock.compute_s += time.perf_counter() - began

    def _after_step(self, terms: dict[str, Tensor], rate: float) -> None:
        loop = self.recipe.loop
        last = self.step == self.num_steps
        if self.step % loop.log_every == 0 or last or self.step == 1:
            self._write_log(terms, rate)
        if self.validate and (last or (loop.validate_every and self.step % loop.validate_every == 0)):
            self._validate()
        if time.monotonic() - self.last_saved >= loop.checkpoint_every_s and not last:
            self.save()

    def _write_log(self, terms: dict[str, Tensor], rate: float) -> None:
        values = {name: self._over_processes(value) for name, value in terms.items()}
        record: dict[str, Any] = {"step": self.step, "loss": sum(values.values()), "terms": values, "lr": rate}
        record |= {"elapsed_s": self.elapsed_s, "wait_s": self.clock.wait_s, "compute_s": self.clock.compute_s}
        record["step_s"] = self.clock.total_s
        self.clock = Clock()
        self.on_step(self.step, self.num_steps, record["loss"])
        if self.accelerator.is_main_process:
            self.log.write(record)

    def _over_processes(self, value: Tensor) -> float:
        mean = self.accelerator.reduce(value, "mean")
        assert isinstance(mean, Tensor)
        return float(mean)

    def _validate(self) -> None:
        own = {k: v.clone() for k, v in self.network.state_dict().items()}
        network = self.averaged().eval()
        assert self.validate is not None
        with torch.no_grad():
            values = self.validate(network)
        self.network.load_state_dict(own)
        self._train_mode()
        if self.accelerator.is_main_process:
            self.log.write({"step": self.step, "validation": values, "elapsed_s": self.elapsed_s})

    def _restore(self) -> None:
        found = load_checkpoint(self.out / "checkpoints")
        if found is None:
            self.log.rewind(0)
            return
        tensors, info = found
        if info.get("recipe") != self.recipe.hash:
            raise UserError(
                f"{self.out} holds a run of another recipe: resume with the recipe it was started with, "
                "or choose another --out"
            )
        try:
            self._take(tensors, info)
        except (LookupError, RuntimeError, TypeError, ValueError) as error:
            first = str(error).strip().splitlines()[0]
            raise UserError(
                f"{self.out / 'checkpoints'}: not a checkpoint of this network ({first}); choose another --out"
            ) from None
        self.log.rewind(self.step)

    def _take(self, tensors: dict[str, Tensor], info: dict[str, Any]) -> None:
        """Put a checkpoint's state in place of this one's."""
        self.network.load_state_dict({k[6:]: v for k, v in tensors.items() if k.startswith("model/")})
        if self.ema:
            self.ema.load({k[4:]: v for k, v in tensors.items() if k.startswith("ema/")})
        unpack_optimizer(self.optimizer, tensors)
        torch.set_rng_state(tensors["rng"])
        self.step, self.elapsed_s = info["step"], float(info["elapsed_s"])

    def _bad_number(self, what: str, batch: StereoPair | None) -> UserError:
        names = f" on {', '.join(batch.name)}" if batch else ""
        saved = newest(self.out / "checkpoints")
        kept = f"the newest checkpoint is of step {saved[0]}: {saved[1]}" if saved else "no checkpoint was saved"
        return UserError(
            f"{what} is not a finite number at step {self.step}{names}: look at these samples (`check`), lower "
            f"optimizer.lr or use loop.precision=f32; {kept}"
        )

"""The training loop: stages, steps, saved states."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import set_seed

from psalm.checkpoint import save_model
from psalm.data.mixture import Mixture, Samples
from psalm.errors import PSALMError
from psalm.files import write_text
from psalm.training.collate import Collator
from psalm.training.config import Lesson, StageConfig, TrainConfig
from psalm.training.describing import Describer
from psalm.training.dividing import check_dividing
from psalm.training.lora import merge_lora
from psalm.training.optimisation import WeightAverage
from psalm.training.progress import LiveProgress, RunLog
from psalm.training.sharing import any_process, from_first, make_accelerator
from psalm.training.sources import build_model, open_mixtures
from psalm.training.stage_loop import StageLoop, prepare_model
from psalm.training.state import RunState
from psalm.training.stream import StageBatches, read_steps
from psalm.training.talk import TalkCollator
from psalm.training.validation import Look, Validator

_MOST_SKIPPED = 20


class _InterruptedError(Exception):
    """Somebody asked for the end while images were described."""


@dataclass(frozen=True)
class TrainResult:
    """How a run ended.

    Parameters
    ----------
    folder : Path
        Of the run; the model is in ``model``.
    finished : bool
        False when it was interrupted; the same command goes on.
    stage, step : int
        The next step, both from 0.
    figures : dict
        Latest validation figures.
    """

    folder: Path
    finished: bool
    stage: int
    step: int
    figures: dict[str, float] = field(default_factory=dict)


def train(
    config: TrainConfig | Path | str,
    resume: bool = True,
    progress: bool = True,
    stop_after: int | None = None,
    max_seconds: float | None = None,
) -> TrainResult:
    """Train a model as a config says.

    Ctrl-C or SIGTERM ends the run after the current step, or described image, and saves its state; a second call goes
    on exactly there.

    Parameters
    ----------
    config : TrainConfig or path
        A YAML file, or what was read from it.
    resume : bool
        Go on with the run in the output folder, where there is one; False starts afresh.
    progress : bool
        Show progress on the terminal.
    stop_after : int, optional
        Stop, as if interrupted, after so many steps of this call.
    max_seconds : float, optional
        Stop, as if interrupted, so many seconds after this call began, after the step or described image at hand.

    Raises
    ------
    ConfigError
        When the config is not valid, or the output folder holds another run.
    """
    settings = config if isinstance(config, TrainConfig) else TrainConfig.from_file(config)
    if settings.threads:
        torch.set_num_threads(settings.threads)
    with LiveProgress(progress) as live, _interruption(max_seconds) as interrupted:
        return Trainer(settings, live, resume).run(interrupted, stop_after)


class Trainer:
    """One run: the model, its data and where it is.

    Parameters
    ----------
    config : TrainConfig
    live : LiveProgress
    resume : bool
    """

    def __init__(self, config: TrainConfig, live: LiveProgress, resume: bool = True) -> None:
        self.config = config
        self.live = live
        self.folder = Path(config.output)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.state_path = self.folder / "state.pt"
        state = RunState.load(self.state_path) if resume and self.state_path.exists() else None
        if state:
            state.check(config)
        self.accelerator = make_accelerator(config)
        check_dividing(self.accelerator, config)
        self.first = self.accelerator.is_main_process
        set_seed(config.seed)
        self.model, self.tokenizer = build_model(config.model)
        if state:
            if state.optimiser and state.stage < len(config.stages):
                prepare_model(self.model, config.stages[state.stage])  # the state may hold additions of low rank
            state.complete(self.model)
            self.model.load_state_dict(state.model)
        self.model.to(self.accelerator.device)
        self.average = WeightAverage(self.model, config.ema) if config.ema else None
        if state and state.average and self.average:
            self.average.load_state_dict(state.average)
        self.state = state or RunState(config.to_dict(), 0, 0, {})
        self.log = RunLog(self.folder, self.state.stage, self.state.step, config.tensorboard) if self.first else None
        if self.first:
            write_text(self.folder / "config.json", json.dumps(config.to_dict(), indent=2))
        self.collator = Collator(self.tokenizer, self.model.config)
        self.talk = TalkCollator(self.tokenizer, self.model.config)
        self.validator = Validator(config.validation, self.collator, config.temper) if config.validation.data else None

    def run(self, interrupted: threading.Event, stop_after: int | None = None) -> TrainResult:
        """Take the steps that are left, save the model, and say how it ended."""
        left = stop_after
        while self.state.stage < len(self.config.stages):
            taken, ended = self._stage(self.config.stages[self.state.stage], interrupted, left)
            left = None if left is None else left - taken
            if not ended:
                return self._result(finished=False)
            if self.average:
                self.average.keep()
            if self.state.best:
                self.model.load_state_dict(self.state.best["model"])
                self.state.figures = self.state.best["figures"]
            merge_lora(self.model.language_model)
            self.state.stage, self.state.step, self.state.optimiser = self.state.stage + 1, 0, None
            self.state.best, self.state.begun = None, None
            self._save()
        self._finish()
        self.accelerator.wait_for_everyone()
        return self._result(finished=True)

    def _stage(self, stage: StageConfig, interrupted: threading.Event, most: int | None) -> tuple[int, bool]:
        """Run a stage from the state's step; returns steps taken and whether the stage is complete."""
        self._begin(stage)
        # Stages draw different samples though each counts its steps from 0.
        seed = self.config.seed * 1_000_003 + self.state.stage * 10_007
        folder = Path(self.config.cache_dir or self.folder / "features")
        loop = StageLoop(self.model, stage, seed, self.accelerator, folder, self.average, self.state.begun)
        if self.state.optimiser:
            loop.load_optimiser(self.state.optimiser)
        try:
            mixtures = self._mixtures(stage, folder, interrupted)
        except _InterruptedError:
            return 0, False
        batches = StageBatches(mixtures, self.collator, stage, seed, self.talk)
        taken, ended = self._steps(loop, batches, interrupted, most)
        if ended:
            self.model = loop.release()
        return taken, ended

    def _begin(self, stage: StageConfig) -> None:
        """Keep the weights that a stage begins with, where it looks back at them."""
        if stage.looks_back and self.state.begun is None:
            weights = self.model.state_dict()
            self.state.begun = {name: value.detach().cpu().clone() for name, value in weights.items()}

    @torch.no_grad()
    def _go_back(self, stage: StageConfig) -> None:
        """Take a part of what the stage has learnt, and leave the rest."""
        if self.average:
            self.average.keep()
        weights = self.model.state_dict()
        for name, begun in (self.state.begun or {}).items():
            if begun.is_floating_point():
                weights[name].lerp_(begun.to(weights[name]), 1 - stage.learnt_share)
        if self.average:
            self.average.begin_anew()

    def _steps(
        self, loop: StageLoop, batches: StageBatches, interrupted: threading.Event, most: int | None
    ) -> tuple[int, bool]:
        stage, start, begun, skipped = loop.stage, self.state.step, time.monotonic(), 0
        self.live.stage(stage.name, stage.steps, start)
        if start >= stage.steps or self._patience_ended(stage):
            return 0, True
        if stage.patience and not start:
            self._validate(loop)
        share = self.accelerator.process_index, self.accelerator.num_processes
        for step, micro in enumerate(read_steps(batches, start, self.config.workers, share), start):
            skipped = 0 if loop.step(step, micro) else skipped + 1
            if skipped > _MOST_SKIPPED:
                raise PSALMError(f"{skipped} steps in a row had no finite gradient: lower lr in stage {stage.name!r}.")
            self.state.step = step + 1
            last = self.state.step == stage.steps
            if last and stage.learnt_share < 1:
                self._go_back(stage)
            stop = interrupted.is_set() or (most is not None and step + 1 - start >= most)
            self.state.seconds += time.monotonic() - begun
            begun = time.monotonic()
            self._look(loop, last)
            last = last or self._patience_ended(stage)
            stop = any_process(self.accelerator, stop) and not last
            if stop or self.state.step % self.config.save_every == 0:
                self._save(loop)
            if stop or last:
                return self.state.step - start, last
        return stage.steps - start, True

    def _mixtures(self, stage: StageConfig, folder: Path, interrupted: threading.Event) -> dict[Lesson, Mixture[Any]]:
        """What the stage learns from; what it describes is kept, so an interrupted stage goes on with the rest."""
        change = None
        if stage.described:
            on_cpu = self.accelerator.device.type == "cpu"  # where all cores are busy with the images themselves
            workers = 0 if on_cpu else self.config.workers
            describer = Describer(
                self.model,
                folder,
                self.accelerator.autocast,
                thin=True,
                workers=workers,
                accelerator=self.accelerator,
                variants=stage.variant_numbers,
            )

            def progress(done: int, total: int) -> None:
                self.live.describing(done, total)
                # With several processes, all must go on or none: they end together at their first step.
                if interrupted.is_set() and self.accelerator.num_processes == 1:
                    raise _InterruptedError

            def change(samples: Samples[Any]) -> Samples[Any]:
                return describer(samples, progress)

        return open_mixtures(self.config.data, stage.micro_batches, self.config.temper, change)

    def _look(self, loop: StageLoop, last: bool) -> None:
        """Log and validate where it is due."""
        stage, step, place = loop.stage, self.state.step, {"stage": self.state.stage, "step": self.state.step}
        self.live.step(step)
        if step % self.config.log_every == 0 or last:
            figures = loop.figures()
            self.live.tell(f"{stage.name} {step}", figures)
            self._note(place | {"name": stage.name, "seconds": round(self.state.seconds, 1)} | figures)
        every = self.config.validation.every
        if self.validator and (last or (every and step % every == 0)):
            self._validate(loop)

    def _validate(self, loop: StageLoop) -> None:
        """Measure the weights, and keep them where the stage has patience and they are the best so far."""
        stage, validator, look = loop.stage, self.validator, Look()
        if validator and (self.first or loop.divided):
            with self.average.applied() if self.average else nullcontext():
                asking = self.accelerator.autocast, loop.encode, stage.judged_by
                look = loop.whole(lambda model: validator(model, *asking))
        look = from_first(self.accelerator, look)
        self.state.figures = look.figures
        self.live.tell(f"{stage.name} {self.state.step} validation", look.figures)
        place = {"stage": self.state.stage, "step": self.state.step, "name": stage.name}
        self._note(place | {"validation": look.figures})
        if stage.patience:
            self._judge(look, loop)

    def _judge(self, look: Look, loop: StageLoop) -> None:
        """Keep the weights of a look if they are the best that the stage made and not clearly worse than the first.

        What a stage teaches is expected to help: a few images that happen to say otherwise do not outweigh it.
        """
        best = self.state.best
        begun_with = Look(images=best["begun_with"] if best else look.images)
        if best and (look.is_clearly_below(begun_with) or (best["step"] and look.score < best["score"])):
            best["looks"] += 1
            return
        weights = {name: value.detach().cpu().clone() for name, value in loop.model_state().items()}
        kept = {"score": look.score, "figures": look.figures, "step": self.state.step, "model": weights}
        self.state.best = kept | {"looks": 0, "begun_with": begun_with.images}

    def _patience_ended(self, stage: StageConfig) -> bool:
        best = self.state.best
        return bool(stage.patience and best and best["looks"] >= stage.patience)

    def _note(self, line: dict[str, Any]) -> None:
        if self.log:
            self.log.add(line)

    def _save(self, loop: StageLoop | None = None) -> None:
        """Write the state, within a stage or between two; all processes wait until it is there."""
        model = loop.model_state() if loop else self.model.state_dict()
        optimiser = loop.optimiser_state() if loop else None
        if self.first:
            self.state.config = self.config.to_dict()
            self.state.model, self.state.optimiser = model, optimiser
            self.state.average = self.average.state_dict() if self.average else None
            self.state.save(self.state_path)
        self.accelerator.wait_for_everyone()

    def _finish(self) -> None:
        if not self.first or self.log is None:
            return
        info = {"name": self.model.config.name, "trained_by": self.config.to_dict(), "figures": self.state.figures}
        dtype = torch.float16 if self.config.save_half else None
        save_model(self.folder / "model", self.model, self.tokenizer, info, dtype)
        summary = {
            "stages": [{"name": stage.name, "steps": stage.steps} for stage in self.config.stages],
            "seconds": round(self.state.seconds, 1),
            "figures": self.state.figures,
            "last": next((line for line in reversed(self.log.read()) if "loss" in line), None),
        }
        write_text(self.folder / "summary.json", json.dumps(summary, indent=2) + "\n")

    def _result(self, finished: bool) -> TrainResult:
        return TrainResult(self.folder, finished, self.state.stage, self.state.step, self.state.figures)


@contextmanager
def _interruption(max_seconds: float | None = None) -> Iterator[threading.Event]:
    """An event that the first SIGINT or SIGTERM sets, or the time; only a second signal ends the process at once."""
    event, signalled = threading.Event(), threading.Event()

    def stop(*_: object) -> None:
        if signalled.is_set():
            raise KeyboardInterrupt
        signalled.set()
        event.set()

    in_main = threading.current_thread() is threading.main_thread()
    numbers = (signal.SIGINT, signal.SIGTERM) if in_main else ()  # only the main thread may ask for signals
    before: dict[Any, Any] = {number: signal.signal(number, stop) for number in numbers}
    clock = None if max_seconds is None else threading.Timer(max_seconds, event.set)
    if clock:
        clock.daemon = True
        clock.start()
    try:
        yield event
    finally:
        if clock:
            clock.cancel()
        for number, handler in before.items():
            signal.signal(number, handler)

"""The steps of one stage: forward, losses, backward, update."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from psalm.conditions import Task
from psalm.errors import ConfigError
from psalm.modeling.features import ImageFeatures
from psalm.modeling.psalm import PSALM
from psalm.modeling.seeds import seed_targets
from psalm.modeling.two_way_generator import TwoWayGenerator
from psalm.proposals import MaskProposals
from psalm.training import dividing
from psalm.training.collate import Batch
from psalm.training.config import StageConfig
from psalm.training.criterion import Criterion
from psalm.training.draft_loss import DraftLoss
from psalm.training.feature_cache import FeatureCache
from psalm.training.frozen import train_only
from psalm.training.lora import MARK, add_lora, has_lora
from psalm.training.optimisation import WeightAverage, make_optimiser, set_rate
from psalm.training.sharing import add_gradients, average_statistics, check_shares, mean_figures
from psalm.training.talk import TalkBatch, talk_loss
from psalm.training.targets import Target


class StageLoop:
    """The steps of one stage.

    Parameters
    ----------
    model : PSALM
        What the stage does not train is frozen.
    stage : StageConfig
    seed : int
        With the step, it decides every random number.
    accelerator : accelerate.Accelerator
        Device and precision.
    cache_folder : Path
        Of cached features, where the stage has them.
    average : WeightAverage, optional
    begun : dict of tensors, optional
        The model's weights when the stage began, where it is gone on with.
    """

    def __init__(
        self,
        model: PSALM,
        stage: StageConfig,
        seed: int,
        accelerator: Accelerator,
        cache_folder: Path,
        average: WeightAverage | None = None,
        begun: Mapping[str, Tensor] | None = None,
    ) -> None:
        self.model = model
        self.stage = stage
        self.seed = seed
        self.accelerator = accelerator
        self.average = average
        check_shares(accelerator, stage)
        prepare_model(model, stage)
        self.optimiser = make_optimiser(model, stage)
        self.divided = dividing.is_divided(accelerator)
        self.whole = dividing.Whole(model)
        if self.divided:
            self.whole = dividing.divide(accelerator, self.whole, self.optimiser)
        self.criterion = Criterion(stage.criterion)
        self.drafts = self._draft_loss(begun) if stage.draft_weight else None
        self._leave_to_the_look()
        self.cache = FeatureCache(cache_folder, model) if stage.cache else None
        self._seen: dict[str, list[float]] = defaultdict(list)

    def step(self, step: int, batches: Sequence[Batch | TalkBatch]) -> bool:
        """Take one optimiser step; False when it was left out because its gradient was not finite.

        Of several processes, each is given its own micro batches of the step.
        """
        rate = set_rate(self.optimiser, self.stage, step)
        self.optimiser.zero_grad(set_to_none=True)
        process, processes = self.accelerator.process_index, self.accelerator.num_processes
        share = (processes if self.divided else 1) / self.stage.per_step  # FSDP takes the mean over the processes
        for number, batch in enumerate(batches):
            # Random numbers belong to the micro batch, whichever process takes it.
            set_seed((self.seed + 31 * step + 7907 * (process + number * processes)) % 2**32)
            self._backward(batch, share)
        if not self.divided:  # FSDP has done so
            add_gradients(self.accelerator, self.model)
        average_statistics(self.accelerator, self.model)
        parameters = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        norm = dividing.plain(self.accelerator.clip_grad_norm_(parameters, self.stage.clip or float("inf")))
        finite = bool(torch.isfinite(norm))
        if finite:
            self.optimiser.step()
            if self.average:
                self.average.update()
            self._seen["gradient"].append(float(norm))
        self._seen["skipped"].append(float(not finite))
        self._seen["rate"] = [rate]
        return finite

    def encode(self, batch: Batch) -> ImageFeatures:
        """Features of a batch, from the cache where the stage has one."""
        if batch.features:
            return batch.features
        if self.cache:
            return self.cache.encode(batch.images, batch.keys, regions=batch.regions is not None)
        return self.model.encode_image(batch.images)

    def figures(self) -> dict[str, float]:
        """Means since the last call, over all processes."""
        own = {name: sum(values) / len(values) for name, values in self._seen.items()}
        means = mean_figures(self.accelerator, own)
        self._seen.clear()
        if not means.get("skipped"):
            means.pop("skipped", None)
        return means

    def model_state(self) -> dict[str, Tensor]:
        """All weights; of a divided model all processes must ask."""
        return dividing.model_state(self.whole) if self.divided else self.model.state_dict()

    def optimiser_state(self) -> dict[str, Any]:
        """All of the optimiser's state; of a divided model all processes must ask."""
        return dividing.optimiser_state(self.whole, self.optimiser) if self.divided else self.optimiser.state_dict()

    def load_optimiser(self, state: dict[str, Any]) -> None:
        """Go on with the optimiser of a saved run.

        Raises
        ------
        ConfigError
            When the model was divided then and is not now, or the other way round.
        """
        if self.divided:
            dividing.load_optimiser(self.whole, self.optimiser, state)
        elif any(isinstance(name, str) for name in state["state"]):
            raise ConfigError("The run was begun with FSDP: go on with it, or start afresh with --fresh.")
        else:
            self.optimiser.load_state_dict(state)

    def release(self) -> PSALM:
        """The model as it was handed in, with what it has learnt; the loop ends with it."""
        if not self.divided:
            return self.model
        model, state = PSALM(self.model.config), self.model_state()
        prepare_model(model, self.stage)  # the state may hold additions of low rank
        model.load_state_dict(state)
        self.accelerator.free_memory()
        return model.to(self.accelerator.device)

    def _backward(self, batch: Batch | TalkBatch, share: float) -> None:
        batch = batch.to(self.accelerator.device)
        if isinstance(batch, TalkBatch):
            name, (total, terms) = str(batch.task), self.whole(lambda _: self._talk(batch))
        else:
            name, (total, terms) = batch.task.value, self.whole(lambda _: self._segment(batch))
        if total.requires_grad:
            with self._attention():  # what is computed again on the way back must be computed in the same way
                self.accelerator.backward(total * share)
        self._seen["loss"].append(float(total.detach()))
        for term, value in terms.items():
            self._seen[f"{name}/{term}"].append(value)

    def _talk(self, batch: TalkBatch) -> tuple[Tensor, dict[str, float]]:
        """The loss of conversations; the mask generator has no part in it."""
        with self.accelerator.autocast(), self._attention():
            pyramid = self.model.backbone(batch.images)
            loss = talk_loss(self.model, self.model.projector(pyramid[-1]), batch)
        return loss, {"words": float(loss.detach())}

    def _segment(self, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        """The loss of a segmentation task, and its unweighted terms."""
        total, terms = torch.zeros((), device=self.accelerator.device), {}
        with self.accelerator.autocast(), self._attention():
            features = self.encode(batch)
            if self.stage.seed_weight and batch.task is Task.PANOPTIC:
                seeds = self._seed_loss(features, batch.targets)
                total, terms["seeds"] = total + self.stage.seed_weight * seeds, float(seeds.detach())
            if self.drafts and batch.regions:
                drafts = self.drafts(features, batch.regions, batch.targets, batch.images)
                total, terms["drafts"] = total + self.stage.draft_weight * drafts, float(drafts.detach())
            proposals = self._propose(features, batch) if self.criterion.active else []
        if proposals:
            losses = self.criterion(proposals, batch.targets, batch.prompts[0].kind)
            total, terms = total + losses.total, terms | losses.final
        return total, terms

    def _attention(self) -> AbstractContextManager[object]:
        """On a processor, the fused attention's backward pass takes longer than all other parts together."""
        return sdpa_kernel(SDPBackend.MATH) if self.accelerator.device.type == "cpu" else nullcontext()

    def _propose(self, features: ImageFeatures, batch: Batch) -> list[MaskProposals]:
        """Proposals for a batch; what several questions about one image have in common is read once."""
        prefix = None
        if batch.features and batch.questions > 1:
            once = replace(features, image_tokens=features.image_tokens[:: batch.questions])
            with torch.no_grad():  # it has little to learn, and would take a third of the time
                prefix = self.model.read_prefix(once, batch.prompts[0]).repeat(batch.questions)
        return self.model.propose(features, batch.prompts, batch.regions, prefix=prefix)

    def _seed_loss(self, features: ImageFeatures, targets: Sequence[Target]) -> Tensor:
        seeds = [seed_targets(t.masks) if t.seeds is None else t.seeds for t in targets]
        return self._two_way("seed_weight").seed_loss(features, seeds, [t.exhaustive for t in targets])

    def _draft_loss(self, begun: Mapping[str, Tensor] | None) -> DraftLoss:
        learns = any(parameter.requires_grad for parameter in self.model.backbone.parameters())
        backbone = self.model.backbone if learns else None
        return DraftLoss(self._two_way("draft_weight"), backbone, self.stage.hold_states, begun)

    def _leave_to_the_look(self) -> None:
        """Set the share of class lists that are answered without the language model's word."""
        generator, share = self.model.mask_generator, self.stage.look_alone
        if share and self._two_way("look_alone").look is None:
            raise ConfigError("look_alone is set, but the model has no semantic backbone: leave it out.")
        if isinstance(generator, TwoWayGenerator):
            generator.look_alone = share

    def _two_way(self, option: str) -> TwoWayGenerator:
        """The mask generator, which must be the two-way one for some options."""
        generator = self.model.mask_generator
        if not isinstance(generator, TwoWayGenerator):
            name = self.model.config.mask_generator
            raise ConfigError(f"{option} is set, but the {name} generator drafts no masks: leave it out.")
        return generator


def prepare_model(model: PSALM, stage: StageConfig) -> None:
    """Freeze what a stage does not train, and add what it trains beside the weights."""
    language = model.language_model
    if stage.lora and not has_lora(language):
        add_lora(language, stage.lora)
    train_only(model, stage.train, stage.freeze)
    if stage.lora:
        for name, parameter in language.named_parameters():
            parameter.requires_grad_(MARK in name)
    language.set_checkpointing(stage.checkpointing)

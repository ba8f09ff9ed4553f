"""Turn a labelled image into a question of any task."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from psalm.conditions import CategoryCondition, Condition, SentenceCondition, Task
from psalm.data.labelled import LabelledImage, Thing
from psalm.data.prompts import KINDS, simulate_exclusions, simulate_priors
from psalm.data.referring import choose
from psalm.data.sample import Sample
from psalm.data.words import ALIASES, COLOURS, plural

MAX_OBJECTS = 100
MAX_NAMES = 48
MAX_SENTENCES = 16
MAX_REGIONS = 8
_KINDS = (0.35, 0.15, 0.35, 0.15)  # clicks and boxes are what people draw most, see `KINDS`
_EXCLUDING = 0.25  # share of the visual priors with clicks on what is not meant
_BESIDE = 4  # neighbours that may be clicked so
_MIXED = 0.35  # share of the class lists with names that nobody looked for

_TASKS = {
    Task.INSTANCE: 0.34,
    Task.PANOPTIC: 0.06,
    Task.SEMANTIC: 0.06,
    Task.REFERRING: 0.17,
    Task.GENERALISED_REFERRING: 0.1,
    Task.INTERACTIVE: 0.27,
}


@dataclass(frozen=True)
class Question:
    """What is asked of an image in words, and which of its objects answer; no mask is made yet.

    Parameters
    ----------
    task : Task
    condition : CategoryCondition or SentenceCondition
    answers : tuple of tuple of int
        Positions of the objects that make up each answer: one, or all regions of a name that is not countable.
    labels : tuple of int
        Which part of the condition each answer meets.
    exhaustive : bool
        As in `Sample`.
    """

    task: Task
    condition: Condition
    answers: tuple[tuple[int, ...], ...]
    labels: tuple[int, ...]
    exhaustive: bool


def ask(
    labelled: LabelledImage, rng: np.random.Generator, task: Task | None = None, sentence_lists: float = 0.0
) -> Sample:
    """One question about the image.

    Parameters
    ----------
    labelled : LabelledImage
        With at least one object.
    rng : numpy.random.Generator
    task : Task, optional
        By chance when not given. A referring question has one target where a sentence can name one clearly; a
        generalised one may have none or several.
    sentence_lists : float
        Share of the instance questions that list sentences, each for one object, instead of names: many sentences are
        then learnt from one image.
    """
    if task is None:
        tasks = list(_TASKS)
        task = tasks[rng.choice(len(tasks), p=list(_TASKS.values()))]
    if task is Task.INTERACTIVE:
        return _interactive(labelled, rng)
    return _sample(labelled, pose(labelled, rng, task, sentence_lists))


def pose(labelled: LabelledImage, rng: np.random.Generator, task: Task, sentence_lists: float = 0.0) -> Question:
    """A question in words, as `ask` but without its masks; `task` is not the interactive one."""
    labelled = _renamed(labelled, rng) if rng.random() < 0.15 else labelled
    if task in (Task.REFERRING, Task.GENERALISED_REFERRING):
        return _referring(labelled, rng, task)
    if task is Task.INSTANCE and sentence_lists and rng.random() < sentence_lists:
        return _sentence_list(labelled, rng) or _class_list(labelled, rng, task)
    return _class_list(labelled, rng, task)


def _sample(labelled: LabelledImage, question: Question) -> Sample:
    positions = [position for answer in question.answers for position in answer]
    parts = labelled.decode(positions)
    borders = np.cumsum([len(answer) for answer in question.answers])[:-1]
    masks = parts
    if len(positions) != len(question.answers):
        masks = np.stack([part.any(axis=0) for part in np.split(parts, borders)])
    return Sample(
        labelled.image,
        question.task,
        question.condition,
        masks,
        np.asarray(question.labels, dtype=np.int64),
        question.exhaustive,
        labelled.source,
        labelled.key,
    )


def _alone(positions: Iterable[int]) -> tuple[tuple[int, ...], ...]:
    """Every object an answer of its own."""
    return tuple((int(position),) for position in positions)


def _renamed(labelled: LabelledImage, rng: np.random.Generator) -> LabelledImage:
    """One name replaced by another word for it, where no other name could be meant by that word."""
    present = sorted({thing.name for thing in labelled.things})
    options = [
        (name, alias)
        for name in present
        for alias in ALIASES.get(name, ())
        if not any(_akin(alias, other) for other in present if other != name)
    ]
    if not options:
        return labelled
    name, alias = options[rng.integers(len(options))]
    things = tuple(replace(thing, name=alias) if thing.name == name else thing for thing in labelled.things)
    incomplete = frozenset(alias if other == name else other for other in labelled.incomplete)
    absent, rivals, unchecked = (
        tuple(other for other in names if not _akin(alias, other))
        for names in (labelled.absent, labelled.rivals, labelled.unchecked)
    )
    return replace(labelled, things=things, incomplete=incomplete, absent=absent, rivals=rivals, unchecked=unchecked)


def _akin(alias: str, name: str) -> bool:
    """Whether the word `alias` may also mean `name`."""
    words = set(alias.split())
    return any(not words.isdisjoint(word.split()) for word in (name, *ALIASES.get(name, ())))


def _class_list(labelled: LabelledImage, rng: np.random.Generator, task: Task) -> Question:
    # People ask for names of all kinds at once. Where nobody looked for a name, nothing can be said of the background,
    # but the objects that are labelled are certainly something else.
    uncertain = bool(labelled.unchecked) or not labelled.exhaustive
    mixed = task is Task.INSTANCE and uncertain and rng.random() < _MIXED
    if mixed:
        of_all_kinds = (*labelled.absent, *labelled.unchecked)
        labelled = replace(labelled, absent=of_all_kinds, rivals=(), exhaustive=False)
    called, absent = _called(labelled, rng)
    present = list(dict.fromkeys(called))
    others = absent if labelled.exhaustive or mixed else []
    names = _listed(present, others, rng, everything=task is Task.PANOPTIC)
    chosen = [i for i, name in enumerate(called) if name in names]
    capped = len(chosen) > MAX_OBJECTS
    if capped:
        chosen = sorted(rng.choice(chosen, MAX_OBJECTS, replace=False).tolist())
    answers, names_of = _merge_stuff(chosen, called, labelled.stuff)
    condition = CategoryCondition(
        tuple(_plurals(names) if rng.random() < 0.12 else names),
        tuple(name not in labelled.stuff for name in names),
    )
    exhaustive = labelled.exhaustive and not capped and labelled.incomplete.isdisjoint(names)
    return Question(task, condition, answers, tuple(names.index(name) for name in names_of), exhaustive)


def _sentence_list(labelled: LabelledImage, rng: np.random.Generator) -> Question | None:
    """A class list of sentences, each meaning one object of its own.

    None where the image has fewer than two such objects.
    """
    if not labelled.exhaustive or labelled.incomplete:
        return None
    found = [e for e in labelled.sentences if len(e.targets) == 1]
    chosen: dict[int, str] = {}
    for i in rng.permutation(len(found)):
        expression = found[i]
        wording = expression.wordings[rng.integers(len(expression.wordings))]
        if expression.targets[0] not in chosen and wording not in chosen.values() and len(chosen) < MAX_SENTENCES:
            chosen[expression.targets[0]] = wording
    if len(chosen) < 2:
        return None
    condition = CategoryCondition(tuple(chosen.values()))
    return Question(Task.INSTANCE, condition, _alone(chosen), tuple(range(len(chosen))), True)


def _called(labelled: LabelledImage, rng: np.random.Generator) -> tuple[list[str], list[str]]:
    """What to call each object, and names in the same manner that fit none: by name, or by colour where it is known."""
    things = labelled.things
    by_name = [thing.name for thing in things]
    draw = rng.random()
    if draw < 0.5 or any(thing.colour is None for thing in things):
        # Names of the same collection are the hardest to tell apart, and too few among all to be met often.
        close = bool(labelled.rivals) and rng.random() < 0.5
        return by_name, list(labelled.rivals if close else labelled.absent)
    if draw < 0.85:
        called = [f"{thing.colour} {thing.name}" for thing in things]
        shapes = [*dict.fromkeys(by_name), *labelled.absent]
        absent = [f"{colour} {shape}" for colour in COLOURS for shape in shapes]
    else:
        noun = ("object", "shape", "thing")[rng.integers(3)]
        called = [f"{thing.colour} {noun}" for thing in things]
        absent = [f"{colour} {noun}" for colour in COLOURS]
    there = set(called)
    return called, [name for name in absent if name not in there]


def _listed(present: list[str], absent: list[str], rng: np.random.Generator, everything: bool) -> list[str]:
    """A shuffled class list of 1 to `MAX_NAMES` names, most often with some that are in the image."""
    most = min(len(present), MAX_NAMES)
    count = most if everything or rng.random() < 0.5 else int(rng.integers(1, most + 1))
    if absent and not everything and rng.random() < 0.06:
        count = 0
    room = min(MAX_NAMES - count, len(absent))
    others = min(int(rng.choice([1, 3, 6, 10, 15, 30, 47])), room) if room else 0
    if count == 0:
        others = max(others, 1)
    names = [present[i] for i in rng.choice(len(present), count, replace=False)]
    names += [absent[i] for i in rng.choice(len(absent), others, replace=False)] if others else []
    return [names[i] for i in rng.permutation(len(names))]


def _plurals(names: list[str]) -> list[str]:
    """The list in the plural, as many people write it, unless two plurals were the same."""
    plurals = [plural(name) for name in names]
    return plurals if len(set(plurals)) == len(plurals) else names


def _merge_stuff(
    chosen: Sequence[int], called: Sequence[str], stuff: frozenset[str]
) -> tuple[tuple[tuple[int, ...], ...], list[str]]:
    """The answers that the chosen objects make, those of each stuff name joined into one, and their names."""
    things = [i for i in chosen if called[i] not in stuff]
    regions = list(dict.fromkeys(called[i] for i in chosen if called[i] in stuff))
    merged = tuple(tuple(i for i in chosen if called[i] == name) for name in regions)
    return _alone(things) + merged, [called[i] for i in things] + regions


def _interactive(labelled: LabelledImage, rng: np.random.Generator) -> Sample:
    count = min(int(rng.integers(1, MAX_REGIONS + 1)), len(labelled.things))
    chosen = rng.choice(len(labelled.things), count, replace=False).tolist()
    masks = labelled.decode(chosen)
    kinds = [KINDS[i] for i in rng.choice(len(KINDS), size=count, p=_KINDS)]
    condition = simulate_priors(masks, rng, kinds)
    if rng.random() < _EXCLUDING:
        others = labelled.decode(_neighbours(labelled.things, chosen))
        condition = replace(condition, excluded=simulate_exclusions(masks, others, rng))
    return _sample(labelled, Question(Task.INTERACTIVE, condition, _alone(chosen), tuple(range(count)), True))


def _neighbours(things: Sequence[Thing], chosen: Sequence[int]) -> list[int]:
    """Positions of the objects that are nearest to the chosen ones, and not among them."""
    centres = np.array([thing.centre for thing in things])
    others = [i for i in range(len(things)) if i not in chosen]
    away = [np.square(centres[chosen] - centres[i]).sum(axis=1).min() for i in others]
    return [others[k] for k in np.argsort(away, kind="stable")[:_BESIDE]]


def _referring(labelled: LabelledImage, rng: np.random.Generator, task: Task) -> Question:
    if task is Task.GENERALISED_REFERRING and labelled.exhaustive and labelled.absent and rng.random() < 0.15:
        return Question(task, SentenceCondition(_missing(labelled.absent, rng)), (), (), True)
    sentence, targets = _sentence(labelled, rng, single=task is Task.REFERRING)
    capped = len(targets) > MAX_OBJECTS
    answers = _alone(targets[:MAX_OBJECTS])
    # A sentence for one object says by itself that every other is wrong, whatever else is unlabelled.
    exhaustive = (labelled.exhaustive or len(targets) == 1) and not capped
    return Question(task, SentenceCondition(sentence), answers, (0,) * len(answers), exhaustive)


def _missing(absent: Sequence[str], rng: np.random.Generator) -> str:
    name = absent[int(rng.integers(len(absent)))]
    patterns = ("the {x}", "all {xs}", "{x}", "the {x} on the left", "the biggest {x}", "the {x} at the top")
    return patterns[rng.integers(len(patterns))].format(x=name, xs=plural(name))


def _sentence(labelled: LabelledImage, rng: np.random.Generator, single: bool) -> tuple[str, tuple[int, ...]]:
    given = [found for found in labelled.expressions if len(found[1]) == 1 or not single]
    if given and rng.random() < 0.6:
        return given[rng.integers(len(given))]
    if not labelled.exhaustive:
        return given[rng.integers(len(given))] if given else _plain(labelled.things, rng)
    found = labelled.sentences
    one = [expression for expression in found if len(expression.targets) == 1]
    return choose(one if single and one else found, rng)


def _plain(things: Sequence[Thing], rng: np.random.Generator) -> tuple[str, tuple[int, ...]]:
    """The biggest object of a name: the one that is meant when further objects may be unlabelled."""
    names = sorted({thing.name for thing in things})
    name = names[rng.integers(len(names))]
    same = [i for i, thing in enumerate(things) if thing.name == name]
    pattern = "the {}" if len(same) == 1 else "the biggest {}"
    return pattern.format(name), (max(same, key=lambda i: things[i].area),)

"""The command line of a training leg; it needs no package that may be missing where the leg runs."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from psalm.errors import PSALMError
from tools.leg.budget import DEFAULT_MIB, check_budget, describe, weigh
from tools.leg.parts import join
from tools.leg.running import Changes, run
from tools.leg.wheels import DEFAULT_NEEDS, fetch

logger = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None) -> None:
    """Do what the command line says; an error ends it with its message."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    options = _parser().parse_args(arguments)
    try:
        options.act(options)
    except PSALMError as error:
        sys.exit(str(error))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Train for some minutes on another machine; see docs/training-leg.md.")
    commands = parser.add_subparsers(required=True)
    _add_wheels(commands.add_parser("wheels", help="fetch Python packages that the other machine may lack"))
    _add_pack(commands.add_parser("pack", help="collect what the training needs in one small folder"))
    _add_run(commands.add_parser("run", help="train from that folder, there or here"))
    back = commands.add_parser("join", help="make a model folder of what came back")
    back.add_argument("folder", type=Path)
    back.add_argument("--out", type=Path, required=True, help="the model folder")
    back.set_defaults(act=_join)
    return parser


def _add_wheels(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, required=True, help="the leg's folder")
    parser.add_argument("--need", nargs="+", default=DEFAULT_NEEDS, metavar="PACKAGE", help=" ".join(DEFAULT_NEEDS))
    parser.add_argument("--python", default="3.12", help="version there; 3.12")
    parser.add_argument("--machine", default="x86_64")
    parser.add_argument("--budget", type=float, default=DEFAULT_MIB, help="of the whole leg in MiB")
    parser.set_defaults(act=_wheels)


def _add_pack(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, required=True, help="what `psalm train` would be given")
    parser.add_argument("--out", type=Path, required=True, help="the leg's folder")
    start = parser.add_mutually_exclusive_group()
    start.add_argument("--weights", type=Path, help="start from this model folder, safetensors file or state.pt")
    start.add_argument("--init", help="start from this model, which is there already")
    parser.add_argument("--side", type=int, default=352, help="longest side of an image in pixels")
    parser.add_argument("--quality", type=int, default=62, help="of the JPEG files")
    parser.add_argument("--per-source", type=int, help="keep at most so many images of each source")
    parser.add_argument("--stage", help="take this stage alone, and its data")
    parser.add_argument("--budget", type=float, default=DEFAULT_MIB, help="of the whole leg in MiB")
    parser.set_defaults(act=_pack)


def _add_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--leg", type=Path, required=True, help="the folder that pack wrote")
    parser.add_argument("--out", type=Path, required=True, help="where the results go")
    parser.add_argument("--minutes", type=float, required=True, help="until training stops; saving comes after")
    parser.add_argument("--stage", help="train this stage alone")
    parser.add_argument("--steps", type=int, help="of each stage, instead of the config's")
    parser.add_argument("--seed", type=int, help="instead of the config's")
    parser.add_argument("--workers", type=int, help="processes that prepare data")
    parser.add_argument(
        "--pace", type=float, nargs="+", metavar="SHARE", help="steps by the time: a share of it for each stage"
    )
    parser.set_defaults(act=_run)


def _wheels(options: argparse.Namespace) -> None:
    names = fetch(options.need, options.out / "wheels", options.python, options.machine)
    logger.info("%s", "\n".join(names))
    check_budget(weigh(options.out), options.budget)


def _pack(options: argparse.Namespace) -> None:
    from tools.leg.packing import Choice, pack
    from tools.leg.shrink import Shrink

    choice = Choice(options.stage, options.per_source, options.weights, options.init)
    sizes = pack(options.config, options.out, choice, Shrink(options.side, options.quality), options.budget)
    logger.info("%s: %s", options.out, describe(sizes))


def _run(options: argparse.Namespace) -> None:
    pace = tuple(options.pace) if options.pace else None
    changes = Changes(options.stage, options.steps, options.seed, options.workers, pace)
    run(options.leg, options.out, options.minutes, changes)
    logger.info("%s: %s", options.out, describe(weigh(options.out)))


def _join(options: argparse.Namespace) -> None:
    told = join(options.folder, options.out)
    logger.info("%s: %s", options.out, told)

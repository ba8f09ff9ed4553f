"""How well a model does: the field's metrics on data with known answers."""

from psalm.evaluation.engine import run_benchmark
from psalm.evaluation.markdown import format_markdown
from psalm.evaluation.opening import BENCHMARKS, BenchmarkChoice, open_benchmark
from psalm.evaluation.records import RecordFolder
from psalm.evaluation.report import format_report
from psalm.evaluation.runner import choose_images, evaluate, open_coco_file

__all__ = [
    "BENCHMARKS",
    "BenchmarkChoice",
    "RecordFolder",
    "choose_images",
    "evaluate",
    "format_markdown",
    "format_report",
    "open_benchmark",
    "open_coco_file",
    "run_benchmark",
]

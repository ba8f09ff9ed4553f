"""How well a model does: the field's metrics on data with known answers."""

from psalm.evaluation.report import format_report
from psalm.evaluation.runner import choose_images, evaluate

__all__ = ["choose_images", "evaluate", "format_report"]

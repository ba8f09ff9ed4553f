"""Training: losses, data streams and the loop that `psalm train` runs."""

from psalm.training.config import TrainConfig
from psalm.training.trainer import TrainResult, train

__all__ = ["TrainConfig", "TrainResult", "train"]

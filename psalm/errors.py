"""Errors and warnings that a user of psalm may meet. Each message says what was wrong, where, and the cure."""


class PSALMError(Exception):
    """Base of every error that psalm raises on purpose."""


class ConditionError(PSALMError, ValueError):
    """A class list, sentence or visual prior cannot be used, or does not fit the task."""


class ImageError(PSALMError, ValueError):
    """An image (array or file) cannot be read or used."""


class AnnotationError(PSALMError, ValueError):
    """Annotations or an annotation file are not valid."""


class ConfigError(PSALMError, ValueError):
    """A model or training configuration is not valid."""


class CheckpointError(PSALMError):
    """Weights or their tokenizer cannot be found, trusted or loaded."""


class OutputError(PSALMError, OSError):
    """A result cannot be written, or would overwrite what the user made."""


class StoreError(PSALMError):
    """An annotation store cannot be opened, or does not hold what was asked for."""


class ModelError(PSALMError):
    """The model failed on one image after the other: the fault is not the images'."""


class WorkerError(PSALMError):
    """A worker process or a cluster cannot do its work."""


class UnknownNameWarning(UserWarning):
    """A class list has names that the model was never trained on; the message lists names that it knows."""

"""How models are shared, and written for other software."""

from typing import Literal

from zoobot.config.settings import Settings


class PushSettings(Settings):
    """How a model is shared."""

    dry_run: bool = False
    """Write the folder and send nothing."""
    private: bool = False
    """Make the repository visible to you alone."""


class ModelExportSettings(Settings):
    """How a model is written for other software."""

    format: Literal["onnx"] = "onnx"
    """Format of the file."""

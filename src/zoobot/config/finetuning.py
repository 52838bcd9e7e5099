"""How pretrained encoders are finetuned on labels."""

from typing import Literal

from pydantic import Field, model_validator

from zoobot.config.learning import KerasSettings, LearnSettings, TorchSettings
from zoobot.config.values import Fraction, Name

# Which task each of these settings belongs to.
TASK_OF_SETTING = {
    "multi_label": "classification",
    "label_smoothing": "classification",
    "class_weights": "classification",
    "balanced_sampling": "classification",
    "unit_interval": "regression",
    "loss": "regression",
}


class AnyFinetuneSettings(LearnSettings):
    """What finetuning takes in every framework."""

    task: Literal["classification", "regression", "tree"] = "classification"
    """What is learned: a class, a number or several, or the votes of a decision tree."""
    label: list[Name] = []
    """Column to learn; repeatable. Several are numbers (regression), or shares of each class (classification)."""
    multi_label: bool = False
    """In classification, each of several label columns is a yes or no of its own."""
    unit_interval: bool = False
    """In regression, the numbers lie from 0 to 1, and so do predictions."""
    loss: Literal["mse", "mae"] = "mse"
    """In regression, what is made small: squared or absolute errors."""
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    """In classification, the share of each label that is spread over all classes."""
    class_weights: Literal["none", "balanced"] = "none"
    """In classification, weigh each galaxy against the frequency of its class."""
    balanced_sampling: bool = False
    """In classification, show rare classes as often as common ones."""
    pretrained: bool = True
    """Start from the encoder's weights; otherwise from random ones, to compare."""
    n_blocks: int | None = Field(None, ge=0)
    """Blocks of the encoder to unfreeze, from the last; by default more of them the more labels there are."""
    lr_decay: Fraction = 0.75
    """Learning rate of a block, as a fraction of that of the block after it."""
    warmup_epochs: int = Field(2, ge=0)
    """Epochs in which the learning rate rises; it then falls as a cosine until the last epoch."""
    linear_probe: bool = False
    """Also fit a linear model to the frozen features, as a check that finetuning is worth it."""
    image_size: int = Field(224, ge=48, le=4096)
    """Side of the square input, in pixels; where the encoder was made for one size, that."""
    epochs: int = Field(50, ge=1)
    """Passes over the training galaxies, at most."""
    learning_rate: float = Field(5e-4, gt=0)
    """Learning rate of the head, after warm-up."""
    dropout: float = Field(0.5, ge=0, lt=1)
    """Dropout before the head."""
    split: tuple[Fraction, Fraction, Fraction] = (0.7, 0.15, 0.15)
    """Fractions of galaxies for training, validation and test."""

    @model_validator(mode="after")
    def _check_task(self) -> "AnyFinetuneSettings":
        for name, task in TASK_OF_SETTING.items():
            if self.task != task and getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(f"{name} belongs to the task {task}. Got the task {self.task} instead.")
        if self.task == "tree" and self.label:
            raise ValueError("The task tree learns the columns of its --schema. Leave out label.")
        if self.task != "tree" and not self.label:
            raise ValueError(f"label is missing: the column to learn, such as --task {self.task} --label ring.")
        if self.multi_label and self.balanced_sampling:
            raise ValueError("balanced_sampling needs one class per galaxy. Leave it out with multi_label.")
        return self


class FinetuneSettings(AnyFinetuneSettings, TorchSettings):
    """How a pretrained encoder is finetuned with PyTorch. What it expects of images need not be given."""


class KerasFinetuneSettings(AnyFinetuneSettings, KerasSettings):
    """How a pretrained encoder is finetuned with Keras. What it expects of images need not be given."""

"""The settings of each verb, the same for Python and the command line.

Each class is one verb's settings: `TrainSettings(epochs=20)` in Python is `zoobot train ... --epochs 20`, or
`epochs: 20` in a file given with `--config`. The resolved settings are written beside every result.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, TypeVar

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from zoobot.errors import SettingError, did_you_mean

if TYPE_CHECKING:
    from zoobot.shared.adjustments import Adjustments

Fraction = Annotated[float, Field(ge=0, le=1)]
Device = Literal["auto", "cpu", "gpu", "mps"]
Precision = Annotated[Literal["32", "16-mixed", "bf16-mixed"], BeforeValidator(str)]  # YAML reads 32 as a number
Name = Annotated[str, BeforeValidator(str)]  # so that YAML's 10581 is a name too


class Settings(BaseModel):
    """Settings that refuse unknown names and wrong values, all of them in one `SettingError`."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True)

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise SettingError(_sentences(type(self), error)) from None


class VoteSettings(Settings):
    """How a catalog's votes are read."""

    min_votes: int = Field(0, ge=0)
    """Leave out galaxies with fewer votes than this for every question that is asked of everybody."""
    fill_missing_votes: bool = False
    """Read blank votes as 0, as in catalogs joined from several campaigns."""
    weighted_votes: bool = False
    """Accept fractional votes: volunteers were weighted."""


class CatalogSettings(VoteSettings):
    """How a catalog is read."""

    on_bad_row: Literal["stop", "drop"] = "stop"
    """What to do about rows that cannot be used: stop, or leave them out and list them in rejected.csv."""


Stretch = Literal["linear", "percentile", "zscale", "asinh", "lupton"]
# Which stretch each parameter belongs to; see `zoobot.shared.stretches`.
STRETCH_PARAMETERS: dict[str, tuple[Stretch, ...]] = {
    "value_range": ("linear", "asinh"),
    "percentiles": ("percentile",),
    "contrast": ("zscale",),
    "softening": ("asinh", "lupton"),
    "lupton_range": ("lupton",),
}


class ImageSettings(Settings):
    """How image files become pixels of 0 to 255. Recorded with prepared images and with models."""

    color: bool = False
    """Keep colours: RGB, or each band of FITS images as a channel. Otherwise one grey channel."""
    stretch: Stretch | None = None
    """How brightness in FITS images becomes grey: linear, percentile, zscale, asinh or lupton (three bands to RGB)."""
    value_range: tuple[float, float] | None = None
    """Brightness that becomes black and white under linear and asinh; by default each image's darkest and brightest."""
    percentiles: tuple[float, float] = (0.5, 99.5)
    """Percentiles of each image that become black and white under percentile."""
    contrast: float = Field(0.25, gt=0, le=1)
    """Contrast under zscale."""
    softening: float | None = Field(None, gt=0)
    """Under asinh, the fraction of the range that stays linear; under lupton, Q. By default 0.02 and 8."""
    lupton_range: tuple[float, float] = (0.0, 0.2)
    """Brightness that becomes black under lupton, and the width of the linear part above it (nanomaggies: 0 0.2)."""
    hdu: list[Name] = []
    """Extension of FITS files to read, by name or number; repeated, each is a band. By default the first image."""

    @model_validator(mode="after")
    def _check_stretch(self) -> "ImageSettings":
        for name, stretches in STRETCH_PARAMETERS.items():
            is_given = getattr(self, name) != type(self).model_fields[name].default
            if is_given and self.stretch not in stretches:
                belongs, instead = " or ".join(stretches), self.stretch or "none"
                raise ValueError(f"{name} belongs to the stretch {belongs}. Got the stretch {instead} instead.")
        for name, bounds in (("value_range", self.value_range), ("percentiles", self.percentiles)):
            if bounds is not None and not bounds[0] < bounds[1]:
                raise ValueError(f"{name} must be two numbers, the smaller one first. Got {bounds} instead.")
        if not 0 <= self.percentiles[0] < self.percentiles[1] <= 100:
            raise ValueError(f"percentiles must be two numbers from 0 to 100. Got {self.percentiles} instead.")
        if self.lupton_range[1] <= 0:
            raise ValueError(f"The second number of lupton_range must be above 0. Got {self.lupton_range} instead.")
        return self

    @property
    def reading(self) -> "ImageSettings":
        """These settings alone."""
        return ImageSettings(**self.record_reading())

    def record_reading(self) -> dict[str, Any]:
        """Those of these settings that apply, to be kept beside what was made with them."""
        names = set(ImageSettings.model_fields) - {
            name for name, where in STRETCH_PARAMETERS.items() if self.stretch not in where
        }
        return self.model_dump(mode="json", include=names)


class CatalogCheckSettings(VoteSettings):
    """How a catalog is checked."""

    files: bool = True
    """Look whether every image is there."""
    open_images: bool = False
    """Open every image too: finds unreadable, truncated, constant and repeated ones."""
    workers: int | None = Field(None, ge=1)
    """Processes that open images; by default one per core."""


class SplitSettings(Settings):
    """How a catalog is split into training, validation and test tables."""

    split: tuple[Fraction, Fraction, Fraction] = (0.7, 0.1, 0.2)
    """Fractions of galaxies for training, validation and test."""
    seed: int = Field(0, ge=0, lt=2**32)
    """Seed of the split."""
    stratify: str | None = None
    """Column whose values each table gets in equal shares; numbers are cut into ten classes of equal size."""
    group_by: str | None = None
    """Column that tells which rows show the same galaxy; these stay in one table."""
    format: Literal["csv", "parquet"] = "csv"
    """Format of the three tables."""

    @model_validator(mode="after")
    def _check_split(self) -> "SplitSettings":
        _check_fractions(self.split)
        return self


class ConvertSettings(Settings):
    """How a published table becomes a catalog."""

    id_col: str | None = None
    """Column of the table that names each galaxy; by default the mapping's own."""
    file_template: str | None = None
    """Image of each galaxy, filled from the row's own columns, such as '{asset_id}.jpg' or '{name[:4]}/{name}.png'."""
    image_folder: Path | None = None
    """Folder of the images, put before what the template gives; a relative one is meant from where you are."""
    total_votes: str | None = None
    """Volunteers per galaxy, a column or a number: needed where the table has vote fractions but no counts."""


class ZooniverseSettings(Settings):
    """How raw volunteer answers become votes."""

    workflow_id: list[Name] = []
    """Count these workflows only; repeatable. By default all."""
    not_logged_in: Literal["keep", "drop"] = "keep"
    """What to do about volunteers who were not logged in."""
    weight_col: str | None = None
    """Column with a weight for each answer; votes are then sums of weights."""
    since: str | None = None
    """Count answers from this time on: a date, or date and time (UTC)."""
    until: str | None = None
    """Count answers before this time: a date, or date and time (UTC)."""
    file_template: str | None = None
    """Image of each galaxy, filled from the subject's own fields, such as '{subject_id}.jpg'."""


class PrepareSettings(CatalogSettings, ImageSettings):
    """How images are prepared: decoded once, into files that are fast to read."""

    format: Literal["store", "tfrecord", "webdataset"] = "store"
    """Files to write: a memory-mapped store, TFRecords, or tar files for WebDataset."""
    image_size: int = Field(300, ge=16, le=4096)
    """Side of the prepared images, in pixels: the central square, reduced by averaging."""
    pixels: Literal["raw", "jpeg"] = "raw"
    """Write pixels, or keep the bytes of JPEG files as they are, at their own size (tfrecord and webdataset)."""
    shard_size: int = Field(2048, ge=1)
    """Galaxies in one file."""
    on_bad_image: Literal["drop", "stop"] = "drop"
    """List images that cannot be read in rejected.csv and go on, or stop at the first."""
    workers: int | None = Field(None, ge=1)
    """Images that are read at once; by default one per core."""

    @model_validator(mode="after")
    def _check_pixels(self) -> "PrepareSettings":
        if self.pixels == "jpeg" and self.format == "store":
            raise ValueError("pixels jpeg needs the format tfrecord or webdataset: a store holds pixels.")
        if self.pixels == "jpeg" and self.stretch:
            raise ValueError("pixels jpeg keeps files as they are, so no stretch can be given.")
        if self.pixels == "jpeg" and self.image_size != type(self).model_fields["image_size"].default:
            raise ValueError("pixels jpeg keeps files at their own size, so no image_size can be given.")
        return self


PRESETS: dict[str, dict[str, Any]] = {
    "laptop": {},
    # Walmsley et al. 2022, MNRAS 509, 3966, section 4: any 224 x 224 of an image reduced to 300 x 300 pixels
    "decals": {
        "architecture": "efficientnet_b0",
        "image_size": 224,
        "crop_bounds": (0.7467, 0.7467),
        "max_shift": 0.1267,
        "aspect_bounds": (1.0, 1.0),
        "batch_size": 128,
        "epochs": 200,
        "optimizer": "adam",
        "learning_rate": 1e-3,
        "weight_decay": 0.0,
        "schedule": "constant",
        "patience": 10,
        "dropout": 0.2,
        "concentration_bounds": (1.0, 101.0),
    },
}


class LearnSettings(CatalogSettings, ImageSettings):
    """What training and finetuning have in common in every framework: what is seen, and how long."""

    image_size: int = Field(96, ge=48, le=4096)
    """Side of the model's square input, in pixels."""
    crop_bounds: tuple[float, float] = (0.6, 0.8)
    """Smallest and largest side of the square cut from each image, as a fraction of its shorter side."""
    max_shift: Fraction = 0.05
    """Largest offset of the cut's centre in training, as a fraction of the image's shorter side."""
    aspect_bounds: tuple[float, float] = (0.9, 1.1)
    """Smallest and largest width : height of what is cut in training."""
    augmentations: Literal["none", "astro"] = "none"
    """In training, also imitate sky and telescope: sources, missing data, gradients, seeing, noise and distortion."""
    batch_size: int = Field(32, ge=1)
    """Galaxies per training step, on each device."""
    epochs: int = Field(100, ge=1)
    """Passes over the training galaxies, at most."""
    learning_rate: float = Field(2e-3, gt=0)
    """Learning rate; its peak under the one-cycle schedule."""
    weight_decay: float = Field(0.05, ge=0)
    """Weight decay, of weights only (not biases or norms)."""
    patience: int | None = Field(None, ge=1)
    """Stop after so many epochs without a better validation loss. Meant for the constant schedule."""
    gradient_clip: float = Field(1.0, gt=0)
    """Largest norm of a step's gradient."""
    dropout: float = Field(0.3, ge=0, lt=1)
    """Dropout before the head."""
    concentration_bounds: tuple[float, float] = (0.05, 100.05)
    """Smallest and largest concentration; published models have 1 101."""
    split: tuple[Fraction, Fraction, Fraction] = (0.7, 0.1, 0.2)
    """Fractions of galaxies for training, validation and test."""
    seed: int = Field(0, ge=0, lt=2**32)
    """Seed of the split, the weights and every random view."""
    devices: int = Field(1, ge=1)
    """Number of GPUs of this machine."""
    precision: Precision = "32"
    """Arithmetic of the encoder; the loss is always float32."""
    on_bad_image: Literal["stop", "drop"] = "stop"
    """What to do before the first epoch about images that cannot be read."""

    @model_validator(mode="after")
    def _check_pairs(self) -> "LearnSettings":
        _check_bounds("crop_bounds", self.crop_bounds, 0.0, 1.0)
        _check_bounds("aspect_bounds", self.aspect_bounds, 0.0, 10.0)
        _check_bounds("concentration_bounds", self.concentration_bounds, 0.0, 1e6)
        if self.concentration_bounds[0] == self.concentration_bounds[1]:
            raise ValueError(f"concentration_bounds must differ. Got {self.concentration_bounds} instead.")
        _check_fractions(self.split)
        return self

    @property
    def adjustments(self) -> "Adjustments":
        """What is done to each image."""
        from zoobot.shared.adjustments import Adjustments  # OpenCV: not for --help

        return Adjustments(
            image_size=self.image_size,
            crop_bounds=self.crop_bounds,
            max_shift=self.max_shift,
            aspect_bounds=self.aspect_bounds,
            augmentations=self.augmentations,
        )


class AnyTrainSettings(LearnSettings):
    """What training from scratch takes in every framework."""

    _presets: ClassVar[dict[str, dict[str, Any]]] = PRESETS

    preset: Literal["laptop", "decals"] = "laptop"
    """A set of defaults: laptop (small and quick), decals (Walmsley et al. 2022). Any value can be set alone."""
    optimizer: Literal["adamw", "adam"] = "adamw"
    """Optimiser."""
    schedule: Literal["one-cycle", "constant"] = "one-cycle"
    """Learning rate over time: one-cycle rises, then falls to 0 at the last epoch."""

    @model_validator(mode="before")
    @classmethod
    def _fill_from_preset(cls, values: dict[str, Any]) -> dict[str, Any]:
        preset = values.get("preset", "laptop")
        return {**(cls._presets.get(preset, {}) if isinstance(preset, str) else {}), **values}


class TorchSettings(LearnSettings):
    """Where PyTorch reads images and learns."""

    augment_on: Literal["cpu", "device"] = "cpu"
    """Where images are cut and resampled: by the processes that read them, or whole batches on the GPU."""
    workers: int | None = Field(None, ge=0)
    """Processes that read images; by default one per core, 8 at most, with a CUDA GPU, else none."""
    device: Device = "auto"
    """Where to train."""

    @model_validator(mode="after")
    def _check_where(self) -> "TorchSettings":
        if self.augmentations == "astro" and self.augment_on == "device":
            raise ValueError("augmentations astro are made on the CPU. Leave out augment_on device.")
        return self


class TrainSettings(AnyTrainSettings, TorchSettings):
    """How a model is trained with PyTorch. The defaults are the preset `laptop`."""

    architecture: str = "resnet18"
    """Encoder: any model name of timm."""


KERAS_PRESETS = {**PRESETS, "decals": {**PRESETS["decals"], "architecture": "EfficientNetB0"}}


class KerasSettings(LearnSettings):
    """Where Keras reads images and learns."""

    augment_in_model: bool = False
    """Cut and resample whole batches in layers at the front of the model, instead of while reading."""
    workers: int | None = Field(None, ge=1)
    """Batches that are read at once; by default one per core."""
    device: Literal["auto", "cpu", "gpu"] = "auto"
    """Where to train."""

    @model_validator(mode="after")
    def _check_where(self) -> "KerasSettings":
        if self.augmentations == "astro" and self.augment_in_model:
            raise ValueError("augmentations astro are made while reading. Leave out augment_in_model.")
        return self


class KerasTrainSettings(AnyTrainSettings, KerasSettings):
    """How a model is trained with Keras. The defaults are the preset `laptop`."""

    _presets: ClassVar[dict[str, dict[str, Any]]] = KERAS_PRESETS
    architecture: str = "EfficientNetB0"
    """Encoder: any name of keras.applications."""


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


TASK_OF_SETTING = {
    "multi_label": "classification",
    "label_smoothing": "classification",
    "class_weights": "classification",
    "balanced_sampling": "classification",
    "unit_interval": "regression",
    "loss": "regression",
}


class BenchSettings(ImageSettings):
    """How the speed of this machine is measured."""

    architecture: str = "resnet18"
    """Encoder: any model name of timm."""
    image_size: int = Field(96, ge=48, le=4096)
    """Side of the model's square input, in pixels."""
    batch_size: int = Field(32, ge=1)
    """Galaxies per batch."""
    workers: list[Annotated[int, Field(ge=0)]] = Field([0, 1, 2], min_length=1)
    """Processes that read images; repeatable. The first is also used in training and prediction."""
    augment_on: Literal["cpu", "device"] = "cpu"
    """Where images are cut and resampled."""
    device: Device = "auto"
    """Where to train and predict."""
    precision: Precision = "32"
    """Arithmetic of the encoder."""
    seconds: float = Field(3.0, gt=0)
    """How long each thing is measured."""


class KerasBenchSettings(ImageSettings):
    """How the speed of this machine with Keras is measured."""

    architecture: str = "EfficientNetB0"
    """Encoder: any name of keras.applications."""
    image_size: int = Field(96, ge=48, le=4096)
    """Side of the model's square input, in pixels."""
    batch_size: int = Field(32, ge=1)
    """Galaxies per batch."""
    augment_in_model: bool = False
    """Cut and resample whole batches in layers at the front of the model, instead of while reading."""
    device: Literal["auto", "cpu", "gpu"] = "auto"
    """Where to train."""
    precision: Precision = "32"
    """Arithmetic of the encoder."""
    seconds: float = Field(3.0, gt=0)
    """How long each thing is measured."""


class PredictSettings(Settings):
    """How a model's predictions are made and written."""

    samples: int = Field(1, ge=1, le=1000)
    """Samples of each model's concentrations; with 1, those of the central view without dropout."""
    sample_by: Literal["dropout", "views", "both"] = "dropout"
    """How samples differ: other features left out (dropout), other random views of the image, or both."""
    seed: int = Field(0, ge=0, lt=2**32)
    """Seed of the samples."""
    shard: str | None = None
    """Predict one share of the parts, as I/N, such as 3/8. Under torchrun and srun each process takes its own."""
    engine: Literal["auto", "torch", "onnx"] = "auto"
    """What runs the encoder: auto is ONNX Runtime on a CPU where 'zoobot export' has left a model.onnx, else torch."""
    slurm_script: int | None = Field(None, ge=1)
    """Print a SLURM script that predicts in an array of so many jobs, instead of predicting."""
    calibrated: bool = True
    """Divide concentrations by the temperatures that 'zoobot calibrate' left in the model folder, where it did."""
    batch_size: int = Field(64, ge=1)
    """Galaxies per step."""
    format: Literal["parquet", "csv"] = "parquet"
    """Write Parquet, or Parquet and one CSV table of all galaxies."""
    on_bad_row: Literal["stop", "drop"] = "stop"
    """What to do about rows that cannot be used: stop, or leave them out and list them in rejected.csv."""
    on_bad_image: Literal["skip", "stop"] = "skip"
    """List unreadable images in rejected.csv and go on, or stop at the first."""
    part_size: int = Field(10_000, ge=1)
    """Galaxies in one Parquet file; also how many are held in memory."""
    workers: int | None = Field(None, ge=0)
    """Processes that read images; by default one per core, 8 at most, with a CUDA GPU, else none."""
    device: Device = "auto"
    """Where to predict."""
    precision: Precision = "32"
    """Arithmetic of the encoder."""


class EmbedSettings(ImageSettings):
    """How galaxies become features. What the encoder expects of images need not be given."""

    image_size: int = Field(224, ge=48, le=4096)
    """Side of the square input, in pixels; where the encoder was made for one size, that."""
    crop_bounds: tuple[float, float] = (0.6, 0.8)
    """The mean of these is the side of the central square that is seen, as a fraction of the image's shorter side."""
    pca: int | None = Field(None, ge=1)
    """Also write so many principal components, in pca_N.parquet, and what makes them, in pca_N.npz."""
    pca_from: Path | None = None
    """Make the principal components with this file, so that they can be compared with those of other galaxies."""
    shard: str | None = None
    """Embed one share of the parts, as I/N, such as 3/8. Under torchrun and srun each process takes its own."""
    batch_size: int = Field(64, ge=1)
    """Galaxies per step."""
    on_bad_row: Literal["stop", "drop"] = "stop"
    """What to do about rows that cannot be used: stop, or leave them out and list them in rejected.csv."""
    on_bad_image: Literal["skip", "stop"] = "skip"
    """List unreadable images in rejected.csv and go on, or stop at the first."""
    part_size: int = Field(10_000, ge=1)
    """Galaxies in one Parquet file; also how many are held in memory."""
    workers: int | None = Field(None, ge=0)
    """Processes that read images; by default one per core, 8 at most, with a CUDA GPU, else none."""
    device: Device = "auto"
    """Where to embed."""
    precision: Precision = "32"
    """Arithmetic of the encoder."""

    @model_validator(mode="after")
    def _check_crop(self) -> "EmbedSettings":
        _check_bounds("crop_bounds", self.crop_bounds, 0.0, 1.0)
        if self.pca is not None and self.pca_from is not None:
            raise ValueError("pca fits components and pca_from uses those of a file. Give one of them.")
        return self


class SimilarSettings(Settings):
    """How similar galaxies are found."""

    k: int = Field(20, ge=1)
    """How many."""


class AnomalySettings(Settings):
    """How unusual galaxies are found."""

    neighbours: int = Field(10, ge=1)
    """Nearest galaxies whose mean distance counts."""
    shown: int = Field(60, ge=1)
    """Galaxies in the gallery."""
    seed: int = Field(0, ge=0, lt=2**32)
    """Seed of the isolation forest."""


class MapSettings(Settings):
    """How a map of an embedding is drawn."""

    neighbours: int = Field(15, ge=2)
    """Nearest galaxies that are kept together."""
    cells: int = Field(30, ge=2, le=200)
    """Thumbnails along each side."""
    side: int = Field(48, ge=8, le=512)
    """Side of a thumbnail, in pixels."""
    seed: int = Field(0, ge=0, lt=2**32)
    """Seed of the layout."""


class AcquireSettings(Settings):
    """How galaxies are chosen that volunteers should see next."""

    n: int = Field(500, ge=1)
    """How many."""
    question: list[Name] = []
    """Question that counts; repeatable. By default all of the tree."""
    pool: int = Field(5, ge=1)
    """With embeddings, choose among so many times n of the most informative."""
    include_labelled: bool = False
    """Also choose galaxies that the model's catalog already had."""


class PushSettings(Settings):
    """How a model is shared."""

    dry_run: bool = False
    """Write the folder and send nothing."""
    private: bool = False
    """Make the repository visible to you alone."""


class ExportSettings(Settings):
    """How predictions are exported."""

    table: Literal["friendly", "advanced", "concentrations"] = "friendly"
    """Columns: friendly (fractions and likely answers), advanced (intervals, votes, entropy) or concentrations."""
    format: Literal["csv", "parquet", "hdf5", "fits"] = "csv"
    """Format of the file."""
    asked: Fraction = 0.5
    """In the friendly table, answers are blank where a smaller share of volunteers would be asked the question."""
    interval: float = Field(0.9, gt=0, lt=1)
    """Probability that an interval of a vote fraction holds."""
    volunteers: int = Field(40, ge=1)
    """Volunteers per galaxy that expected votes are given for."""


class ModelExportSettings(Settings):
    """How a model is written for other software."""

    format: Literal["onnx"] = "onnx"
    """Format of the file."""


class CalibrateSettings(CatalogSettings):
    """How a model's temperatures are fitted."""

    min_galaxies: int = Field(100, ge=1)
    """A question with votes for fewer validation galaxies keeps the temperature 1."""


class EvaluateSettings(CatalogSettings):
    """How predictions are compared with votes."""

    include_seen: bool = False
    """Score also the galaxies that the model was trained on, labelled 'seen in training'."""
    votes_for_fractions: int = Field(5, ge=1)
    """A question's vote fractions are compared for galaxies with at least so many votes for it."""
    by: list[Name] = []
    """Column of the catalog, such as magnitude or survey, by which scores are given too; repeatable."""
    compare: list[Path] = []
    """Other predictions of the same galaxies to compare with; repeatable."""
    resamples: int = Field(200, ge=20)
    """Resamples of the bootstrap."""
    gallery: int = Field(24, ge=0)
    """Galaxies of a random choice shown in the report; other galleries show at most so many."""
    seed: int = Field(0, ge=0)
    """Seed of the bootstrap, of randomised calibration and of the galaxies shown."""


class DemoSettings(Settings):
    """The main job on simulated galaxies."""

    galaxies: int = Field(2000, ge=50)
    """Galaxies to simulate."""
    tree: Literal["decals", "gz2"] = "decals"
    """Decision tree of the simulated volunteers."""
    epochs: int = Field(20, ge=1)
    """Passes over the training galaxies."""
    seed: int = Field(0, ge=0, lt=2**32)
    """Seed of the galaxies, the volunteers and the training."""


AnySettings = TypeVar("AnySettings", bound=Settings)


def load_settings(
    settings_class: type[AnySettings], config: Path | None, changes: list[str], given: Mapping[str, Any]
) -> AnySettings:
    """Settings from a YAML file, then `key=value` changes, then what was given; the later wins.

    Raises:
        SettingError: unreadable file, unknown name or wrong value; all of them at once.
    """
    return settings_class(**{**_read_yaml(config), **_read_changes(changes), **given})


def _read_yaml(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        values = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SettingError(f"The settings file '{path}' cannot be read: {error}") from error
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise SettingError(f"The settings file '{path}' must hold lines such as 'epochs: 20'.")
    return {str(name): value for name, value in values.items()}


def _read_changes(changes: list[str]) -> dict[str, Any]:
    values = {}
    for change in changes:
        key, equals, value = change.partition("=")
        try:
            values[key.strip().replace("-", "_")] = yaml.safe_load(value)
        except yaml.YAMLError:
            equals = ""
        if not equals:
            raise SettingError(
                f"--set must be given as key=value, such as epochs=20 or split=[0.7,0.1,0.2]. Got '{change}' instead."
            )
    return values


def _check_bounds(name: str, bounds: tuple[float, float], low: float, high: float) -> None:
    if not low < bounds[0] <= bounds[1] <= high:
        raise ValueError(
            f"{name} must be two numbers above {low:g} and up to {high:g}, the smaller one first. "
            f"Got {bounds[0]:g} {bounds[1]:g} instead."
        )


def _check_fractions(split: tuple[float, float, float]) -> None:
    if abs(sum(split) - 1) > 1e-6 or min(split[:2]) <= 0:
        raise ValueError(
            "split must be three fractions that sum to 1, for training, validation and test, the first two "
            f"above 0, such as 0.7 0.1 0.2. Got {split} instead."
        )


def _sentences(settings_class: type[Settings], error: ValidationError) -> str:
    lines = []
    for fault in error.errors():
        name = ".".join(str(part) for part in fault["loc"][:1])
        if fault["type"] == "extra_forbidden":
            lines.append(f"There is no setting '{name}'.{did_you_mean(name, settings_class.model_fields)}")
        elif fault["type"] == "tuple_type":
            lines.append(f"The setting '{name}' must be a list such as [0.5, 0.75]. Got {fault['input']!r} instead.")
        elif fault["type"] == "value_error":
            lines.append(str(fault["ctx"]["error"]))
        else:
            lines.append(f"The setting '{name}': {fault['msg']}. Got {fault['input']!r} instead.")
    return "\n".join(lines)

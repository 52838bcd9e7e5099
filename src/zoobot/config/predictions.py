"""How predictions are made and exported, and how galaxies are chosen by them."""

from typing import Literal

from pydantic import Field

from zoobot.config.settings import Settings
from zoobot.config.values import Device, Fraction, Name, Precision


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

"""Shares: a catalog predicted by several processes, each of which takes every N-th part."""

import logging
import os
import re
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from zoobot.config import PredictSettings
from zoobot.errors import OutputError, SettingError

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Share:
    """Share `number` of `of`, from 1."""

    number: int = 1
    of: int = 1

    def __str__(self) -> str:
        return f"share {self.number} of {self.of}"

    def has(self, part: int) -> bool:
        """Whether this share makes a part, counted from 0."""
        return part % self.of == self.number - 1


def find_share(given: str | None, environment: Mapping[str, str] = os.environ) -> Share:
    """The share that is given as `I/N`, else that of this process under torchrun or srun, else all.

    Raises:
        SettingError: not of the form `I/N` with I from 1 to N.
    """
    if given is not None:
        match = re.fullmatch(r"(\d+)/(\d+)", given)
        if not match or not 1 <= int(match[1]) <= int(match[2]):
            raise SettingError(f"--shard must be I/N with I from 1 to N, such as 3/8. Got '{given}' instead.")
        return Share(int(match[1]), int(match[2]))
    # SLURM_NTASKS is also set where srun did not start this process, and no other will take the other shares
    for rank, size in (("RANK", "WORLD_SIZE"), ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS")):
        if (
            environment.get(rank, "").isdecimal()
            and environment.get(size, "").isdecimal()
            and int(environment[size]) > 1
        ):
            return Share(int(environment[rank]) + 1, int(environment[size]))
    return Share()


def find_local_rank(environment: Mapping[str, str] = os.environ) -> int:
    """The number of this process among those of its machine, under torchrun and srun; otherwise 0."""
    rank = environment.get("LOCAL_RANK") or environment.get("SLURM_LOCALID") or ""
    return int(rank) if rank.isdecimal() else 0


def slurm_script(paths: Sequence[Path], output: str | Path, settings: PredictSettings, n_jobs: int) -> str:
    """A batch script that predicts in an array of jobs; each takes its share, and one that is requeued goes on."""
    left_out = {"slurm_script", "shard"}
    options = [
        _as_option(name.replace("_", "-"), value)
        for name, value in settings.model_dump(mode="json", exclude_defaults=True, exclude=left_out).items()
    ]
    words = [shlex.quote(str(Path(path).resolve())) for path in paths]
    target = f"--output {shlex.quote(str(Path(output).resolve()))}"
    command = " ".join(["zoobot predict", *words, target, *options, f'--shard "$SLURM_ARRAY_TASK_ID/{n_jobs}"'])
    return f"""#!/bin/bash
#SBATCH --job-name=zoobot-predict
#SBATCH --array=1-{n_jobs}
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=8
#SBATCH --gpus=1
#SBATCH --time=12:00:00
#SBATCH --requeue
# Change the lines above to what your cluster has; without GPUs, remove the line --gpus.
source {shlex.quote(sys.prefix)}/bin/activate
{command}"""


def _as_option(name: str, value: object) -> str:
    if isinstance(value, bool):
        return f"--{name}" if value else f"--no-{name}"
    return f"--{name} {shlex.quote(str(value))}"


@contextmanager
def claimed(share: Share, folder: Path) -> Iterator[None]:
    """Hold a folder, or a share of it; `OutputError` while another process holds it. A dead process holds nothing."""
    of = f" on {share}" if share.of > 1 else ""
    path = folder / f".share-{share.number}-of-{share.of}.lock"
    with path.open("w") as file:
        try:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except ImportError:  # no such locks on Windows
            pass
        except OSError:
            raise OutputError(
                f"Another process is at work in '{folder}'{of}. Wait for it, or end it to start again."
            ) from None
        try:
            yield
        finally:
            path.unlink(missing_ok=True)  # while it is held

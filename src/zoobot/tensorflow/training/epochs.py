"""What happens after each epoch: one line, the log, the best weights, and all that it takes to go on."""

import json
import math
import sys
from pathlib import Path
from typing import Any

import keras
import pandas as pd
from rich.progress import Progress, TextColumn

from zoobot.errors import OutputError
from zoobot.shared.run_folders import write_atomically
from zoobot.shared.training_curves import LEARNING_RATE, TIMING, EpochClock
from zoobot.shared.training_runs import announce_epoch

LOSSES = {"train": "", "validation": "val_"}
"""How Keras begins the names of losses."""


class KeptEpochs(keras.callbacks.Callback):  # type: ignore[misc]
    """Keeps the last epoch's whole state (weights, optimiser) and the best epoch's weights.

    `checkpoints/state.json` names the files that belong together, and is written after them: a run that is killed at
    any moment goes on from its last whole epoch.

    Args:
        run: the run's folder, which gets `checkpoints/` and `metrics.csv`.
        patience: epochs without a better validation loss after which training ends; None for never.
        seed: from which dropout follows, anew in each epoch.
    """

    def __init__(self, run: Path, epochs: int, patience: int | None, seed: int) -> None:
        super().__init__()
        self.run, self.epochs, self.patience, self.seed = run, epochs, patience, seed
        self.folder = run / "checkpoints"
        state = _read_state(self.folder)
        self.lines: list[dict[str, Any]] = state.get("lines", [])
        self.best_epoch: int | None = state.get("best_epoch")
        self._clock, self._images, self._rate = EpochClock(), 0, 0.0

    def restore(self, model: keras.Model) -> None:
        """Give a compiled model the state of the last epoch, if there was one."""
        if self.lines:
            model.optimizer.build(model.trainable_variables)
            path = self._path("last", len(self.lines))
            try:
                model.load_weights(path)
            except (OSError, ValueError) as error:
                raise OutputError(f"'{path}' is damaged or missing. Start again in another folder.") from error

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._clock.begin()
        self.model.draw_from(self.seed, epoch)

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if batch == self.params["steps"] - 1:
            self._rate = _read_number(self.model.optimizer.learning_rate)

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        # still that of the training, a mean over the images of the epoch; reading it waits for the device
        loss = next(metric for metric in self.model.metrics if metric.name == "loss")
        self._images = int(_read_number(loss.count))
        self._clock.end_training()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        line = {
            "epoch": epoch + 1,
            **_name_losses(logs or {}),
            LEARNING_RATE: self._rate,
            **self._clock.read(self._images),
        }
        self.folder.mkdir(exist_ok=True)
        self.lines.append(line)
        if self.best_epoch is None or _is_better(line, self.lines[self.best_epoch - 1]):
            self.best_epoch = epoch + 1
            self._save("best", epoch + 1)
        self._save("last", epoch + 1)
        state = {"lines": self.lines, "best_epoch": self.best_epoch}
        write_atomically(self.folder / "state.json", json.dumps(state, indent=1))
        write_atomically(self.run / "metrics.csv", pd.DataFrame(self.lines).to_csv(index=False))
        keep = {self.best_path(), self._path("last", epoch + 1)}
        for path in set(self.folder.glob("*.weights.h5")) - keep:
            path.unlink()
        losses = (line[f"{split}/loss"] for split in LOSSES)
        announce_epoch(epoch + 1, self.epochs, *(math.nan if loss is None else loss for loss in losses))
        if self.patience is not None and epoch + 1 - self.best_epoch >= self.patience:
            self.model.stop_training = True

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to be trained."""
        too_long = self.patience is not None and len(self.lines) - (self.best_epoch or 0) >= self.patience
        return len(self.lines) >= self.epochs or (bool(self.lines) and too_long)

    def best_path(self) -> Path:
        """The weights of the best epoch."""
        return self._path("best", self.best_epoch or 0)

    def history(self) -> dict[str, list[Any]]:
        """The training curve, one value per epoch."""
        columns = ("epoch", "train/loss", "validation/loss", LEARNING_RATE, *TIMING)
        return {name: [line.get(name) for line in self.lines] for name in columns}

    def _path(self, name: str, epoch: int) -> Path:
        return self.folder / f"{name}-{epoch:05d}.weights.h5"

    def _save(self, name: str, epoch: int) -> None:
        path = self._path(name, epoch)
        temporary = path.with_name(f".{path.name}")
        self.model.save_weights(temporary, overwrite=True)
        temporary.replace(path)


class ProgressBar(keras.callbacks.Callback):  # type: ignore[misc]
    """One bar for each epoch, with the loss."""

    def __init__(self) -> None:
        super().__init__()
        columns = (*Progress.get_default_columns(), TextColumn("{task.fields[loss]}"))
        self._progress = Progress(*columns, transient=True, disable=not sys.stderr.isatty())

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._progress.start()
        self._task = self._progress.add_task(f"Epoch {epoch + 1}", total=self.params["steps"], loss="")

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._progress.update(self._task, completed=batch + 1, loss=f"loss {float((logs or {}).get('loss', 0)):.3f}")

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._progress.remove_task(self._task)
        self._progress.stop()


def _read_number(value: Any) -> float:
    """Of a tensor or variable, which several devices may share."""
    return float(keras.ops.convert_to_numpy(value))


def _name_losses(logs: dict[str, Any]) -> dict[str, float | None]:
    """`train/loss`, `validation/loss` and those of questions, if any; None where a loss is not a finite number."""
    losses: dict[str, float | None] = {}
    for split, start in LOSSES.items():
        of = f"{start}question/"
        questions = {name[len(of) :]: float(loss) for name, loss in logs.items() if name.startswith(of)}
        named = {f"{split}/loss": sum(questions.values()) if questions else float(logs[f"{start}loss"])}
        named |= {f"{split}/question/{question}": loss for question, loss in questions.items()}
        losses |= {name: loss if math.isfinite(loss) else None for name, loss in named.items()}
    return losses


def _is_better(line: dict[str, Any], best: dict[str, Any]) -> bool:
    loss, least = line["validation/loss"], best["validation/loss"]
    return loss is not None and (least is None or loss < least)


def _read_state(folder: Path) -> dict[str, Any]:
    path = folder / "state.json"
    if not path.is_file():
        return {}
    try:
        state: dict[str, Any] = json.loads(path.read_text())
        return {name: state[name] for name in ("lines", "best_epoch")}
    except (ValueError, KeyError) as error:
        raise OutputError(f"'{path}' is damaged. Start again in another folder.") from error

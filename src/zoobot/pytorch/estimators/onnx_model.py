"""A model as ONNX: for other software, and for prediction on a CPU, where ONNX Runtime is several times as fast."""

import logging
import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from zoobot.config import ModelExportSettings
from zoobot.errors import ModelError, OutputError, require_extra
from zoobot.pytorch.estimators.define_model import ZoobotTree, normalise
from zoobot.pytorch.estimators.model_folder import load_model
from zoobot.shared.model_folders import WEIGHTS, file_checksum, read_model_folder

logger = logging.getLogger(__name__)

FILE = "model.onnx"
_CHECKSUM = "weights_sha256"
_TOLERANCE = 1e-3
"""Largest difference from torch, as a fraction of the spread of the outputs."""


@dataclass(frozen=True)
class ExportedModel:
    """What an export returns: the file, and how far its outputs are from torch's, as a fraction of their spread."""

    path: Path
    difference: float

    def __str__(self) -> str:
        return (
            f"Wrote {self.path}: input 'images', uint8 (galaxy, channel, height, width); outputs 'features' and "
            f"'concentrations'. They differ from torch's by {self.difference:.1e} of their spread at most."
        )


class _Outputs(nn.Module):
    def __init__(self, model: ZoobotTree) -> None:
        super().__init__()
        self.encoder, self.head = model.encoder, model.head

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        features = self.encoder(normalise(images))
        concentrations = self.head.low + (self.head.high - self.head.low) * torch.sigmoid(self.head.linear(features))
        return features, concentrations


class OnnxEncoder:
    """The encoder of a `model.onnx`, called with images as torch's own."""

    def __init__(self, path: Path) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.checksum = self._session.get_modelmeta().custom_metadata_map.get(_CHECKSUM)

    def __call__(self, images: Tensor) -> Tensor:
        return torch.from_numpy(self.run(images)[0])

    def run(self, images: Tensor) -> list[Any]:
        """Features and concentrations."""
        found: list[Any] = self._session.run(["features", "concentrations"], {"images": images.contiguous().numpy()})
        return found


def export(
    model: str | Path, output: str | Path | None = None, settings: ModelExportSettings | None = None
) -> ExportedModel:
    """Write a model as ONNX, and compare its outputs with torch's.

    Args:
        model: a model folder.
        output: the file; by default `model.onnx` in the model folder, which `zoobot predict` uses on a CPU.
        settings: the format, of which there is one.

    Raises:
        MissingExtraError: onnx, onnxscript or onnxruntime is not installed.
        ModelError: no model folder, an encoder that ONNX cannot hold, or outputs that differ.
        OutputError: the file cannot be written.
    """
    require_extra("onnx", ["onnx", "onnxscript", "onnxruntime"])
    folder = read_model_folder(model).path
    estimator = load_model(folder)
    path = folder / FILE if output is None else Path(output)
    temporary = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(estimator, temporary, file_checksum(folder / WEIGHTS))
        difference = _compare(estimator, OnnxEncoder(temporary))
        if not difference < _TOLERANCE:
            raise ModelError(
                f"The outputs of '{folder}' as ONNX differ from torch's by {difference:.1e} of their spread."
            )
        os.replace(temporary, path)
    except OSError as error:
        raise OutputError(f"'{path}' cannot be written: {error.strerror or error}.") from error
    finally:
        temporary.unlink(missing_ok=True)
    return ExportedModel(path, difference)


def find_encoder(folder: Path, device: torch.device, engine: str) -> OnnxEncoder | None:
    """The encoder of a model folder's `model.onnx`, if `engine` and the device want it; None to use torch.

    Raises:
        ModelError, MissingExtraError: the engine `onnx` is asked for, and cannot be had.
    """
    path = folder / FILE
    if engine == "torch" or (engine == "auto" and (device.type != "cpu" or not path.is_file())):
        return None
    try:
        require_extra("onnx", ["onnxruntime"])
    except ImportError:
        if engine == "onnx":
            raise
        return None
    if not path.is_file():
        raise ModelError(f"There is no '{path}' for --engine onnx. 'zoobot export {folder}' writes it.")
    encoder = OnnxEncoder(path)
    if encoder.checksum != file_checksum(folder / WEIGHTS):
        problem = (
            f"'{path}' was made of other weights than '{folder / WEIGHTS}'. 'zoobot export {folder}' makes it anew."
        )
        if engine == "onnx":
            raise ModelError(problem)
        logger.warning("%s torch predicts meanwhile.", problem)
        return None
    return encoder


def _write(estimator: ZoobotTree, path: Path, checksum: str) -> None:
    size = estimator.settings.image_size
    example = torch.zeros(2, estimator.channels, size, size, dtype=torch.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about torch's own means of export
        levels = {name: logging.getLogger(name).level for name in ("torch.onnx", "onnxscript", "onnx_ir")}
        for name in levels:
            logging.getLogger(name).setLevel(logging.ERROR)
        try:
            program = torch.onnx.export(
                _Outputs(estimator).eval(),
                (example,),
                dynamo=True,
                dynamic_shapes=({0: torch.export.Dim("galaxy")},),
                input_names=["images"],
                output_names=["features", "concentrations"],
                verbose=False,
            )
        except Exception as error:  # torch raises many types where an encoder does what ONNX cannot
            raise ModelError(f"The encoder cannot be written as ONNX: {error}") from error
        finally:
            for name, level in levels.items():
                logging.getLogger(name).setLevel(level)
    if program is None:
        raise ModelError("The encoder cannot be written as ONNX.")
    program.model.metadata_props[_CHECKSUM] = checksum
    program.save(path)


@torch.inference_mode()
def _compare(estimator: ZoobotTree, encoder: OnnxEncoder) -> float:
    size = estimator.settings.image_size
    pixels = np.random.default_rng(0).integers(0, 256, (3, estimator.channels, size, size), np.uint8)
    images = torch.from_numpy(pixels)
    expected = [output.numpy() for output in _Outputs(estimator).eval()(images)]
    return max(
        float(np.abs(found - right).max() / (right.std() or 1))
        for found, right in zip(encoder.run(images), expected, strict=True)
    )

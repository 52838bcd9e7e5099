"""Predicting onto a disk that fills up: a clear error, nothing lost, and it goes on once there is room.

sudo python benchmarks/full_disk.py    (it mounts a tmpfs of half a megabyte, then makes it larger)
"""

import subprocess
import tempfile
from pathlib import Path

import pandas as pd

from zoobot.config import PredictSettings, TrainSettings
from zoobot.errors import OutputError
from zoobot.pytorch.predictions.predict_on_catalog import predict
from zoobot.pytorch.training.train_with_pytorch_lightning import train
from zoobot.shared.predictions import read_predictions
from zoobot.shared.schemas import get_schema
from zoobot.shared.simulation import simulate_catalog


def main() -> None:
    schema = get_schema("gz2")
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        catalog, disk = folder / "catalog.csv", folder / "disk"
        simulate_catalog(folder, schema, n_galaxies=200, image_size=64)
        settings = TrainSettings(architecture="test_resnet", image_size=48, epochs=1, batch_size=16, device="cpu")
        model = train(catalog, schema, folder / "run", settings).folder
        disk.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", disk], check=True)
        try:
            in_parts = PredictSettings(part_size=20, device="cpu")
            try:
                predict(model, catalog, disk / "P", in_parts)
                raise SystemExit("The disk did not fill up.")
            except OutputError as error:
                print(f"{len(list((disk / 'P').glob('part-*')))} of 10 parts, then: {error}")
            subprocess.run(["mount", "-o", "remount,size=64m", disk], check=True)
            print(predict(model, catalog, disk / "P", in_parts))
            found = read_predictions(disk / "P").id_str
            assert found == pd.read_csv(catalog, dtype=str)["id_str"].tolist()
            print(f"{len(found)} galaxies, once each, in their order.")
        finally:
            subprocess.run(["umount", disk], check=True)


if __name__ == "__main__":
    main()

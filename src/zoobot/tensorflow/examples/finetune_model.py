"""Teach a pretrained encoder your own classes, then predict them for every galaxy. Copy this file and change it.

python finetune_model.py labelled.csv ring all.csv results RUN/model
"""

import logging
import sys
from pathlib import Path

from zoobot.config import KerasFinetuneSettings
from zoobot.tensorflow.predictions.predict_on_catalog import predict
from zoobot.tensorflow.training.finetune_on_catalog import finetune


def main(labelled: str, column: str, catalog: str, output: str, encoder: str) -> None:
    results = Path(output)
    finetuned = finetune(
        catalog=labelled,
        encoder=encoder,
        output=results / "run",
        settings=KerasFinetuneSettings(label=[column], epochs=30, linear_probe=True),
    )
    predicted = predict(finetuned.folder, catalog, results / "predictions")
    sys.stdout.write(f"{finetuned}\n{predicted}\n")


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")  # one line for each epoch
    main(*sys.argv[1:])

"""Train a model on your own galaxies, predict and evaluate. Copy this file and change what you need.

python train_model.py catalog.csv results
"""

import logging
import sys
from pathlib import Path

from zoobot.config import KerasTrainSettings
from zoobot.shared import label_metadata, reports, schemas
from zoobot.tensorflow.predictions.predict_on_catalog import predict
from zoobot.tensorflow.training.train_with_keras import train


def main(catalog: str, output: str) -> None:
    schema = schemas.Schema(label_metadata.gz2_pairs, label_metadata.gz2_dependencies, name="gz2")
    results = Path(output)

    trained = train(
        catalog=catalog,
        schema=schema,
        output=results / "run",
        settings=KerasTrainSettings(batch_size=32, color=False),
    )
    predict(trained.folder, catalog, results / "predictions")
    evaluation = reports.evaluate(results / "predictions", catalog, results / "report")
    sys.stdout.write(f"{trained}\n{evaluation}\n")


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")  # one line for each epoch
    main(*sys.argv[1:])

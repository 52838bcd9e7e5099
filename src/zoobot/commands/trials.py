"""Commands that try a machine, and zoobot itself."""

from pathlib import Path

from zoobot.commands.command import OUTPUT, Command, argument, option
from zoobot.config import BenchSettings, DemoSettings, KerasBenchSettings

COMMANDS = [
    Command(
        verb="bench",
        function="zoobot.pytorch.speed:bench",
        summary="Measure how fast this machine reads, trains and predicts.",
        details="Of a catalog, some galaxies are prepared in each format and compared with their files.",
        example="zoobot bench catalog.csv --schema gz2 --output speed.json",
        inputs={
            "catalog": (Path, argument("Table with id_str, file_loc and votes, or a prepared folder.")),
            "schema": (
                str | None,
                option("Decision tree: a name or a YAML file; prepared folders know theirs.", None),
            ),
            "output": (Path | None, option("JSON file to write.", None)),
        },
        settings=BenchSettings,
        with_keras=("zoobot.tensorflow.speed:bench", KerasBenchSettings),
    ),
    Command(
        verb="demo",
        function="zoobot.pytorch.examples.demo:run_demo",
        summary="Do the main job on simulated galaxies.",
        details="Simulates galaxies and volunteers, checks the catalog, trains, predicts and evaluates.",
        example="zoobot demo --output demo",
        inputs={"output": OUTPUT},
        settings=DemoSettings,
        with_keras=("zoobot.tensorflow.examples.demo:run_demo", DemoSettings),
    ),
]

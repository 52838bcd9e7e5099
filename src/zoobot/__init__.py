"""Galaxy morphology with deep learning, trained on the votes of Galaxy Zoo volunteers.

`zoobot.shared` knows no deep-learning framework: decision trees, catalogs, images, statistics, reports.
`zoobot.pytorch` trains and predicts with PyTorch. `zoobot.cli` is the command line.
Importing `zoobot` imports none of them.
"""

__version__ = "3.0.0.dev0"

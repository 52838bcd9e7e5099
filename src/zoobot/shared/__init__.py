"""What needs no deep-learning framework: trees, catalogs, images, statistics, reports."""

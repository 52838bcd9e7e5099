"""Training and prediction with PyTorch, Lightning and timm."""

from zoobot.errors import require_extra

require_extra("pytorch", ["torch", "torchvision", "timm", "lightning", "safetensors"])

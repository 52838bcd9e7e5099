.PHONY: demo demo-tensorflow test clean

# The interpreter that makes the environment: the first of these on the path, 3.11 to 3.13.
PYTHON ?= $(firstword $(foreach name,python3.13 python3.12 python3.11 python3,$(shell $(name) -c "import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))" 2>/dev/null && echo $(name))))
BIN := .venv/bin

demo: .venv/pytorch.installed
	$(BIN)/zoobot demo --output demo

demo-tensorflow: .venv-tensorflow/installed
	.venv-tensorflow/bin/zoobot demo --framework tensorflow --output demo-tensorflow

test: .venv/dev.installed .venv-tensorflow/installed
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/python -m pytest
	.venv-tensorflow/bin/python -m pytest tests/tensorflow

clean:
	rm -rf .venv .venv-tensorflow .venv-zoobot-2 demo demo-tensorflow build dist

.venv/bin/python:
	@test -n "$(PYTHON)" || { echo "zoobot needs Python 3.11, 3.12 or 3.13 on the path, or make PYTHON=/path/to/python"; exit 1; }
	$(PYTHON) -m venv .venv

.venv/pytorch.installed: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet -e ".[pytorch]"
	touch $@

.venv/dev.installed: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet -e ".[pytorch,onnx,dev]"
	touch $@ .venv/pytorch.installed

# TensorFlow has an environment of its own: in one process with torch's triton it aborts Python.
.venv-tensorflow/installed: pyproject.toml
	@test -n "$(PYTHON)" || { echo "zoobot needs Python 3.11, 3.12 or 3.13 on the path, or make PYTHON=/path/to/python"; exit 1; }
	test -x .venv-tensorflow/bin/python || $(PYTHON) -m venv .venv-tensorflow
	.venv-tensorflow/bin/python -m pip install --quiet -e ".[tensorflow,jax,test]"
	touch $@

# `make demo` and `make test` work in a fresh clone: each makes .venv from constraints.txt first.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
export PIP_CONSTRAINT := constraints.txt
export OMP_NUM_THREADS ?= 1

.PHONY: install demo check test test-all docs bench clean

install: $(STAMP)

# torch by itself and first: whatever else is installed then finds it. Where there is a CPU build (+cpu, Linux) it is
# taken from the indexes pip knows, else from PyTorch's own; elsewhere (macOS) the plain wheel has no CUDA anyway.
TORCH := torch==2.13.0
CPU_INDEX ?= https://download.pytorch.org/whl/cpu
PIP := $(BIN)/pip install -q --disable-pip-version-check

$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	if [ "$$(uname)" = Linux ]; then $(PIP) $(TORCH)+cpu 2>/dev/null || $(PIP) $(TORCH)+cpu --index-url $(CPU_INDEX); \
	else $(PIP) $(TORCH); fi
	$(PIP) -e '.[dev]'
	@if $(BIN)/pip list 2>/dev/null | grep -qi '^nvidia-'; then echo 'error: a CUDA package was installed; torch must be the CPU build'; exit 1; fi
	touch $@

demo: $(STAMP)
	$(BIN)/mindgap synth runs/demo-images --n 4000 --size 48 --bias .5
	$(BIN)/mindgap prepare --images runs/demo-images/images --metadata runs/demo-images/metadata.csv --id image_id --label label \
	  --attributes true_tone,sex --cluster lesion_id --masks runs/demo-images/masks --size 48 --out runs/demo-store
	$(BIN)/mindgap search runs/demo-store --attribute true_tone --preset quick --trials 12 --epochs 8 --workers 2 --out runs/demo
	@echo "open runs/demo/report.html in a browser"

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/basedpyright
	$(BIN)/lint-imports

test: $(STAMP) check
	$(BIN)/pytest -n 2 --dist loadfile

test-all: $(STAMP) check
	$(BIN)/pytest -n 2 --dist loadfile -m ''

docs: $(STAMP)
	$(BIN)/sphinx-build -W -q -b html docs docs/_build/html

bench: $(STAMP)
	for script in $(filter-out %/gpu_training.py,$(wildcard benchmarks/*.py)); do echo "== $$script"; $(BIN)/python $$script || exit 1; done

clean:
	rm -rf .venv build dist docs/_build .pytest_cache .ruff_cache

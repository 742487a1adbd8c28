# `make` alone lists the targets. Each sets up .venv once, and again when pyproject.toml has changed.

VENV := .venv
BIN := $(VENV)/bin
OUT := out
# Named on every pip line, so that pip keeps the build of torch that is there (a CPU build stays one).
# For another build: make TORCH=torch==<version> ...
TORCH := torch==2.13.0

COMFY_CLI_VERSION := comfy-cli==1.23.0
COMFY_CLI := $(VENV)/registry/bin/comfy --skip-prompt --no-enable-telemetry

# The first Python that is new enough; or make PYTHON=/path/to/python ...
NEW_ENOUGH := -c 'import sys; sys.exit(sys.version_info < (3, 11))'
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3 python; do \
	$$p $(NEW_ENOUGH) >/dev/null 2>&1 && echo $$p && break; done)

DEMO_PHOTO := assets/pictures/lake.jpg
DEMO_WORDS := the lake ripples, clouds drift left, snow falls softly, the camera slowly pushes in
DEMO_IMAGE := assets/demo-keyframe.png
DEMO_PROMPT := A bright yellow star moves to the left quickly over a night sky.

# In this order: each stage reads the files of those before it.
TRAIN_CONFIGS := $(foreach stage,autoencoder text image video tsr,configs/toybox-$(stage).toml)

.PHONY: help demo gallery bench gpu-check comfyui host test test-core test-comfyui test-full lint train clean
.DELETE_ON_ERROR:

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/.stamp-standalone ## a photo moves and lives without a model, and a keyframe by the embedded model
	@mkdir -p $(OUT)
	@start=$$(date +%s); \
	$(BIN)/microcinema animate $(DEMO_PHOTO) --prompt "$(DEMO_WORDS)" --out $(OUT)/demo-photo.mp4 && \
	$(BIN)/microcinema animate --image $(DEMO_IMAGE) --model toybox --prompt "$(DEMO_PROMPT)" \
		--out $(OUT)/demo.mp4 --contact-sheet $(OUT)/demo-sheet.png && \
	echo "A photo moves and lives, from words, with no model: $(OUT)/demo-photo.mp4" && \
	echo "A model moves what is in the picture: $(OUT)/demo.mp4; its frames as one picture: $(OUT)/demo-sheet.png" && \
	echo "It took $$(( $$(date +%s) - start )) s after set-up."

gallery: $(VENV)/.stamp-standalone ## make docs/results/gallery again, what is there already excepted: up to an hour on two cores
	$(BIN)/python -m studies.gallery --out docs/results/gallery
	$(BIN)/python -m studies.camera.pictures
	$(BIN)/python -m studies.layers.pictures

bench: $(VENV)/.stamp-dev ## speed and memory beside diffusers, into docs/results/bench: hours on a CPU, ten minutes with OPTIONS=--quick
	$(BIN)/python -m studies.speed $(OPTIONS)

gpu-check: $(VENV)/.stamp-dev ## everything on a GPU, right and how fast: three minutes; its table also in out/
	$(BIN)/python -m studies.gpu_check --out $(OUT) $(OPTIONS)

comfyui: $(VENV)/.created ## start ComfyUI with this pack; COMFYUI_PATH=... uses your own; OPTIONS="--port 8190 ..."
	@$(BIN)/python tests/host/run_host.py --torch "$(TORCH)" $(OPTIONS)

# The ComfyUI and the browser that the tests run in; nothing to do where they are there already.
host: $(VENV)/.created
	@$(BIN)/python tests/host/setup_host.py --torch "$(TORCH)"
	@$(BIN)/python tests/host/setup_browser.py

test: $(VENV)/.stamp-dev host ## the tests of every change: within a quarter of an hour on two cores
	$(BIN)/pytest -m "not slow"

test-core: $(VENV)/.stamp-dev ## those of them that need no ComfyUI
	$(BIN)/pytest -m "not slow" --ignore=tests/host

test-comfyui: $(VENV)/.stamp-dev host ## the others: the nodes, in ComfyUI
	$(BIN)/pytest -m "not slow" tests/host

test-full: $(VENV)/.stamp-dev host ## every test; writes docs/results/test-full.md
	@mkdir -p $(OUT)
	@$(BIN)/pytest --junitxml=$(OUT)/test-full.xml; status=$$?; \
	$(BIN)/python tests/write_report.py $(OUT)/test-full.xml docs/results/test-full.md && exit $$status

lint: $(VENV)/.stamp-dev $(VENV)/.stamp-registry ## ruff, mypy, and what ComfyUI's registry checks
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(COMFY_CLI) node validate
	$(COMFY_CLI) node pack
	@mkdir -p $(OUT) && mv node.zip $(OUT)/node.zip

train: $(VENV)/.stamp-train ## train the embedded model again, all stages: hours; goes on where it was stopped
	@for config in $(TRAIN_CONFIGS); do echo "== $$config"; $(BIN)/microcinema train $$config || exit; done

clean: ## remove caches and build products; keeps .venv, .comfyui and out
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . \( -path ./$(VENV) -o -path ./.comfyui \) -prune -o -name __pycache__ -prune -exec rm -rf {} +

# The registry's own tool, in an environment of its own: it brings many packages, none of them ours.
$(VENV)/.stamp-registry: | $(VENV)/.created
	$(PYTHON) -m venv $(VENV)/registry
	$(VENV)/registry/bin/python -m pip install --disable-pip-version-check --quiet $(COMFY_CLI_VERSION)
	@touch $@

# One environment, one stamp for each set of extras: .stamp-standalone, .stamp-train, .stamp-dev
$(VENV)/.stamp-%: pyproject.toml | $(VENV)/.created
	$(BIN)/python -m pip install --disable-pip-version-check $(TORCH)
	$(BIN)/python -m pip install --disable-pip-version-check $(TORCH) -e ".[$*]"
	@touch $@

$(VENV)/.created:
	@test -n "$(PYTHON)" || { echo "MicroCinema needs Python 3.11 or newer, and none was found:" \
		"install one, or name it with  make PYTHON=/path/to/python3.11 ..." >&2; exit 1; }
	@$(PYTHON) $(NEW_ENOUGH) || { echo "$(PYTHON) is older than Python 3.11 or does not run:" \
		"name another with  make PYTHON=/path/to/python3.11 ..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

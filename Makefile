# One command sets everything up and runs the app, one sets everything up and passes the tests.
#   CPU=1   install the CPU-only build of torch (Linux; saves several GB of CUDA libraries)

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
TORCH  := $(shell sed -n 's/^torch==/torch==/p' requirements.txt) $(shell sed -n 's/^torchvision==/torchvision==/p' requirements.txt)
CPU_INDEX := https://download.pytorch.org/whl/cpu

SPACE := build/space
NPM   := build/npm
ORT_FILES     := ort.wasm.bundle.min.mjs ort-wasm-simd-threaded.wasm
DEFAULT_MODEL := $(shell sed -n 's/^DEFAULT_MODEL = "\(.*\)"/\1/p' mushroom/checkpoint.py)

# Not pinned: torch asks for the ones it was built with, and the CPU-only build for none.
OF_TORCH := triton cuda-bindings cuda-pathfinder cuda-toolkit nvidia-cublas nvidia-cuda-cccl nvidia-cuda-cupti \
    nvidia-cuda-nvrtc nvidia-cuda-runtime nvidia-cudnn-cu13 nvidia-cufft nvidia-cufile nvidia-cusolver nvidia-cusparse \
    nvidia-cusparselt-cu13 nvidia-nccl-cu13 nvidia-nvjitlink nvidia-nvshmem-cu13 nvidia-nvtx

PINNED := --quiet --python-version 3.11 --no-annotate --custom-compile-command 'make requirements' $(addprefix --no-emit-package ,$(OF_TORCH))

.DEFAULT_GOAL := help
.PHONY: help app test slow types lint requirements readme bench fuzz soak space space-static browser-files clean

help: ## List what can be made
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

$(VENV)/app-ready: requirements.txt
	test -d $(VENV) || $(PYTHON) -m venv $(VENV)
	$(if $(CPU),$(BIN)/pip install --quiet --index-url $(CPU_INDEX) $(TORCH))
	$(BIN)/pip install --quiet -r requirements.txt
	touch $@

$(VENV)/test-ready: $(VENV)/app-ready requirements-dev.txt
	$(BIN)/pip install --quiet -r requirements-dev.txt
	touch $@

app: $(VENV)/app-ready ## Set everything up and open the app
	$(BIN)/streamlit run app.py

test: $(VENV)/test-ready browser-files ## Set everything up and run the tests
	$(BIN)/python -m pytest -n 2 --dist loadfile

slow: $(VENV)/test-ready ## The tests that take long: every backbone, the notebook's recipe, Ray
	$(BIN)/python -m pytest -m slow

lint: $(VENV)/test-ready ## Formatter, linter and the layers of imports
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	PYTHONPATH=. $(BIN)/lint-imports

types: $(VENV)/test-ready ## Type checker
	$(BIN)/mypy

requirements: ## Pin the newest versions that fit pyproject.toml, direct and indirect (wants uv)
	uv pip compile pyproject.toml --upgrade $(PINNED) -o requirements.txt
	uv pip compile pyproject.toml --extra dev -c requirements.txt $(PINNED) -o requirements-dev.txt

readme: $(VENV)/app-ready ## The README's numbers anew, from the reports of the weights that ship
	$(BIN)/python train.py summary

bench: $(VENV)/test-ready ## Print the measured times: training, heatmaps, app
	$(BIN)/python tests/bench/training.py
	$(BIN)/python tests/bench/training_before.py
	$(BIN)/python tests/bench/gradcam.py
	$(BIN)/python tests/bench/app.py
	$(BIN)/python tests/bench/predict.py
	$(BIN)/python tests/bench/predict.py --reduced
	$(BIN)/python tests/bench/archive.py
	$(BIN)/python tests/bench/device.py

fuzz: $(VENV)/test-ready ## Throw 20,000 damaged files at the photo reader
	$(BIN)/python tests/load/fuzz_photos.py 20000

soak: $(VENV)/test-ready ## Twenty visitors at once for five minutes
	$(BIN)/python tests/load/soak.py --minutes 5 --sessions 20

space: ## Assemble the folder of the hosted Space, as it would be pushed
	rm -rf $(SPACE)
	mkdir -p $(SPACE)
	git ls-files -z app.py mushroom assets/models assets/drawings assets/icon.png .streamlit requirements.txt \
	    requirements-dev.txt LICENSE | tar -c --null -T - | tar -x -C $(SPACE)
	cp assets/space/Dockerfile assets/space/README.md $(SPACE)
	@echo "Put it online (once logged in with: hf auth login):"
	@echo "  hf repos create USER/mushroom --type space --sdk docker --exist-ok"
	@echo "  hf upload USER/mushroom $(SPACE) . --type space"

# The versions of docs/browser/package-lock.json, checked by their hashes; scripts of packages are not run.
$(NPM)/ready: docs/browser/package.json docs/browser/package-lock.json
	mkdir -p $(NPM)
	cp docs/browser/package.json docs/browser/package-lock.json $(NPM)
	npm ci --prefix $(NPM) --ignore-scripts --no-audit --no-fund
	touch $@

browser-files: ## Fetch ONNX Runtime Web from npm, for the static page and its test
	@if command -v npm > /dev/null; then $(MAKE) --no-print-directory $(NPM)/ready; \
	else echo "There is no npm here: the test of docs/browser is skipped."; fi

space-static: $(VENV)/test-ready $(NPM)/ready ## Assemble the page that answers in the visitor's browser
	rm -rf $(SPACE)-static
	mkdir -p $(SPACE)-static
	cp docs/browser/index.html docs/browser/README.md $(SPACE)-static
	cp $(addprefix $(NPM)/node_modules/onnxruntime-web/dist/,$(ORT_FILES)) $(SPACE)-static
	$(BIN)/python train.py export $(or $(CHECKPOINT),$(DEFAULT_MODEL)) --out $(SPACE)-static/mushroom.onnx
	@echo "Look at it: python -m http.server -d $(SPACE)-static. Put it online (once logged in with: hf auth login):"
	@echo "  hf repos create USER/mushroom-browser --type space --sdk static --exist-ok"
	@echo "  hf upload USER/mushroom-browser $(SPACE)-static . --type space"

clean: ## Remove the virtual environment and caches
	rm -rf $(VENV) build .pytest_cache .ruff_cache .mypy_cache

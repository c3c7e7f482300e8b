# make demo | demo-video | demo-seg | demo-det | study-report | study | test | test-long |
#      test-faults | test-slurm | test-det | test-classic | dist-test | lint | docs | pretrain |
#      photo-weights | study-photo | study-photo-report | clean
# PYTHON is the interpreter that makes .venv (3.10 - 3.13).
PYTHON ?= python3
VENV ?= .venv
STACK ?= mminstall
# Further files of requirements/, such as EXTRAS=detection.
EXTRAS ?=
PY := $(VENV)/bin/python
RUN := PYTHONPATH=. $(PY)
STAMP := $(VENV)/.installed-$(subst $() $(),-,$(strip $(STACK) $(EXTRAS)))
# What a stack builds from source, it builds against these packages: they come first.
BUILD := $(wildcard requirements/$(STACK)-build.txt)
REQUIREMENTS := $(patsubst %,requirements/%.txt,$(STACK) tests deploy docs sweep $(EXTRAS))
MINI := assets/vit-mini-p4_fashion-mnist-28px.safetensors
PRETRAIN := configs/image/pretrain/vit-mini-p4_fashion-mnist-28px.py
STUDY := projects/transfer_study
NANO := $(STUDY)/assets/vit-nano-p7_fashion-mnist-28px.safetensors
NANO_PRETRAIN := $(STUDY)/configs/pretrain/vit-nano-p7_fashion-mnist-28px.py

.PHONY: install demo demo-video demo-seg demo-det study study-report test test-long \
    test-faults test-slurm test-det test-classic dist-test lint docs pretrain clean \
    photo-weights study-photo study-photo-report
install: $(STAMP)

# uv is ten times as fast; where it cannot be had, pip does the same.
$(STAMP): setup.py requirements/runtime.txt requirements/openmmlab.txt $(BUILD) $(REQUIREMENTS)
	test -x $(PY) || $(PYTHON) -m venv $(VENV)
	@echo "Installing the stack into $(VENV); this takes one to five minutes."
	if $(PY) -m pip install -q uv; then install="$(VENV)/bin/uv pip install -q --python $(PY)"; \
	else install="$(PY) -m pip install -q"; fi; \
	$(if $(BUILD),$$install -r $(BUILD) &&) \
	$$install $(if $(BUILD),--no-build-isolation) $(addprefix -r ,$(REQUIREMENTS)) -e .
	touch $@

demo: install
	$(RUN) tools/demo.py

demo-video: install
	$(RUN) tools/demo_video.py

demo-seg: install
	$(RUN) tools/demo_seg.py

# Detection has an environment of its own: mmpretrain imports the whole of mmdetection wherever it
# is installed, which takes every process some seconds.
DETECTION := VENV=.venv-detection EXTRAS=detection

demo-det:
	$(MAKE) install $(DETECTION)
	PYTHONPATH=. .venv-detection/bin/python tools/demo_det.py

test-det:
	$(MAKE) install $(DETECTION)
	PYTHONPATH=. .venv-detection/bin/python -m pytest -m "not long" \
	    tests/test_integrations/test_mmdet.py tests/test_compat.py

test: install
	$(RUN) -m pytest -n 2 --dist loadfile -m "not long and not slurm and not faults"

test-long: install
	$(RUN) -m pytest -m long

# Kills, full disks and bad input; prints the tables of docs/reliability.md. As root it also
# fills a disk of its own.
test-faults: install
	$(RUN) -m pytest -m faults

# Debian: apt-get install slurm-wlm munge. As root; starts a Slurm of one node and stops it.
test-slurm: install
	$(RUN) -m pytest -m slurm

# The same suite on torch 2.1; compiles mmcv (minutes to half an hour). Needs Python 3.10 or 3.11.
test-classic:
	$(MAKE) test STACK=mminstall-classic VENV=.venv-classic

# The sdist, the wheel from it, and a demo's first epoch with that in a fresh environment.
dist-test: install
	tests/dist_test.sh $(PY)

lint: install
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(RUN) -m mypy

docs: install
	$(RUN) -m sphinx -q -W --keep-going docs build/docs

# Makes the shipped ViT again (Debian: apt-get install dataset-fashion-mnist).
pretrain: install
	$(RUN) tools/dataset_converters/fashion_mnist.py
	$(RUN) tools/train.py $(PRETRAIN) --work-dir work_dirs/pretrain --resume
	$(RUN) tools/test.py $(PRETRAIN) $$(cat work_dirs/pretrain/last_checkpoint) \
	    --work-dir work_dirs/pretrain --out work_dirs/pretrain/metrics.json --out-item metrics
	$(RUN) tools/model_converters/publish.py $$(cat work_dirs/pretrain/last_checkpoint) $(MINI) \
	    --metrics work_dirs/pretrain/metrics.json --command "make pretrain"

# The transfer study: the committed records as a page, in seconds; and everything again, which
# takes hours on a CPU, goes on where it stopped, and needs Fashion-MNIST only without $(NANO).
study-report: install
	$(RUN) -m projects.transfer_study.report

study: install $(NANO)
	$(PY) -m pip install -q -r $(STUDY)/requirements.txt
	$(RUN) -m projects.transfer_study.write_tasks
	$(RUN) tools/sweep.py $(STUDY)/configs/suites/transfer_study_lr.py --launcher local --workers 2
	$(RUN) tools/sweep.py $(STUDY)/configs/suites/transfer_study.py --launcher local --workers 2
	$(RUN) -m projects.transfer_study.collect
	$(RUN) -m projects.transfer_study.report

$(NANO): | install
	$(RUN) tools/dataset_converters/fashion_mnist.py
	$(RUN) tools/train.py $(NANO_PRETRAIN) --work-dir work_dirs/pretrain-nano --resume
	$(RUN) tools/test.py $(NANO_PRETRAIN) $$(cat work_dirs/pretrain-nano/last_checkpoint) \
	    --work-dir work_dirs/pretrain-nano --out work_dirs/pretrain-nano/metrics.json \
	    --out-item metrics
	$(RUN) tools/model_converters/publish.py $$(cat work_dirs/pretrain-nano/last_checkpoint) $@ \
	    --metrics work_dirs/pretrain-nano/metrics.json --command "make study"

# The photo study on a public ViT-S/14, which is fetched (90 MB) and converted; SOURCES is the folder
# with clones of the four repositories that tools/dataset_converters/photo_tasks.py names.
PHOTO := projects/photo_study
SOURCES ?= data/sources

photo-weights: install
	$(RUN) -m projects.photo_study.fetch_weights

# Hours on a CPU; goes on where it stopped. The comparison comes first, then the ablations and the
# second seed.
study-photo: photo-weights
	$(RUN) tools/dataset_converters/photo_tasks.py data/photo --sources $(SOURCES)
	$(RUN) tools/sweep.py $(PHOTO)/configs/suites/photo_study_lr.py --workers 2
	$(RUN) -m projects.photo_study.choose_rates
	$(RUN) tools/sweep.py $(PHOTO)/configs/suites/photo_study.py --workers 2 --seeds 0 \
	    --methods linear adaptformer lora ssf dyt dyt-r0.7 dyt-ssf random-weights
	$(RUN) tools/sweep.py $(PHOTO)/configs/suites/photo_study.py --workers 2
	$(RUN) -m projects.photo_study.measure_speed
	$(RUN) -m projects.photo_study.collect
	$(RUN) -m projects.photo_study.report

study-photo-report: install
	$(RUN) -m projects.photo_study.report

clean:
	rm -rf $(VENV) .venv-classic .venv-detection build work_dirs data

# make demo      pre-label sample images and show them on one HTML page
# make annotate  open napari with a sample image and the annotator docked
# make test      every check and every test
# make lint      the checks that need no window
.DEFAULT_GOAL := help
.PHONY: help demo annotate test lint install qt-packages

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# The stamp is older than setup.cfg when dependencies changed: then, and only then, pip runs.
STAMP := $(VENV)/.installed

QT_PACKAGES := xvfb xauth libgl1 libegl1 libxkbcommon-x11-0 libdbus-1-3 libxcb-cursor0 libxcb-icccm4 libxcb-image0 \
  libxcb-keysyms1 libxcb-randr0 libxcb-render-util0 libxcb-xinerama0 libxcb-shape0 libglib2.0-0 libfontconfig1

help:
	@sed -n 's/^# make/make/p' Makefile

demo: $(STAMP)
	$(BIN)/psalm demo --out demo

annotate: $(STAMP) qt-packages
	@[ "$$(uname)" != Linux ] || [ -n "$$DISPLAY$$WAYLAND_DISPLAY" ] || \
	  { echo "There is no display to open a window on: set DISPLAY, or log in to a desktop." >&2; exit 1; }
	$(BIN)/napari "$$($(BIN)/python -m psalm.demo.images coins)" --with napari-psalm

test: lint qt-packages
	$(if $(shell command -v xvfb-run),xvfb-run --auto-servernum --server-args="-screen 0 1920x1080x24",QT_QPA_PLATFORM=offscreen) \
	  $(BIN)/python -m pytest

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/npe2 validate napari-psalm

install: $(STAMP)

qt-packages:
	@.ci/debian-packages $(QT_PACKAGES)

$(STAMP): setup.cfg
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed: set it with make PYTHON=python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || .ci/debian-packages python3-venv
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV); the first time this downloads torch and takes some minutes."
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[all,test]'
	@touch $@

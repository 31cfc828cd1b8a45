# Every target sets up what it needs: a virtual environment from PyPI, and Debian's packages for the tests' peers.
VENV ?= .venv
PY := $(VENV)/bin/python
PACKAGES := dcmtk orthanc tshark openssl openssh-client systemd
PEERS := storescu Orthanc tshark openssl ssh systemd-analyze
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)

.PHONY: run test check lint cover simulate bench peers clean

run: $(VENV)/.demo
	$(PY) -m ulproxy demo $(ARGS)

test: $(VENV)/.test peers
	$(PY) -m pytest -n 2 --dist loadfile $(ARGS)

check: lint cover

lint: $(VENV)/.test
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy

cover: $(VENV)/.test peers
	$(VENV)/bin/coverage run -m pytest $(ARGS)
	$(VENV)/bin/coverage report --include='ulproxy/pdu/*,ulproxy/dimse/*,ulproxy/policy/*,ulproxy/relay/*' --fail-under=100

# The relay between scripted peers on a simulated network, a world for each seed.
SEEDS := 10000
simulate: $(VENV)/.test
	$(PY) -m simulate --seeds $(SEEDS) --jobs $(shell nproc) $(ARGS)

# Measures, and makes the figures of benchmarks/README.md; with ARGS it does what they say and no more.
BENCH := $(PY) -m benchmarks --json benchmarks/measured.json; status=$$?; $(PY) -m benchmarks.readme && exit $$status
bench: $(VENV)/.test peers
	@[ -x /usr/sbin/haproxy ] && [ -e /usr/lib/nginx/modules/ngx_stream_module.so ] || { $(SUDO) apt-get update -q && \
	  DEBIAN_FRONTEND=noninteractive $(SUDO) apt-get install -yq haproxy nginx libnginx-mod-stream; }
	$(if $(ARGS),$(PY) -m benchmarks $(ARGS),$(BENCH))

# The real peers that the end-to-end tests talk to.
peers:
	@for peer in $(PEERS); do command -v $$peer >/dev/null || missing=$$peer; done; [ -z "$$missing" ] || { \
	  $(SUDO) apt-get update -q && DEBIAN_FRONTEND=noninteractive $(SUDO) apt-get install -yq $(PACKAGES); }

$(VENV)/bin/pip:
	python3 -m venv $(VENV) || { $(SUDO) apt-get update -q && $(SUDO) apt-get install -yq python3-venv && python3 -m venv --clear $(VENV); }

$(VENV)/.demo: pyproject.toml | $(VENV)/bin/pip
	$(PY) -m pip install -q -e '.[demo]'
	@touch $@

$(VENV)/.test: pyproject.toml | $(VENV)/bin/pip
	$(PY) -m pip install -q -e '.[demo,test,lint,bench]'
	@touch $@ $(VENV)/.demo

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage

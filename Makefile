# savu-spawner: what there is to run. `make` alone lists it.

VENV := .venv
PYTHON_BIN := $(VENV)/bin/python
STAMPS := .cache
# The machine's Node.js, or the one that dev/venv.sh put beside Python.
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
# Passes through private folders such as /root, for sessions that run as their users.
REACHABLE := $(PYTHON_BIN) -m demo.reachable

export PORT DEMO_DIR DEMO_PASSWORD IMAGE_REPOSITORY IMAGE_ENGINE IMAGE_BASES

.DEFAULT_GOAL := help
.PHONY: help demo bench kubernetes-demo kubernetes-demo-down test lint cluster cluster-down images clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-21s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "  make demo PORT=8123 DEMO_PASSWORD=…    choose; STORY=1 plays the steps by itself"

demo: $(STAMPS)/demo-packages $(STAMPS)/venv $(STAMPS)/proxy $(STAMPS)/page ## start the embedded default on this machine
	@exec $(REACHABLE) $(CURDIR)/$(PYTHON_BIN) -m demo $(if $(STORY),--story)

kubernetes-demo: $(STAMPS)/venv ## start the demo on a cluster: make cluster's, or KUBECONFIG's
	@$(PYTHON_BIN) -m demo.kubernetes up $(if $(STORY),--story)

kubernetes-demo-down: $(STAMPS)/venv ## remove the demo from the cluster
	@$(PYTHON_BIN) -m demo.kubernetes down

test: $(STAMPS)/test-packages $(STAMPS)/venv-test $(STAMPS)/venv-hub5 $(STAMPS)/proxy $(STAMPS)/page ## lint, then every test that this machine can run
	@dev/test.sh $(PYTEST)

lint: $(STAMPS)/venv-test $(STAMPS)/page ## ruff, mypy, import-linter, the page's types
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports
	npm --prefix docker/web/page run lint

# With KUBECONFIG set to somebody's own cluster these build and start none.
CLUSTER := $(or $(PYTHON),python3) -m dev.cluster

cluster: $(if $(KUBECONFIG),,$(STAMPS)/cluster-packages) ## build and start the development Kubernetes; NODES=2
	@$(CLUSTER) up --nodes $(or $(NODES),1)

cluster-down: ## end it and remove every trace of it
	@$(CLUSTER) down

bench: $(STAMPS)/venv-test ## figures against KubeSpawner; FULL=1 takes as long as it needs
	@$(PYTHON_BIN) -m bench $(if $(FULL),--full)

images: $(STAMPS)/images-packages ## build the images; load them into the cluster, or push them: IMAGE_REPOSITORY=…
	@$(or $(PYTHON),python3) -m dev.images

clean: ## remove what was installed and built below the checkout; data of the demo stays
	rm -rf $(VENV) .venv-hub5 $(STAMPS) node_modules docker/web/page/node_modules docker/web/savu_web/page

# -- What the targets need; a stamp is newer than what it was made from ---------------------------

SETUP := setup.cfg pyproject.toml $(wildcard docker/*/setup.cfg) dev/venv.sh

$(STAMPS)/demo-packages: dev/system-packages.sh
	@dev/system-packages.sh nginx slapd
	@mkdir -p $(@D) && touch $@

$(STAMPS)/test-packages: dev/system-packages.sh
	@dev/system-packages.sh nginx slapd chromium busybox || [ "$$CI" != true ]
	@mkdir -p $(@D) && touch $@

$(STAMPS)/cluster-packages: dev/system-packages.sh
	@dev/system-packages.sh containerd runc cni nft ip conntrack openssl unshare
	@mkdir -p $(@D) && touch $@

# Whatever builds images and is there; else Buildah, with a base that debootstrap makes.
$(STAMPS)/images-packages: dev/system-packages.sh
	@docker info >/dev/null 2>&1 || command -v podman >/dev/null || dev/system-packages.sh buildah debootstrap
	@mkdir -p $(@D) && touch $@

$(STAMPS)/venv: $(SETUP)
	@dev/venv.sh $(VENV) '[demo]'
	@mkdir -p $(@D) && touch $@

$(STAMPS)/venv-test: $(SETUP) $(STAMPS)/venv
	@dev/venv.sh $(VENV) '[demo,test,lint]'
	@mkdir -p $(@D) && touch $@

# JupyterHub 5.5, as zero-to-jupyterhub 4 ships it, for the hub tests.
$(STAMPS)/venv-hub5: $(SETUP)
	@dev/venv.sh .venv-hub5 '[demo]' 'jupyterhub>=5.5,<5.6'
	@mkdir -p $(@D) && touch $@

$(STAMPS)/proxy: package.json package-lock.json $(STAMPS)/venv
	@echo "configurable-http-proxy"
	@npm ci --loglevel=error
	@mkdir -p $(@D) && touch $@

$(STAMPS)/page-packages: docker/web/page/package.json docker/web/page/package-lock.json $(STAMPS)/venv
	@echo "npm packages of the page, a minute or two the first time"
	@npm --prefix docker/web/page ci --loglevel=error
	@mkdir -p $(@D) && touch $@

PAGE := $(shell find docker/web/page -path '*/node_modules' -prune -o -type f -print 2>/dev/null)

$(STAMPS)/page: $(STAMPS)/page-packages $(PAGE)
	@echo "Page"
	@npm --prefix docker/web/page run --silent build
	@mkdir -p $(@D) && touch $@

# The exchange hub. `make help` lists the targets; two are enough to begin:
#
#   make run     both provinces on this machine, with sample rows
#   make test    everything that needs only Go

GO      ?= go
TIME    ?= 20s
SCHEMAS_TIME ?= $(TIME)
WORLDS  ?= 1000
BIN     := bin
LINT    := $(GO) tool -modfile=deploy/tools/go.mod golangci-lint

.DEFAULT_GOAL := help
.PHONY: run build test unit e2e test-policies test-live clients test-faults check generated lint vet house bench fuzz generate fmt clean help

run: build ## Run both provinces on this machine, with sample rows (Ctrl-C ends)
	@$(BIN)/hub dev

build: ## Build hub, connector and hubctl into bin/
	@echo "building into $(BIN)/ (the first time this takes a minute or two) …"
	@$(GO) build -o $(BIN)/ ./cmd/...

test: unit e2e ## Run all tests that need only Go: the unit tests whole, end to end, mutants

# The race detector keeps every process for a second at its end unless told otherwise; memory is there to be used.
unit: ## Run the unit tests with the race detector, the longest of them in part: under a minute, no network
	GORACE=atexit_sleep_ms=20 GOGC=400 $(GO) test -p 4 -race -short ./...

e2e: ## Run the unit tests whole, and those that build and start the hub, kill it, and plant faults in it
	$(GO) test -tags=e2e -timeout 20m $$($(GO) list -tags=e2e ./... | grep -v /internal/mutants)
	$(GO) test -tags=e2e -timeout 40m ./internal/mutants

test-policies: ## Compare the policy engine with its reference interpreter on 100,000 worlds (WORLDS, in hundreds)
	HUB_WORLDS=$(WORLDS) GOGC=400 $(GO) test -timeout 60m -run 'TestReference|TestWhoEqualsBruteForce' ./policies

test-live: clients ## Run the tests against real engines and the clients of others (see .ci/run for what they need)
	$(GO) test -tags=live,e2e -timeout 20m -run 'Live' ./internal/redis ./cmd/...
	$(GO) test -tags=live -timeout 20m -run 'Live' ./internal/kafkalog
	$(GO) test -tags=live -timeout 20m -run 'Live' ./schemas/... ./gateway/httpapi
	HUB_PAIRS=10000 $(GO) test -v -timeout 20m -run 'TestAgainstOthers|TestResolutionAgainst|TestPlantedValues|TestRandomPredicates' ./schemas

CLIENTS := .clients

clients: $(CLIENTS)/node/ready $(CLIENTS)/venv/ready $(CLIENTS)/jars/ready ## Install the Avro and Kafka clients and the schema registry of others into .clients/

$(CLIENTS)/node/ready: deploy/clients/package.json
	@mkdir -p $(@D) && cp $< $(@D)/
	npm install --prefix $(@D) --silent --no-audit --no-fund --no-package-lock --ignore-scripts
	@touch $@

$(CLIENTS)/venv/ready: deploy/clients/requirements.txt
	python3 -m venv $(@D)
	$(@D)/bin/pip install --quiet --disable-pip-version-check -r $<
	@touch $@

$(CLIENTS)/jars/ready: deploy/clients/pom.xml
	@rm -rf $(@D) && mkdir -p $(@D)
	mvn --quiet --batch-mode --file $< dependency:copy-dependencies -DoutputDirectory=$(CURDIR)/$(@D)
	mkdir -p $(@D)/registry && tar -xzf $(@D)/apicurio-registry-app-*.tar.gz -C $(@D)/registry && rm $(@D)/*.tar.gz
	@touch $@

# How much of each long suite: whole by default, a tenth and less in .ci/run.
FAKE_ROUNDS  ?= 200
KAFKA_ROUNDS ?= 30
SAMPLE_ROWS  ?= 100000
MEMORY_ROWS  ?= 2000000
ROTATION     ?= 10m

test-faults: ## Run the long suites whole (two hours): faults of Kafka and of samples, keys exchanged and Vault away (one node, three), memory
	KAFKALOG_ROUNDS=$(FAKE_ROUNDS) $(GO) test -tags=faults -timeout 60m -count=1 -v -run 'TestFaultRoundsFake' ./internal/kafkalog
	KAFKALOG_ROUNDS=$(KAFKA_ROUNDS) $(GO) test -tags=faults -timeout 60m -count=1 -v -run 'TestFaultRoundsKafka' ./internal/kafkalog
	HUB_ROTATION_TIME=$(ROTATION) $(GO) test -tags=e2e -timeout 30m -count=1 -v -run 'RotationUnderLoad' ./cmd/hub
	HUB_SAMPLE_ROWS=$(SAMPLE_ROWS) $(GO) test -timeout 60m ./internal/sample
	HUB_MEMORY_ROWS=$(MEMORY_ROWS) $(GO) test -tags=e2e -timeout 120m -run 'TestMemoryIsFlat' ./connectors

check: generated lint vet house unit ## Everything that must hold before a commit

generated:
	$(GO) run ./internal/generate -check

lint: ## Lint and check the format
	$(LINT) run
	$(LINT) run --build-tags e2e ./cmd/... ./internal/...

vet:
	$(GO) vet ./...
	$(GO) vet -tags=e2e ./...
	$(GO) vet -tags=live ./...
	$(GO) vet -tags=faults ./internal/kafkalog

house: ## Check the rules of the house: imports, sizes, package comments
	$(GO) test ./internal/house

bench: build ## Compare speed with references, in one run
	@$(BIN)/hubctl bench

# Go's fuzzer sometimes fails with the end of its time and nothing else; what it finds, it writes down.
fuzz: ## Run every fuzz target for TIME each (default 20s), those that read schemas and records for SCHEMAS_TIME
	@set -e; for pkg in $$($(GO) list ./...); do \
	  for target in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
	    case $$target in FuzzView*|FuzzEncoder|FuzzParse|FuzzParseAvro|FuzzReader|FuzzRegistryRequest) time=$(SCHEMAS_TIME);; *) time=$(TIME);; esac; \
	    echo "== $$pkg $$target $$time"; \
	    out=$$($(GO) test -run '^$$' -fuzz "^$$target$$" -fuzztime $$time -fuzzminimizetime 1s $$pkg 2>&1) || { \
	      echo "$$out" | grep -q 'context deadline exceeded' && ! echo "$$out" | grep -Eq 'Failing input|panic:' || { echo "$$out"; exit 1; }; }; \
	    echo "$$out" | tail -n 2; \
	  done; done

generate: ## Write generated files anew: reference tables, ids of new schemas
	$(GO) run ./internal/generate

fmt: ## Format the source
	$(LINT) fmt

clean: ## Remove what was built and the demo's state
	rm -rf $(BIN) .hub-dev

help: ## List the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-13s %s\n", $$1, $$2}'

.DEFAULT_GOAL := help

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## Build bin/stile
	CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o bin/stile ./cmd/stile

.PHONY: test
test: ## Run every test; finds or installs Chromium and Node
	@scripts/test.sh

.PHONY: test-long
test-long: ## Run the tests that take hours too: load, timing, fuzzing
	@scripts/test.sh --long

.PHONY: bench
bench: ## Measure limits and journeys beside a floor, on SQLite and PostgreSQL (docs/performance.md)
	@scripts/bench.sh

.PHONY: bench-growth
bench-growth: ## Measure how cost grows with people (SQLite) and nodes (PostgreSQL)
	@go run ./internal/bench -what signup,signin -clients 8 -alg RS256 -users 1000,100000,1000000
	@scripts/bench.sh -what signup,signin -clients 8 -alg RS256 -nodes 1,2,3

.PHONY: bench-parts
bench-parts: ## Run the benchmarks of single parts
	go test -run='^$$' -bench=. -benchmem ./...

.PHONY: fmt
fmt: ## Format the Go files
	gofmt -w $$(find . -name node_modules -prune -o -name '*.go' -print)

.PHONY: lint
lint: bin/golangci-lint ## Run golangci-lint (built once, some minutes)
	bin/golangci-lint run ./...

.PHONY: vuln
vuln: bin/govulncheck ## Look for known vulnerabilities that are reached
	bin/govulncheck ./...

.PHONY: generate
generate: ## Write docs/flows.md and the golden documents again
	go test ./internal/flow -run=TestDiagramIsCurrent -update
	go test ./internal/idxapi -run=TestGoldenDocuments -update

bin/golangci-lint bin/govulncheck: tools/go.mod
	@mkdir -p bin
	@cd tools && go build -o ../$@ $$(go list -f '{{.ImportPath}}' tool | grep '/$(@F)$$') || \
		{ echo 'missing: $(@F), whose modules could not be downloaded; see tools/go.mod' >&2; exit 1; }

# What a developer runs. Nothing here is needed to use Graft: that is `go build`.
GO      ?= go
GRAFT   := ./cmd/graft
TARGETS := windows/amd64 darwin/arm64 linux/arm64
export CGO_ENABLED ?= 0

.DEFAULT_GOAL := build
.PHONY: build demo test race lint bench bench-peers generate cross test-all clean

build: ## the binary, into bin/
	$(GO) build -trimpath -o bin/ $(GRAFT)

demo: ## both stages on an embedded model, beside full training; writes ./graft-demo
	$(GO) run $(GRAFT) demo

test: ## everything that runs in minutes and needs nothing but Go
	$(GO) test ./...

race: ## the race detector where goroutines are; needs a C compiler
	CGO_ENABLED=1 $(GO) test -race -count=1 -timeout 10m -skip 'TestHugeEmbedding|TestTwentySteps|/vulkan|OnVulkan|(TestConformance|TestGemmShapes)/(avx2|avx512_|portable)|TestPairsShapes/(avx2|portable)' \
		./kernels/cpu ./kernels/plan ./tensor/... ./elo/train ./elo/data ./elo/compare
	CGO_ENABLED=1 $(GO) test -race -count=1 -run 'Pipeline' ./kernels/vulkan
	CGO_ENABLED=1 $(GO) test -race -count=1 -run 'Concurrent|Stream' ./model/tokenizer

lint: ## gofmt, vet, the repository's own rules; golangci-lint where it is installed
	@test -z "$$(git ls-files '*.go' | xargs gofmt -l | tee /dev/stderr)"
	$(GO) vet ./...
	$(GO) test -count=1 ./internal/house
	@if command -v golangci-lint >/dev/null; then golangci-lint run; else echo "golangci-lint is not installed: skipped"; fi

bench: ## benchmarks; figures count side by side in one run only
	$(GO) test -run '^$$' -bench . -benchmem ./bench ./kernels/cpu ./kernels/vulkan ./model/... ./elo/data

bench-peers: ## the CPU engine beside PyTorch, OpenBLAS and oneDNN (PYTHON has torch); the table goes to docs/results
	bench/peers.sh

generate: ## rebuild what is generated and show what changed; needs glslang-tools, spirv-tools, for matrix kernels .ci/matrix, $$GRAFT_DATA
	$(GO) generate ./...
	@git status --short
	@test -z "$$(git status --porcelain)" || { echo "generated files were stale, or the tree was not clean"; exit 1; }

cross: ## compile for systems that this is not, tests included
	@for t in $(TARGETS); do \
		echo $$t; \
		GOOS=$${t%/*} GOARCH=$${t#*/} $(GO) vet ./... && \
		GOOS=$${t%/*} GOARCH=$${t#*/} $(GO) build -o bin/$${t%/*}-$${t#*/}/ $(GRAFT) || exit 1; \
	done

test-all: ## the slow lanes too; writes docs/results/test-all.md
	./.ci/slow

clean:
	rm -rf bin graft-demo

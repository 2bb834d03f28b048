# SPDX-License-Identifier: Apache-2.0
# A thin front: what happens is in the scripts it calls, and each can be called without it.
#   make test-vm KERNEL=lts TEST='token_*'     one kernel, some tests
SHELL    := /bin/bash
PREFIX   ?= /usr/local
DESTDIR  ?=
KERNEL   ?= all
TEST     ?=
SECONDS  ?= 60
filter    = $(if $(TEST),--filter '$(TEST)')
kernels   = $(if $(filter all,$(KERNEL)),vm,$(foreach kernel,$(KERNEL),vm-$(kernel) vm-$(kernel)-policy vm-$(kernel)-attack vm-$(kernel)-guard vm-$(kernel)-apparmor))

.DEFAULT_GOAL := help
.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: deps deps-build deps-demo
deps: ## install what building and testing need (asks first; YES=1 says yes)
	@tools/deps build test

deps-build:
	@tools/deps build

deps-demo:
	@tools/deps build demo

.PHONY: build
build: ## compile everything into build/
	@tools/build

.PHONY: install
install: build ## install the programs (PREFIX=/usr/local, DESTDIR=)
	@DESTDIR='$(DESTDIR)' cmake --install build --prefix '$(PREFIX)'

.PHONY: demo
demo: deps-demo ## unmodified BPF programs without root, under grants; one is cut off while it runs
	@tools/build src/all examples/all
	@# Without tokens here it runs in a guest, which needs more packages.
	@build/bin/bpfwarden host check --require token >/dev/null 2>&1 || tools/deps guest
	@examples/demo/demo
	@echo 'next: `make demo-intercept`, any program, as it is, by its system calls'

.PHONY: demo-intercept
demo-intercept: deps-demo ## any program, by its system calls: Debian's opensnoop as nobody, a refusal and its reason, the audit
	@tools/build src/all
	@examples/demo/demo-intercept
	@echo 'next: `make demo-session`, a grant held open as a file descriptor, and taken back'

.PHONY: demo-session
demo-session: deps-demo ## a session: used after every privilege is dropped, passed on, revoked while its program runs
	@tools/build src/all examples/all
	@examples/demo/demo-session
	@echo 'next: `make demo-filter`, a seccomp filter in C, proven, and Debian'\''s curl under it'

.PHONY: demo-filter
demo-filter: deps-demo ## a seccomp filter in C: built, proven, explained, curl run under it, compared with libseccomp
	@tools/build src/all examples/all libseccomp_export
	@examples/demo/demo-filter
	@echo 'next: `make demo-policy`, Debian'\''s nginx under a policy, and attacks from inside it'

.PHONY: demo-policy
demo-policy: ## Debian's nginx under a policy, in guests: attacks from inside it, the audit, generations under load (KERNEL=lts)
	@tools/deps build demo guest
	@tools/build src/all examples/all bench_policy_cost
	@examples/demo/demo-policy $(filter-out all,$(KERNEL))
	@bench/run --lab '$(if $(filter all,$(KERNEL)),lts,$(KERNEL))' --part policy --quick
	@echo 'next: `make demo-guard`, a policy and somebody else'\''s program sealed against root'

.PHONY: demo-guard
demo-guard: ## a policy and somebody else's program, sealed, in guests: attacks of root, the record, changes under load (KERNEL=lts)
	@tools/deps build demo guest
	@tools/build src/all examples/all
	@examples/demo/demo-guard $(filter-out all,$(KERNEL))
	@echo 'next: `make bench-lab`, what a policy costs, with 10,000 rules, and of execs'

.PHONY: test test-unit test-root test-vm soak
test: deps ## every test: checks, unit, root, guests of three kernels, install
	@tools/build
	@tests/run

test-unit: build ## tests that need no privilege (TEST=pattern)
	@tests/run check unit $(filter)

test-root: build ## tests that need root on this machine (TEST=pattern)
	@tests/run root $(filter)

test-vm: build ## tests in guests (KERNEL=floor|lts|edge|all TEST=pattern)
	@tests/run $(kernels) $(filter)

soak: ## every test with large counts, and on a fresh Debian; takes hours
	@tools/deps build soak
	@tools/build
	@BPFWARDEN_SOAK=1 tests/run --soak
	@tools/fuzz --runs 10000000 notifier

.PHONY: bench
bench: build ## measure, as a table and as JSON
	@bench/run

.PHONY: bench-lab
bench-lab: build ## count instructions in a guest instead, which repeats (KERNEL=lts)
	@bench/run --lab '$(if $(filter all,$(KERNEL)),lts,$(KERNEL))'

.PHONY: man
man: build ## write the manual pages and completions anew from the command table
	@man/generate

.PHONY: fuzz
fuzz: ## run each fuzzer for a while (SECONDS=60)
	@tools/fuzz '$(SECONDS)'

.PHONY: attack-matrix
attack-matrix: build ## run the attack suites on all kernels, and write docs/attack-matrix.md anew
	@tests/run vm-floor-attack vm-lts-attack vm-edge-attack
	@tools/attack-matrix

.PHONY: check fmt
check: ## layers, licences, format, shell scripts, and clang-tidy on what changed
	@tests/run check
	@tools/tidy

fmt: ## format the sources
	@git ls-files -z -co --exclude-standard '*.cpp' '*.hpp' '*.h' '*.c' | xargs -0 -r clang-format-19 -i

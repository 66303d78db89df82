# `make` alone lists the targets. Each target can be repeated; a repetition does only what is new.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:
MAKEFLAGS += --no-print-directory

JOBS ?= $(shell nproc)
TEST_JOBS ?= 2
PREFIX ?= /usr/local
DESTDIR ?=
SOAK_SECONDS ?= 3600
SOAK_CLIENTS_SECONDS ?= 1200
FUZZ_SECONDS ?= 600
KILLS ?= 100
FUZZ_TARGETS ?=
SCENARIOS ?=
# ON: warnings are errors, as in continuous integration.
UNROLL_WERROR ?= OFF
TIDY_PARTS ?= base protocol model tokenizer engine daemon client config training
# tidy-changed: at most this many files, of this many commits, the newest first.
TIDY_FILES ?= 6
TIDY_COMMITS ?= 30
# A file for ctest's report in JUnit's format.
TEST_REPORT ?=

CPP_FILES = git ls-files '*.cc' '*.h' '*.hpp'
# Every test is its own process, and a few run side by side, so the model gets one thread in each.
CTEST = OMP_NUM_THREADS=1 ctest --output-on-failure --no-tests=error -j$(TEST_JOBS) \
  $(if $(TEST_REPORT),--output-junit $(abspath $(TEST_REPORT)))
# GCC 12's ThreadSanitizer cannot start if addresses are randomized as widely as in new kernels.
FIXED_ADDRESSES = $(shell setarch -R true 2>/dev/null && echo setarch -R)
export TSAN_OPTIONS ?= ignore_noninstrumented_modules=1:halt_on_error=1:suppressions=$(CURDIR)/tests/tsan_suppressions.txt

# $(call configure,PRESET,FOLDER,TESTS): TESTS is --tests or empty; if empty, tests are configured only if FOLDER has them
# already. Configures again after a change of LibTorch or of the options; Ninja notices changes of a CMakeLists.txt.
define configure
stamp="$(2)/configured"; tests="$(3)"; \
if grep -qs TESTS=ON "$$stamp"; then tests=--tests; fi; \
prefix="$$(scripts/setup.sh $$tests | tail -n 1)"; \
options="-DUNROLL_TESTS=$${tests:+ON} -DUNROLL_WERROR=$(UNROLL_WERROR)"; \
if [ ! -e "$(2)/build.ninja" ] || [ CMakePresets.json -nt "$$stamp" ] || [ "$$(cat "$$stamp" 2>/dev/null)" != "$$prefix $$options" ]; then \
  echo "make: configuring $(2) (preset $(1))"; \
  mkdir -p $(2); \
  cmake --fresh --preset $(1) -DCMAKE_PREFIX_PATH="$$prefix" $$options >$(2)/configure.log 2>&1 || { cat $(2)/configure.log; exit 1; }; \
  echo "$$prefix $$options" >"$$stamp"; \
fi
endef

.PHONY: help
help: ## List the targets (what `make` alone does)
	@echo "unroll: reads documents longer than any context window. Targets:"; \
	sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' $(firstword $(MAKEFILE_LIST)) | \
	  while IFS='|' read -r target text; do printf '%-20s %s\n' "$$target" "$$text"; done

.PHONY: setup
setup: ## Install what the build needs: Debian packages, LibTorch
	@echo "make: looking for what the build needs"
	@scripts/setup.sh >/dev/null

.PHONY: configure
configure:
	@echo "make: looking for what the tests need"
	@$(call configure,release,build,--tests)

.PHONY: build
build: ## Set up and build into build/: bin/unroll, bin/unrolld, plugins
	@echo "make: looking for what the build needs"
	@$(call configure,release,build)
	@echo "make: building into build/"
	@cmake --build build -j $(JOBS) --target programs
	@echo "make: built build/bin/unroll and build/bin/unrolld"

.PHONY: tests
tests: configure ## Set up and build everything, including the tests
	@echo "make: building into build/"
	@cmake --build build -j $(JOBS)

.PHONY: test
test: tests ## Build, run every test, check the format
	@echo "make: running the tests"
	@rm -rf build/reports
	@$(CTEST) --test-dir build
	@$(MAKE) check-format

.PHONY: soak
soak: tests ## Simulate crashes and faults of the engine (SOAK_SECONDS, an hour)
	@echo "make: simulating for $(SOAK_SECONDS) s"
	@build/bin/simulate --seconds $(SOAK_SECONDS)

.PHONY: soak-clients
soak-clients: tests ## Run good and hostile clients against a daemon, compare every byte (SOAK_CLIENTS_SECONDS, 20 minutes)
	@echo "make: clients at a daemon for $(SOAK_CLIENTS_SECONDS) s"
	@python3 -B tests/soak/soak.py --seconds $(SOAK_CLIENTS_SECONDS)

.PHONY: demo
demo: build ## Build, then read a real text and a real log with a daemon
	@scripts/demo.sh

.PHONY: format
format: ## Format the C++ files with clang-format
	@echo "make: formatting"
	@$(CPP_FILES) | xargs -r clang-format -i

.PHONY: check-format
check-format: ## List the C++ files that are not formatted
	@echo "make: checking the format"
	@scripts/setup.sh clang-format >/dev/null
	@$(CPP_FILES) | xargs -r clang-format --dry-run -Werror || { echo "make: run 'make format'"; exit 1; }

# clang cannot use GCC's precompiled header, nor one of its warning options: it gets its own list of commands.
define tidy
scripts/setup.sh clang-tidy >/dev/null </dev/null; \
mkdir -p build/tidy; \
sed -E 's| -Winvalid-pch -include [^ ]*cmake_pch\.hxx| -include ATen/ATen.h|; s/ -Werror//; s/ -Wno-restrict//' \
  build/compile_commands.json >build/tidy/compile_commands.json; \
xargs -r -n 1 -P $(TEST_JOBS) clang-tidy -p build/tidy --quiet
endef

.PHONY: tidy
tidy: tests ## Build, then check with clang-tidy (minutes; TIDY_PARTS=... for less)
	@echo "make: clang-tidy over $(TIDY_PARTS)"
	@git ls-files $(foreach part,$(TIDY_PARTS),'$(part)/*.cc') | { $(tidy); }

.PHONY: tidy-changed
tidy-changed: tests ## The same for the files that the newest commits changed
	@echo "make: clang-tidy over at most $(TIDY_FILES) files that the last $(TIDY_COMMITS) commits changed"
	@git log -n $(TIDY_COMMITS) --name-only --format= -- $(foreach part,$(TIDY_PARTS),'$(part)/*.cc') | \
	  awk 'n < $(TIDY_FILES) && !seen[$$0]++ && system("test -e " $$0) == 0 { print; ++n }' | { $(tidy); }

.PHONY: debug
debug: ## Set up and build for a debugger into build-debug/
	@echo "make: looking for what the build needs"
	@$(call configure,debug,build-debug,--tests)
	@echo "make: building into build-debug/"
	@cmake --build build-debug -j $(JOBS)

# Freed memory that ASan keeps (256 MB) would hide from the tests what a process gives back.
ASAN_TEST_OPTIONS ?= quarantine_size_mb=4:thread_local_quarantine_size_kb=64
.PHONY: asan
asan: ## Build and test with AddressSanitizer and UBSan in build-asan/
	@echo "make: looking for what the build needs"
	@$(call configure,asan,build-asan,--tests)
	@echo "make: building into build-asan/"
	@cmake --build build-asan -j $(JOBS)
	@echo "make: running the tests"
	@ASAN_OPTIONS=$(ASAN_TEST_OPTIONS) $(CTEST) --test-dir build-asan

.PHONY: tsan
tsan: ## Build and test with ThreadSanitizer in build-tsan/
	@echo "make: looking for what the build needs"
	@$(call configure,tsan,build-tsan,--tests)
	@echo "make: building into build-tsan/"
	@OMP_NUM_THREADS=1 $(FIXED_ADDRESSES) cmake --build build-tsan -j $(JOBS)
	@echo "make: running the tests"
	@export OMP_NUM_THREADS=1; $(FIXED_ADDRESSES) ctest --output-on-failure --no-tests=error -j$(TEST_JOBS) --test-dir build-tsan

.PHONY: nightly
nightly: ## Sanitizers over all tests, the simulation under ASan (SOAK_SECONDS, an hour), kills, cuts, fuzzing: many hours
	@$(MAKE) asan
	@$(MAKE) tsan
	@echo "make: kill -9 at $(KILLS) random moments"
	@UNROLL_TEST_KILLS=$(KILLS) OMP_NUM_THREADS=1 build-asan/bin/daemon_test --gtest_filter='*Kill*'
	@UNROLL_TEST_KILLS=$(KILLS) OMP_NUM_THREADS=1 build-asan/bin/client_batch_test --gtest_filter='BatchKill.*'
	@echo "make: documents cut at 200 random bytes"
	@$(MAKE) tests
	@python3 -B tests/soak/snapshot_cuts.py --model models/unroll-small
	@echo "make: simulating under AddressSanitizer for $(SOAK_SECONDS) s"
	@build-asan/bin/simulate --seconds $(SOAK_SECONDS)
	@python3 -B tests/fuzz/hostile_documents.py --extract build-asan/libexec/unroll/unroll-extract --count 60000
	@$(MAKE) fuzz

.PHONY: fuzz
fuzz: ## Fuzz the parsers of untrusted bytes, in build-fuzz/ (FUZZ_SECONDS each, 600; FUZZ_TARGETS=...)
	@echo "make: looking for what the build needs"
	@scripts/setup.sh clang libclang-rt-dev llvm >/dev/null
	@$(call configure,fuzz,build-fuzz)
	@echo "make: building into build-fuzz/"
	@cmake --build build-fuzz -j $(JOBS)
	@echo "make: fuzzing for $(FUZZ_SECONDS) s each"
	@tests/fuzz/run.sh build-fuzz $(FUZZ_SECONDS) $(FUZZ_TARGETS)

.PHONY: docs
docs: ## Build the manual into build/docs (HTML) and check its links (fetches Sphinx into build/docs-venv)
	@echo "make: building the manual into build/docs/"
	@if ! cmp -s docs/requirements.txt build/docs-venv/requirements.txt; then \
	  rm -rf build/docs-venv; \
	  python3 -c 'import ensurepip' 2>/dev/null || scripts/setup.sh python3-venv >/dev/null; \
  python3 -m venv build/docs-venv; \
	  build/docs-venv/bin/pip install --quiet --disable-pip-version-check -r docs/requirements.txt; \
	  cp docs/requirements.txt build/docs-venv/; \
	fi
	@build/docs-venv/bin/sphinx-build --quiet --fail-on-warning --keep-going -b html docs build/docs
	@echo "make: external links, which are not checked:"
	@python3 docs/check.py --list-external $$(test ! -x build/bin/unrolld || echo --unrolld build/bin/unrolld)
	@echo "make: open build/docs/index.html"

.PHONY: install
install: build ## Build, then install below PREFIX (/usr/local); takes DESTDIR
	@echo "make: installing below $(DESTDIR)$(PREFIX)"
	@DESTDIR="$(DESTDIR)" cmake --install build --prefix "$(PREFIX)" --strip

.PHONY: wheel
wheel: build ## Make Python wheels with the programs and the client into dist/
	@echo "make: packing wheels into dist/ (a minute)"
	@rm -rf build/wheel dist
	@DESTDIR=build/wheel cmake --install build --prefix /unroll --strip >/dev/null
	@scripts/wheel.sh build/wheel/unroll dist

.PHONY: check-frameworks
check-frameworks: build ## Test with Ray on a local cluster, datatrove and Parquet (fetches 300 MB)
	@echo "make: fetching Ray and datatrove into build/frameworks/"
	@test -x build/frameworks/bin/python || python3 -m venv build/frameworks
	@build/frameworks/bin/pip install --quiet --disable-pip-version-check -r clients/python/tests/requirements.txt
	@cmake --build build -j $(JOBS) --target write_tiny_model
	@PATH=$(CURDIR)/build/frameworks/bin:$$PATH OMP_NUM_THREADS=1 build/frameworks/bin/python -B tests/client/corpus_files.py \
	  build/bin/unroll build/tests/clients/tiny_model
	@cd clients/python && UNROLLD=$(CURDIR)/build/bin/unrolld UNROLL_MODEL=$(CURDIR)/build/tests/clients/tiny_model OMP_NUM_THREADS=1 \
	  $(CURDIR)/build/frameworks/bin/python -B -m unittest tests.test_frameworks

ST_SECONDS ?= 600
.PHONY: check-openapi
check-openapi: build ## Test the paths of openapi.json with schemathesis for ten minutes (ST_SECONDS=; fetches 30 MB)
	@test -x build/openapi/bin/python || python3 -m venv build/openapi
	@build/openapi/bin/pip install --quiet --disable-pip-version-check schemathesis==4.32.5
	@cmake --build build -j $(JOBS) --target write_tiny_model
	@OMP_NUM_THREADS=1 build/openapi/bin/python -B tests/daemon/check_openapi.py build/bin/unrolld build/tests/clients/tiny_model $(ST_SECONDS)

.PHONY: package
package: build ## Build Debian packages and an archive into build/packages/, check them with lintian
	@scripts/setup.sh file lintian >/dev/null
	@echo "make: packing into build/packages/ (minutes)"
	@rm -rf build/packages
	@cpack --config build/CPackConfig.cmake -G 'DEB;TGZ' -B build/packages
	@rm -rf build/packages/_CPack_Packages
	@echo "make: lintian"
	@lintian --fail-on error --tag-display-limit 0 --allow-root build/packages/*.deb

.PHONY: check-package
check-package: package ## Test the packages in a fresh Debian below a temporary folder (as root, minutes)
	@scripts/setup.sh debootstrap >/dev/null
	@tests/packages/chroot.sh build

.PHONY: check-booted
check-booted: package ## Test the packaged service under a real systemd in a container (as root, minutes)
	@scripts/setup.sh debootstrap systemd-container >/dev/null
	@tests/packages/booted.sh build/packages $(SCENARIOS)

.PHONY: check-image
check-image: package ## Execute the Dockerfile's last stage and start it as Docker would (as root, minutes)
	@scripts/setup.sh debootstrap >/dev/null
	@tests/packages/image.sh build/packages

.PHONY: check-alerts
check-alerts: ## Test the alert rules for Prometheus with Debian's promtool
	@tests/packages/alerts.sh

# Not through ctest, which would load LibTorch under qemu once for each test.
AARCH64_TESTS ?= tokenizer_test model_test pretrained_test
AARCH64_FILTER ?= *
.PHONY: check-aarch64
check-aarch64: ## Cross-compile for aarch64, test model and tokenizer under qemu (AARCH64_TESTS, AARCH64_FILTER)
	@echo "make: looking for a cross compiler, qemu and libraries for aarch64"
	@root="$$(scripts/setup.sh --aarch64 | tail -n 1)"; \
	mkdir -p build-aarch64; \
	cmake -S . -B build-aarch64 -G Ninja --toolchain cmake/aarch64.cmake -DUNROLL_AARCH64_ROOT="$$root" \
	  -DCMAKE_BUILD_TYPE=Release -DUNROLL_TESTS=ON -DUNROLL_CUDA=OFF -DUNROLL_WERROR=$(UNROLL_WERROR) \
	  -DCMAKE_GTEST_DISCOVER_TESTS_DISCOVERY_MODE=PRE_TEST >build-aarch64/configure.log 2>&1 || { cat build-aarch64/configure.log; exit 1; }; \
	echo "make: building into build-aarch64/"; \
	cmake --build build-aarch64 -j $(JOBS) --target $(AARCH64_TESTS); \
	for test in $(AARCH64_TESTS); do \
	  echo "make: $$test under qemu"; \
	  qemu-aarch64-static -L "$$root" build-aarch64/bin/$$test --gtest_brief=1 --gtest_filter='$(AARCH64_FILTER)'; \
	done

.PHONY: clang
clang: ## Build the programs with clang into build-clang/
	@echo "make: looking for what the build needs"
	@scripts/setup.sh clang >/dev/null
	@$(call configure,clang,build-clang)
	@echo "make: building into build-clang/"
	@cmake --build build-clang -j $(JOBS) --target programs

.PHONY: clean
clean: ## Remove the build folders
	@echo "make: removing build/ and build-*/"
	@rm -rf build build-debug build-asan build-tsan build-fuzz build-aarch64 build-clang

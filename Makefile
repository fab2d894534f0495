# SPDX-License-Identifier: Apache-2.0
#
# Aliases. What is built, and of what, is in meson.build; how tests run is in doc/testing.md.

MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help

# Options of `meson setup` for each build directory.
BUILD  := --buildtype=release
ASAN   := --buildtype=debugoptimized -Dfaults=true -Db_sanitize=address,undefined
FUZZ   := --buildtype=debugoptimized -Dfuzz=true -Dfaults=true -Db_sanitize=address,undefined

DATA    ?= data
LISTEN  ?= 127.0.0.1:5000
SECONDS ?= 60
KILLS   ?= 10000
SETS    ?= all

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1|/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "  make %-14s %s\n", $$1, $$2 }'

build: deps-build build/build.ninja ## compile the registry: build/ebb
	@ninja -C build ebb

run: build ## install what is missing, compile, serve LISTEN (127.0.0.1:5000) from DATA (./data)
	@build/ebb serve --listen $(LISTEN) --data $(DATA)

test: deps-build deps-test build-asan/build.ninja ## everything, with sanitizers; what the machine lacks is installed
	@ninja -C build-asan
	@tests/lab/mounted-root tools/run-tests

clients: deps-build deps-test deps-pip build ## every client, those from Go modules and Python packages included; SETS="go pip": some
	@tests/lab/go-clients .deps/bin
	@tests/lab/pip-clients .deps/pip
	@tests/lab/az-client .deps/az
	@EBB_BINARY=build/ebb tests/lab/mounted-root tests/clients/run $(SETS)

seeds: deps-build deps-test deps-pip build ## the manuals that people have, followed with docker, regctl, reg and az
	@tests/lab/go-clients .deps/bin
	@tests/lab/az-client .deps/az
	@EBB_BINARY=build/ebb tests/lab/mounted-root tests/seeds/run

fuzz: deps-build deps-test build-fuzz/build.ninja ## each fuzz target for SECONDS (60)
	@ninja -C build-fuzz
	@tools/run-fuzz build-fuzz $(SECONDS)

bench: deps-build deps-test deps-bench build ## measure, beside nginx and docker-registry
	@ninja -C build ebb bench/ebb-load
	@bench/run

soak: deps-build deps-test build-asan/build.ninja ## simulation, races, power losses and KILLS (10000) crashes with new seeds
	@ninja -C build-asan
	@tools/run-soak build-asan $(KILLS)

check-format: deps-test ## clang-format and shellcheck
	@tools/check-format

check-layers: deps-build ## which room includes which, sizes, words
	@tools/check-layers

clean: ## remove what was built; data and .deps stay
	@rm -rf build build-*

build/build.ninja:
	@meson setup build $(BUILD)

build-asan/build.ninja:
	@meson setup build-asan $(ASAN)

build-fuzz/build.ninja:
	@CC=clang meson setup build-fuzz $(FUZZ)

deps-%:
	@tools/install-deps $*

.PHONY: help build run test clients seeds fuzz bench soak check-format check-layers clean

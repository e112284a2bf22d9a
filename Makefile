# The door to the build; CMake does the work. See CONTRIBUTING.md.
#
#   make           library and examples, as released, in build/release
#   make demo      the examples, one after the other
#   make test      everything a change must pass (about ten minutes the first time)
#   make quick     gcc only
#   make bench     the benchmarks, beside their peers
#   make stress    long seeded tests
#   make install   PREFIX=/usr/local DESTDIR=
#   make format    clang-format all C;   make check-format   only look
#   make tidy      clang-tidy
#   make clean
#
# JOBS=n: processes at work, default all processors.

JOBS ?= $(shell nproc)
PREFIX ?= /usr/local
export JOBS

SHELL := /bin/bash
# CMake's own make shall not think that it is part of this one.
cmake := env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL cmake
release := build/release
c_files = $(shell find include src tests examples bench cli -name '*.[ch]' 2>/dev/null | sort)

all:
	@$(cmake) --preset release >/dev/null
	@$(cmake) --build $(release) --parallel $(JOBS)

demo:
	@tools/bootstrap.sh demo
	@$(MAKE) --no-print-directory all
	@bash examples/demo.sh "$(CURDIR)/$(release)"

test:
	@tools/bootstrap.sh test
	@tools/run_matrix.sh

quick:
	@tools/bootstrap.sh test
	@tools/run_matrix.sh gcc

stress:
	@tools/bootstrap.sh test
	@tools/run_matrix.sh stress

bench: all
	@tools/bootstrap.sh bench
	@bench/run

install: all
	@$(cmake) --install $(release) --prefix "$(PREFIX)"

format:
	@clang-format -i $(c_files)

check-format:
	@clang-format --dry-run -Werror $(c_files)

tidy:
	@$(cmake) --preset ci-clang >/dev/null
	@clang-tidy --quiet -p build/ci-clang $(filter-out src/plat/aarch64/%,$(filter src/%.c,$(c_files)))

clean:
	@rm -rf build

.PHONY: all demo test quick stress bench install format check-format tidy clean

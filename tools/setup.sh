#!/usr/bin/env bash
# Builds .venv with the pinned dependencies and the package itself, editable. Called by the Makefile; safe to run again.
#   PYTHON=/path/to/python3.12    which Python to use, instead of the first that fits
#   TORCH_INDEX=URL               where torch comes from, instead of the choice below; https://pypi.org/simple brings CUDA
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf 'setup: %s\n' "$*"; }
fail() {
    printf 'setup: %s\n' "$*" >&2
    exit 1
}
fits() { "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null; }

find_python() {
    local candidate
    for candidate in ${PYTHON:-python3.12 python3.11 python3}; do
        if fits "$candidate"; then
            echo "$candidate"
            return
        fi
    done
    fail "no Python 3.11 or 3.12 among: ${PYTHON:-python3.12 python3.11 python3}; install one or name it: PYTHON=/path/to/python"
}

make_venv() {
    if fits .venv/bin/python && .venv/bin/python -m pip --version >/dev/null 2>&1; then
        return
    fi
    local python
    python=$(find_python)
    "$python" -c 'import ensurepip, venv' 2>/dev/null || fail "$python cannot make virtual environments; on Debian: apt install python3-venv"
    say "making .venv with $("$python" --version) ($(command -v "$python"))"
    "$python" -m venv --clear .venv
}

pip() { .venv/bin/python -m pip --disable-pip-version-check "$@"; }

# PyPI's torch for Linux carries CUDA, gigabytes of it. Without an NVIDIA GPU the CPU build is taken instead: from a wheel that
# pip is configured to find on this machine, else from PyTorch's own index. What torch needs comes with the rest.
install_torch() {
    local version index=https://download.pytorch.org/whl/cpu
    version=$(sed -n 's/^torch==//p' constraints.txt)
    if [ -n "${TORCH_INDEX:-}" ]; then
        say "torch $version from $TORCH_INDEX"
        pip install --no-deps --index-url "$TORCH_INDEX" "torch==$version"
    elif [ "$(uname -s)" != Linux ] || nvidia-smi -L >/dev/null 2>&1; then
        say "torch $version: PyPI's build (an NVIDIA GPU, or not Linux)"
        pip install --no-deps "torch==$version"
    elif pip install --quiet --no-index --no-deps "torch==$version+cpu" 2>/dev/null; then
        say "torch $version: no NVIDIA GPU, the CPU build that pip finds on this machine"
    else
        say "torch $version: no NVIDIA GPU, the CPU build from $index"
        pip install --timeout 30 --retries 2 --no-deps --index-url "$index" "torch==$version+cpu" ||
            fail "no CPU build of torch $version for $(.venv/bin/python --version) at $index; name another index: TORCH_INDEX=URL"
    fi
}

make_venv
install_torch
say "the other pinned dependencies (constraints.txt) and masksem_graph itself"
pip install -qq --constraint constraints.txt --editable ".[dev]" # -qq: errors only
say "done: .venv/bin/masksem-graph"

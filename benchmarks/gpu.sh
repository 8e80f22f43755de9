#!/bin/bash
# On a machine with an NVIDIA GPU, PyTorch, transformers, safetensors and tokenizers, but neither Paddle nor a network:
# parity of a step with the CPU, and a clip of audioldm2-full's size beside diffusers, in at most two minutes; and the
# training of a model.
#
#   bash benchmarks/gpu.sh --wheels                # where pip reaches PyPI: what such a machine lacks, into .whl (8 MB)
#   bash benchmarks/gpu.sh                         # on the machine, in a copy of this folder with .whl
#   bash benchmarks/gpu.sh --small --device cpu    # a try without a GPU; takes minutes on a small machine
#   bash benchmarks/gpu.sh train --config recipes/tiny-gpu.toml -o runs --minutes 4.5    # docs/training.md
set -eu
cd "$(dirname "$0")/.."

if [ "${1:-}" = --wheels ]; then
    rm -rf .whl
    platforms=()
    for tag in _2_28 _2_27 _2_17 2014 1; do platforms+=(--platform "manylinux${tag}_x86_64"); done
    python3 -m pip download --quiet --no-deps --only-binary=:all: --python-version "${PYTHON_VERSION:-3.12}" \
        --implementation cp "${platforms[@]}" -d .whl diffusers==0.42.1 soxr==1.1.0 soundfile==0.14.0 cffi==2.1.1 \
        pycparser==3.12 platformdirs==4.14.8 pydantic==2.14.4 pydantic-core==2.50.5 typing-inspection==0.4.5 \
        annotated-types==0.8.0 tomli-w==1.2.0
    python3 - .whl/diffusers-*.whl <<'PYTHON'
"""Leave other models' pipelines out of the wheel, half of it, which are imported by name only."""
import pathlib, re, sys, zipfile
path = pathlib.Path(sys.argv[1])
left_out = re.compile(r"diffusers/(modular_pipelines|pipelines/(?!audioldm2/)[^/]+)/")
with zipfile.ZipFile(path) as whole:
    kept = {name: whole.read(name) for name in whole.namelist() if not left_out.match(name)}
with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as wheel:
    for name, content in kept.items():
        wheel.writestr(name, content)
PYTHON
    du -sh .whl
    exit
fi

# Wheels are archives of Python files: unpacked, they need no installation.
if [ -d .whl ]; then
    site=$(mktemp -d)
    trap 'rm -rf "$site"' EXIT
    for wheel in .whl/*.whl; do python3 -m zipfile -e "$wheel" "$site"; done
    export PYTHONPATH="$site${PYTHONPATH:+:$PYTHONPATH}"
fi
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}" PPAUDIOLDM_FRAMEWORK=torch
if [ "${1:-}" = train ]; then
    shift
    python3 -m ppaudioldm train chain --framework torch "$@"
else
    python3 benchmarks/gpu.py "$@"
fi

#!/bin/sh
# Make .venv hold exactly requirements/$1.lock (cpu or gpu) and this package, byte-compiled.
# Needs only a Python 3.11 to 3.13 with its venv module; uv comes from the hashed requirements/uv.lock.
set -eu
kind=$1
version='import sys; print(*sys.version_info[:2])'

if [ ! -x .venv/bin/uv ] ||
    { [ -n "${PYTHON:-}" ] && [ "$("$PYTHON" -c "$version" 2>/dev/null)" != "$(.venv/bin/python -c "$version")" ]; }; then
    for python in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
        "$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null && break
        python=
    done
    if [ -z "$python" ]; then
        echo "make env: needs Python 3.11, 3.12 or 3.13, found $(${PYTHON:-python3} --version 2>&1 | head -n 1);" \
            "load a module or name one: make env PYTHON=/path/to/python3.12" >&2
        exit 2
    fi
    if ! "$python" -m venv --clear .venv; then
        echo "make env: '$python -m venv' failed; on Debian and Ubuntu: apt install python3-venv" >&2
        exit 2
    fi
    .venv/bin/python -m pip install --quiet --require-hashes --no-deps -r requirements/uv.lock
fi

# Nothing may be compiled later on a compute node, so compile now: it halves the time of `import tensorflow`.
unset PYTHONDONTWRITEBYTECODE
.venv/bin/uv pip sync --quiet --require-hashes --compile-bytecode "requirements/$kind.lock"
.venv/bin/uv pip install --quiet --no-deps --no-build-isolation --editable .
.venv/bin/python -m compileall -q workflow
rm -f .venv/.cpu .venv/.gpu
touch ".venv/.$kind"

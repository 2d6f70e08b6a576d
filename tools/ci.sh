#!/usr/bin/env bash
# Installs from scratch, lints, runs the tests, and beside them checks types, opens exports with an older
# transformers, and runs the wheel in an environment of its own; then builds the site from the lessons
# that the tests have executed. Both .ci/run and .github/workflows/ci.yml run it.
set -euo pipefail
cd "$(dirname "$0")/.."
scratch="$(mktemp -d)"
trap 'rm -rf "$scratch"' EXIT

# a browser, which the tests of pages need and are skipped without
if command -v apt-get > /dev/null && ! command -v chromium > /dev/null; then
  { apt-get -qq update && DEBIAN_FRONTEND=noninteractive \
      apt-get -qq install -y --no-install-recommends chromium fonts-dejavu-core; } > /dev/null \
    || echo 'chromium cannot be installed: tests of pages are skipped'
fi

# network namespaces, which a test of two machines needs and is skipped without
if command -v apt-get > /dev/null && ! command -v ip > /dev/null; then
  { apt-get -qq update && apt-get -qq install -y --no-install-recommends iproute2; } > /dev/null \
    || echo 'iproute2 cannot be installed: the test of two machines is skipped'
fi

site() { "$1/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))'; }

# What is computed by one process after the other, beside the tests.
beside() {
  make VENV="$scratch/first" types

  # the last transformers before version 5, on top of what the first environment has
  python3 -m venv "$scratch/older"
  site "$scratch/first" > "$(site "$scratch/older")/first.pth"
  "$scratch/older/bin/pip" install --quiet \
    transformers==4.57.6 huggingface-hub==0.36.2 tokenizers==0.22.2
  PYTHONPATH=src "$scratch/older/bin/python" -m pytest tests/export/test_huggingface.py

  "$scratch/first/bin/python" -m build --wheel --outdir "$scratch/dist" .
  python3 -m venv "$scratch/second"
  "$scratch/second/bin/pip" install --quiet --constraint constraints.txt torch
  "$scratch/second/bin/pip" install --quiet --constraint constraints.txt "$scratch"/dist/*.whl
  cd "$scratch"
  second/bin/hornbook train names --steps 20 --out wheel-run
  second/bin/hornbook sample wheel-run -n 3
  second/bin/hornbook export wheel-run --to numpy
  second/bin/python wheel-run-numpy/sample.py -n 3
  second/bin/hornbook export wheel-run --to html
}

make VENV="$scratch/first" lint
beside > "$scratch/beside.txt" 2>&1 &
failed=0
make VENV="$scratch/first" test || failed=1
wait $! || failed=1
cat "$scratch/beside.txt"
HORNBOOK_LESSONS=fast make VENV="$scratch/first" docs || failed=1
exit $failed

#!/usr/bin/env bash
# Makes the virtual environment VENV with all that the project needs: set_up.sh PYTHON VENV.
# System packages arrive beside those of Python, and kernels are compiled while windows and tools are unpacked.
set -u
cd "$(dirname "$0")/.."
python=$1 venv=$2
extras=(napari editor workflow docs dev)

"$python" -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info[:2] < (3, 14) else
  "setup: Python 3.11 to 3.13 is needed, this is " + sys.version.split()[0] + "; name another with make PYTHON=python3.12")' || exit 1
trap 'kill $(jobs -p) 2>/dev/null' EXIT

# Modules are compiled when first imported: pip would compile all 21,000 of them, two minutes of one core.
install() {
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile --constraint constraints.txt "$@"
}

# What the extras ask for, without the project: to install it twice would take its commands away for a moment.
requirements_of() {
  "$venv/bin/python" -c 'import sys, tomllib
extras = tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]
print("\n".join(line for name in sys.argv[1:] for line in extras[name]))' "$@"
}

bash scripts/system_packages.sh &
system=$!
[ -x "$venv/bin/python" ] || "$python" -m venv "$venv" || {
  echo "setup: venv is missing; install it with: sudo apt-get install python3-venv" >&2
  exit 1
}
install --editable '.[rois]' || exit 1
wait $system || exit 1
echo "compiling the kernels, once; a few minutes"
"$venv/bin/python" scripts/compile_kernels.py &
kernels=$!
requirements_of "${extras[@]}" | install --requirement /dev/stdin || exit 1
wait $kernels || echo "setup: kernels could not be compiled ahead, so first runs take longer" >&2

#!/bin/sh
# Makes .venv: every package of the locked set, by its hash, as a wheel; then this project, editable.
# uv does it where uv is there, else PYTHON (python3.11) and its pip. The stamp is written last:
# an install that was interrupted has none, and starts again.
set -eu
cd "$(dirname "$0")/.."

python=${PYTHON:-python3.11}
environment=.venv
stamp=$environment/.installed
log=$(mktemp)
trap 'rm -f "$log"' EXIT

say() { printf '%s\n' "$*"; }
refuse() {
  printf 'make install: %s\n' "$*" >&2
  exit 1
}

refuse_with_log() {
  cat "$log" >&2
  refuse "$@"
}

with_uv() {
  { [ -d "$environment" ] || uv venv --quiet --python 3.11 "$environment"; } >"$log" 2>&1 &&
    uv pip install --quiet --python "$environment/bin/python" \
      --require-hashes --only-binary :all: --requirement requirements.txt >>"$log" 2>&1
}

with_pip() {
  { [ -d "$environment" ] || "$python" -m venv "$environment"; } >"$log" 2>&1 &&
    "$environment/bin/python" -m pip install --quiet --disable-pip-version-check \
      --require-hashes --only-binary :all: --requirement requirements.txt >>"$log" 2>&1
}

project() {
  "$environment/bin/python" -m pip install --quiet --disable-pip-version-check \
    --no-index --no-deps --no-build-isolation --editable . >"$log" 2>&1
}

# One sentence where pip cannot work, so that nobody has to read its log to learn it.
require_python() {
  command -v "$python" >/dev/null 2>&1 ||
    refuse "no $python here: install Python 3.11 or uv, or name one by PYTHON=/path/to/python3.11."
  "$python" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' >/dev/null 2>&1 ||
    refuse "$python is not Python 3.11, the last that PyBullet has wheels for:" \
      "install Python 3.11 or uv, or name one by PYTHON=/path/to/python3.11."
  "$python" -c 'import ensurepip, venv' >/dev/null 2>&1 ||
    refuse "$python has no venv module: install it (Debian, Ubuntu: python3.11-venv), or install uv."
}

system=$(uname -s) machine=$(uname -m)
[ "$system $machine" = "Linux x86_64" ] ||
  refuse "PyBullet has no wheel for $system $machine, only for Linux x86_64;" \
    "'pip install .' installs the packages without the simulator's PyBullet engine."

# An environment with its stamp is whole, and is brought up to date in place.
if [ -e "$stamp" ]; then
  say "Bringing $environment up to date."
else
  [ ! -d "$environment" ] || say "An earlier install did not finish; starting again."
  say "Installing the locked packages into $environment (about 0.4 GB to download)."
  rm -rf "$environment"
fi
rm -f "$stamp"

if ! command -v uv >/dev/null 2>&1; then
  require_python
  with_pip || refuse_with_log "pip could not install the locked set, see above."
elif ! with_uv; then
  sed 's/^/  uv: /' "$log" >&2
  say "uv could not do it (see above); trying $python and pip."
  require_python
  rm -rf "$environment"
  with_pip || refuse_with_log "pip could not install the locked set, see above."
fi
project || refuse_with_log "the project itself could not be installed, see above."

touch "$stamp"
say "Installed."

#!/bin/sh
# Adds the peers of the benches to .venv, by their hashes: all together, or else those that can be
# had. A bench runs without them: it says which are missing. The stamp is written only when the
# locked ones are all there.
set -eu
cd "$(dirname "$0")/.."

python=.venv/bin/python
stamp=.venv/.peers
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
log=$folder/log

say() { printf '%s\n' "$*"; }

install() {
  "$1" -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes \
    --requirement "$2" $3 >"$log" 2>&1
}

fault() { grep -m 1 ERROR "$log" | cut -c 1-160; }

# A requirement is a line that begins in the first column, and the indented ones after it.
one_by_one() {
  awk '/^[a-z]/ { print $1 }' requirements-bench.txt | while read -r pin; do
    awk -v pin="$pin" '/^[a-z]/ { mine = ($1 == pin) } mine' requirements-bench.txt \
      >"$folder/alone"
    PIP_RETRIES=1 install "$python" "$folder/alone" "--only-binary :all:" || say "  $pin: $(fault)"
  done
}

# The source of qpth can be read by an old pip and setuptools only ("numpy>=1<2"), and what they
# make of it forbids today's numpy: they build it in an environment of their own, and the modules
# alone are taken over.
qpth() {
  "$python" -c 'import qpth' 2>/dev/null && return
  cat >"$folder/tools" <<'END'
pip==24.0 --hash=sha256:ba0d021a166865d2265246961bec0152ff124de910c5cc39f1156ce3fa7c69dc
setuptools==65.7.0 --hash=sha256:8ab4f1dbf2b4a65f7eec5ad0c620e84c34111a68d3349833494b9088212214dd
wheel==0.45.1 --hash=sha256:708e7481cc80179af0e556bbf0cc00b8444c7321e2700b8d8580231d13017248
END
  cat >"$folder/source" <<'END'
qpth==0.0.18 --hash=sha256:ade478c6bf5ab60b7f86435c8893812c2c5938083fe8bccd775bb23d613fa3c5
END
  site=$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
  {
    "$python" -m venv "$folder/old" >"$log" 2>&1 &&
      install "$folder/old/bin/python" "$folder/tools" "--only-binary :all:" &&
      install "$folder/old/bin/python" "$folder/source" "--no-build-isolation --target $folder/new" &&
      cp -r "$folder/new/qpth" "$site"
  } || say "  qpth==0.0.18: $(fault)"
}

rm -f "$stamp"
say "Adding the benches' peers to .venv (about 0.4 GB to download)."
if install "$python" requirements-bench.txt "--only-binary :all:"; then
  touch "$stamp"
else
  say "Not all of them together; one by one, without:"
  one_by_one
fi
qpth

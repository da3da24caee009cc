# shellcheck shell=bash
# What packaging/demo and packaging/test share: system packages, .venv, the simulated driver, and the refusal to
# run against anything but the simulated driver. Sourced; the caller has `set -euo pipefail`.

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv=$top/.venv
# shellcheck disable=SC2034  # for whoever sources this
nvsim=$top/tests/simulator/nvsim

say() { printf '%s\n' "$*" >&2; }
die() { printf '%s: %s\n' "$(basename "$0")" "$*" >&2; exit 2; }

# Another interpreter than python3: PYTHON=python3.12 packaging/test
python=${PYTHON:-python3}

more_commands=()

# --- system packages -------------------------------------------------------------------------------------------

# Prints the Debian packages whose absence would be felt, one a line. Asks for what is used (a header, a command)
# and not for the package's name: on other distributions the same things come under other names.
missing_packages() {
  command -v "$python" >/dev/null || echo python3
  "$python" -c 'import ensurepip, venv' 2>/dev/null || echo python3-venv
  command -v cc >/dev/null && echo '#include <stdlib.h>' | cc -E - >/dev/null 2>&1 || printf '%s\n' gcc libc6-dev
  command -v make >/dev/null || echo make
  command -v pkg-config >/dev/null || echo pkg-config
  # systemd-python comes as source alone and is compiled against these two.
  pkg-config --exists libsystemd 2>/dev/null || echo libsystemd-dev
  [ -f "$("$python" -c 'import sysconfig; print(sysconfig.get_path("include"))' 2>/dev/null)/Python.h" ] ||
    echo python3-dev
  # Commands that whoever sources this needs as well; their packages have the same names.
  local command
  for command in "${more_commands[@]}"; do
    command -v "$command" >/dev/null || echo "$command"
  done
}

install_system_packages() {
  local missing
  mapfile -t missing < <(missing_packages)
  [ ${#missing[@]} -gt 0 ] || return 0
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    die "missing on this machine: ${missing[*]}
As root, run:  apt-get install --yes --no-install-recommends ${missing[*]}
(Debian's names; the same things under your distribution's names do as well.)"
  fi
  say "Installing system packages: ${missing[*]}"
  local log; log=$(mktemp)
  # The package lists are fetched only when the install does not work with those that are there.
  if ! apt_install "${missing[@]}" >"$log" 2>&1; then
    { apt-get update --quiet && apt_install "${missing[@]}"; } >"$log" 2>&1 ||
      { tail -n 20 "$log" >&2; rm -f "$log"; die "apt-get could not install: ${missing[*]}"; }
  fi
  rm -f "$log"
  mapfile -t missing < <(missing_packages)
  [ ${#missing[@]} -eq 0 ] || die "still missing after apt-get: ${missing[*]}"
}

# Tests that install tools of their own may run side by side, and wait for each other.
apt_install() {
  DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install --quiet --yes --no-install-recommends "$@"
}

# --- .venv -----------------------------------------------------------------------------------------------------

# One hash over the content of everything named on standard input (NUL-separated, existing files).
hash_files() { sort -z | xargs -0 -r sha256sum | sha256sum | cut -d' ' -f1; }

make_venv() {
  local wanted have=
  # The place counts: the commands in .venv/bin name it.
  wanted=$({ echo "$top"; "$python" --version; printf '%s\0' "$top/pyproject.toml" "$top/packaging/constraints.txt" | hash_files; } | tr '\n' ' ')
  [ ! -f "$venv/.dependencies" ] || have=$(<"$venv/.dependencies")
  if [ "$have" != "$wanted" ]; then
    say "Making .venv"
    "$python" -m venv --clear "$venv"
    # --constraint does not reach the packages that build other packages; these two variables do (older and
    # newer pip).
    PIP_CONSTRAINT=$top/packaging/constraints.txt PIP_BUILD_CONSTRAINT=$top/packaging/constraints.txt \
      quiet pip_ install hatchling "${top}[test]"
    # The project itself follows below, not here: it changes more often than what it depends on.
    quiet pip_ uninstall --yes gpu-tuned
    printf '%s' "$wanted" >"$venv/.dependencies"
  fi
  install_project
}

# Not editable and byte-compiled: an editable install would be slower to start and larger in memory than what users
# run, and hides files that were left out of the wheel.
install_project() {
  local wanted have=
  wanted=$(cd "$top" && find pyproject.toml daemon etc units -type f ! -name '*.pyc' -print0 | hash_files)
  [ ! -f "$venv/.project" ] || have=$(<"$venv/.project")
  [ "$have" != "$wanted" ] || return 0
  say "Installing gpu-tuned into .venv"
  rm -f "$venv/.project"
  quiet pip_ install --no-deps --no-build-isolation --force-reinstall "$top"
  # pip leaves bytecode out where the environment says so; then start-up and memory would not be what users have.
  env -u PYTHONDONTWRITEBYTECODE "$venv/bin/python" - <<'PY' || die "not byte-compiled"
import compileall, importlib.util, pathlib, sysconfig
site = pathlib.Path(sysconfig.get_path("purelib"))
compileall.compile_dir(site / "gpu_tuned", quiet=1)
sources = [site / "pynvml.py"]
for package in ("gpu_tuned", "sdnotify", "structlog", "varlink"):
    sources += (site / package).rglob("*.py")
missing = [str(path) for path in sources if not pathlib.Path(importlib.util.cache_from_source(path)).exists()]
raise SystemExit("no bytecode for: " + " ".join(missing) if missing else 0)
PY
  printf '%s' "$wanted" >"$venv/.project"
}

pip_() { env -u PYTHONDONTWRITEBYTECODE "$venv/bin/python" -m pip --disable-pip-version-check --no-input "$@"; }

# Runs a command and shows its output only when it fails.
quiet() {
  local log; log=$(mktemp)
  "$@" >"$log" 2>&1 || { tail -n 40 "$log" >&2; rm -f "$log"; die "failed: $*"; }
  rm -f "$log"
}

# --- the simulated driver --------------------------------------------------------------------------------------

make_simulator() { quiet make --no-print-directory -C "$top/tests/simulator"; }

# Refuses unless the libnvidia-ml.so.1 that the loader finds in this environment is the simulated one: nothing in
# here may ever write to somebody's card.
refuse_real_driver() { "$venv/bin/python" "$top/tests/marker.py" || exit 2; }

prepare() {
  # Two of these at once would pull .venv from under each other.
  exec 9<"$top/packaging"
  flock 9
  install_system_packages
  make_venv
  make_simulator
  exec 9<&-
}

#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# Sets up a Debian machine (or a descendant of Debian) to build vrfm: installs the distribution's
# packages, then builds Kokkos with Serial and OpenMP from the distribution's source package into
# a per-user prefix, which the presets search after everything that the user has named himself.
# Asks nothing, leaves apt's configuration alone, and does only what is still to be done.
set -eu

home="${HOME:?vrfm: HOME is not set}/.local/share/vrfm" # CMakePresets.json names the same place
prefix="$home/kokkos"
logs="$home/log"

packages="g++ cmake ninja-build xz-utils
  libeigen3-dev catch2 libcli11-dev nlohmann-json3-dev libbenchmark-dev libpng-dev libjpeg-dev libhdf5-dev zlib1g-dev
  librandom123-dev gnuplot-nox clang libomp-dev clang-format-16|clang-format libdnnl-dev| libopenmpi-dev openmpi-bin"

say() { printf 'vrfm: %s\n' "$*"; }
die() {
  say "$*" >&2
  exit 1
}

# step NAME LOG COMMAND...: runs a command quietly; a failure names the step and where its log is.
step() {
  step_name=$1 step_log="$logs/$2.log"
  shift 2
  say "$step_name"
  "$@" >"$step_log" 2>&1 </dev/null && return
  tail -n 20 "$step_log" >&2
  die "failed: $step_name. The whole log is in $step_log"
}

if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
  die "this set-up knows Debian and its descendants only; elsewhere install a C++20 compiler," \
    "CMake >= 3.25, Ninja, Eigen >= 3.4, Catch2, CLI11, nlohmann-json, libpng, libjpeg, HDF5, zlib, Google Benchmark," \
    "Random123, gnuplot, for many ranks an MPI, and Kokkos >= 3.4.01 with OpenMP, and name Kokkos' prefix in Kokkos_ROOT" \
    "(spack: export Kokkos_ROOT=\$(spack location -i kokkos+openmp); modules: load kokkos, or" \
    "export Kokkos_ROOT=<its prefix>), then run cmake --workflow --preset test"
fi
mkdir -p "$logs"

# ---- packages ------------------------------------------------------------------------------------

installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }
available() { apt-cache show --no-all-versions "$1" >/dev/null 2>&1; }

# libFuzzer's and the sanitizers' runtime has the version of the default clang in its name.
clang_runtime() {
  apt-cache depends clang 2>/dev/null |
    sed -n 's/.*Depends: clang-\([0-9]*\)$/libclang-rt-\1-dev/p' | head -n 1
}

# Of "a|b", b is installed only where the distribution has no a; of "a|", nothing.
missing_packages() {
  for package in $packages $(clang_runtime); do
    installed "${package%|*}" && continue
    case "$package" in
      *'|'*) if available "${package%|*}"; then package=${package%|*}; else package=${package#*|}; fi ;;
    esac
    [ -z "$package" ] || installed "$package" || printf '%s ' "$package"
  done
}

as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  else
    sudo -n "$@"
  fi
}

apt_install() {
  as_root env DEBIAN_FRONTEND=noninteractive APT_LISTCHANGES_FRONTEND=none NEEDRESTART_SUSPEND=1 \
    apt-get -y -q -o DPkg::Lock::Timeout=300 "$@"
}

missing=$(missing_packages)
if [ -n "$missing" ]; then
  if [ "$(id -u)" -ne 0 ] && ! sudo -n true 2>/dev/null; then
    die "these packages need root, or sudo without a password, to be installed: $missing"
  fi
  step "refresh apt's package lists" apt-update apt_install update
  missing=$(missing_packages) # a fresh machine's apt knows the compiler's version only now
  # shellcheck disable=SC2086
  step "install $missing" apt-install apt_install install --no-install-recommends $missing
fi

# ---- Kokkos --------------------------------------------------------------------------------------

work=$(mktemp -d "${TMPDIR:-/tmp}/vrfm-bootstrap.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

# Succeeds when a program can be configured against a Kokkos that has OpenMP, found as the presets
# find it. A packaged target that names a missing folder fails here only when a program uses it.
cat >"$work/CMakeLists.txt" <<'END'
cmake_minimum_required(VERSION 3.22)
project(probe LANGUAGES CXX)
find_package(Kokkos 3.4.01 CONFIG REQUIRED)
if(NOT "OPENMP" IN_LIST Kokkos_DEVICES)
  message(FATAL_ERROR "${Kokkos_DIR} has ${Kokkos_DEVICES} and no OpenMP")
endif()
file(WRITE "${CMAKE_BINARY_DIR}/probe.cpp" "int main() {}\n")
add_executable(probe "${CMAKE_BINARY_DIR}/probe.cpp")
target_link_libraries(probe PRIVATE Kokkos::kokkos)
file(WRITE "${CMAKE_BINARY_DIR}/found" "Kokkos ${Kokkos_VERSION} in ${Kokkos_DIR}")
END
probe() {
  rm -rf "$work/probe"
  CMAKE_PREFIX_PATH="${CMAKE_PREFIX_PATH:-}:$prefix" \
    cmake -S "$work" -B "$work/probe" -G Ninja >"$logs/kokkos-probe.log" 2>&1
}

# Which source package holds Kokkos: its own where the distribution has one, else Trilinos.
kokkos_package() {
  if available libkokkos-dev; then
    echo "libkokkos-dev kokkos ."
  else
    echo "libtrilinos-kokkos-dev trilinos packages/kokkos"
  fi
}

# Copies the entry of apt's sources that offers binary package $1, asking for sources instead, and
# lets an apt with its own state folders fetch (and verify) the upstream archive of source package $2.
fetch_source() {
  uri=$(apt-get download --print-uris "$1" | sed -n "s/^'\([^']*\)'.*/\1/p")
  [ -n "$uri" ] || { echo "apt offers no package $1"; return 1; }
  mkdir -p "$work/sources.list.d" "$work/lists/partial" "$work/cache/archives/partial" "$work/archive"
  apt-get indextargets --format '$(SOURCESENTRY)|$(REPO_URI)' 'Created-By: Packages' | sort -u >"$work/targets"
  while IFS='|' read -r entry site; do
    file=${entry%:*}
    case "$uri" in "$site"*) ;; *) continue ;; esac
    case "$file" in
      *.sources) sed 's/^[Tt]ypes:.*/Types: deb-src/' "$file" ;;
      *) sed -n 's/^[[:space:]]*deb[[:space:]]/deb-src /p' "$file" ;;
    esac >"$work/sources.list.d/${file##*/}"
  done <"$work/targets"
  grep -rH . "$work/sources.list.d" || { echo "apt's sources name no archive of $uri"; return 1; }

  set -- "$2" -o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts="$work/sources.list.d" \
    -o Dir::State::lists="$work/lists" -o Dir::Cache="$work/cache" -o APT::Sandbox::User= \
    -o Acquire::Languages=none -q
  source=$1
  shift
  # Another entry of the same file may offer no sources: what counts is that this one is found.
  apt-get "$@" update || echo "some of these lists could not be fetched"
  (cd "$work/archive" && apt-get "$@" source --download-only --tar-only "$source")
}

unpack_source() {
  mkdir "$work/source"
  for archive in "$work"/archive/*.orig.tar.*; do
    if [ "$1" = . ]; then
      tar -xf "$archive" -C "$work/source" --strip-components=1 || return 1
    else
      tar -xf "$archive" -C "$work/source" --strip-components=1 --wildcards "*/$1/*" ||
        return 1
    fi
  done
  test -f "$work/source/$1/CMakeLists.txt"
}

configure_kokkos() {
  cmake -S "$work/source/$1" -B "$work/build" -G Ninja -DCMAKE_BUILD_TYPE=Release \
    -DCMAKE_INSTALL_PREFIX="$prefix" -DCMAKE_INSTALL_LIBDIR=lib -DBUILD_SHARED_LIBS=OFF \
    -DCMAKE_POSITION_INDEPENDENT_CODE=ON -DKokkos_ENABLE_SERIAL=ON -DKokkos_ENABLE_OPENMP=ON \
    -DKokkos_ENABLE_TESTS=OFF -DKokkos_ENABLE_EXAMPLES=OFF
}

# The finished tree is moved into place in one go, so a broken-off build leaves no half prefix.
install_kokkos() {
  DESTDIR="$work/stage" cmake --install "$work/build" &&
    rm -rf "$prefix" && mv "$work/stage$prefix" "$prefix"
}

if ! probe; then
  # shellcheck disable=SC2046
  set -- $(kokkos_package)
  step "fetch the source package $2" kokkos-fetch fetch_source "$1" "$2"
  step "unpack Kokkos" kokkos-unpack unpack_source "$3"
  step "configure Kokkos with Serial and OpenMP" kokkos-configure configure_kokkos "$3"
  step "build Kokkos" kokkos-build cmake --build "$work/build"
  step "install Kokkos into $prefix" kokkos-install install_kokkos
  probe || die "failed: use the new Kokkos. The whole log is in $logs/kokkos-probe.log"
fi
say "ready: $(cat "$work/probe/found")"

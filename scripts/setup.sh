#!/usr/bin/env bash
# Installs what the build needs and this machine lacks: Debian packages, and LibTorch from the PyPI wheel. --tests: also
# what the tests need. Prints one line for each action; can be repeated. The last line of stdout is LibTorch's prefix.
# --aarch64: a cross compiler, qemu, and a folder with the libraries for aarch64, whose path is the last line.
#   setup.sh [--tests] [MORE_DEBIAN_PACKAGES...]
#   setup.sh --aarch64
set -euo pipefail
cd "$(dirname "$0")/.."

tools=(build-essential cmake ninja-build ccache pkg-config unzip)
libraries=(libboost-dev nlohmann-json3-dev libsentencepiece-dev libicu-dev libspdlog-dev libsqlite3-dev libsystemd-dev libjemalloc-dev
  zlib1g-dev liblzma-dev libzstd-dev libxxhash-dev nettle-dev libcurl4-openssl-dev libarchive-dev libseccomp-dev libcli11-dev
  libbz2-dev libxml2-dev libuchardet-dev libmd4c-dev libcld2-dev libstemmer-dev)
test_libraries=(libgtest-dev libgmock-dev libbenchmark-dev)
packages=("${tools[@]}" "${libraries[@]}")
machine="$(uname -m)"
for_aarch64=
if [ "${1:-}" = --tests ]; then
  shift
  packages+=("${test_libraries[@]}" clang-format git socat curl xz-utils zstd bzip2 python3-numpy
    poppler-utils             # pdftotext, which reads PDFs
    systemd-journal-remote    # makes journals for the tests of unroll follow
    unicode-data              # Unicode's SentenceBreakTest
    abigail-tools             # compares the plugin ABI with the one that was promised
    chromium-headless-shell)  # opens the pages that unroll writes
elif [ "${1:-}" = --aarch64 ]; then
  shift
  machine=aarch64 for_aarch64=yes
  packages=("${tools[@]}" g++-aarch64-linux-gnu qemu-user-static)
fi
packages+=("$@")
python3 -m pip --version >/dev/null 2>&1 || packages+=(python3-pip)  # to fetch LibTorch's wheel
torch_version=2.11.0
cuda_runtime_version=13.0.96
cupti_version=13.0.85
cache="${XDG_CACHE_HOME:-$HOME/.cache}/unroll"
codename="$(. /etc/os-release && echo "$VERSION_CODENAME")"
prefix="$cache/libtorch-$torch_version"
libraries_hash="$(printf '%s ' "${libraries[@]}" "${test_libraries[@]}" | sha256sum | cut -c 1-8)"
root="$cache/aarch64-$codename-$libraries_hash"  # of --aarch64
[ -z "$for_aarch64" ] || prefix="$root/opt/libtorch-$torch_version"

say() { printf 'setup: %s\n' "$*" >&2; }

missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
done
if ((${#missing[@]})); then
  say "installing Debian packages: ${missing[*]}"
  as_root=()
  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || { say "these need root: run 'apt-get install ${missing[*]}' as root, then try again"; exit 1; }
    as_root=(sudo)
  fi
  "${as_root[@]}" apt-get update -qq >&2
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2
fi

# make_root ROOT: Debian's libraries for aarch64 below ROOT. apt uses a state of its own, so that this machine's packages do
# not change.
make_root() {
  local mirror work="$1.new"
  mirror="$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' "Codename: $codename" | head -n 1)"
  [ -n "$mirror" ] || { say "apt knows no mirror of $codename; run 'apt-get update'"; exit 1; }
  say "fetching Debian's libraries for aarch64 (about 130 MB, once, into $1)"
  rm -rf "$work"
  mkdir -p "$work/apt/state/lists/partial" "$work/apt/cache/archives/partial" "$work/root/usr/lib"
  touch "$work/apt/status"
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $codename main" >"$work/apt/sources.list"
  printf '%s\n' "Dir::State \"$work/apt/state\";" "Dir::State::status \"$work/apt/status\";" "Dir::Cache \"$work/apt/cache\";" \
    "Dir::Etc::SourceList \"$work/apt/sources.list\";" 'Dir::Etc::SourceParts "/dev/null";' 'APT::Architecture "arm64";' \
    'APT::Architectures { "arm64"; };' >"$work/apt/apt.conf"
  APT_CONFIG="$work/apt/apt.conf" apt-get update -qq >&2
  APT_CONFIG="$work/apt/apt.conf" apt-get install -y -qq --no-install-recommends --download-only libc6-dev \
    "libstdc++-$(aarch64-linux-gnu-g++ -dumpversion)-dev" "${libraries[@]}" "${test_libraries[@]}" >&2 </dev/null
  ln -s usr/lib "$work/root/lib"
  for package in "$work"/apt/cache/archives/*.deb; do
    dpkg-deb --fsys-tarfile "$package" | tar -xf - --no-same-owner --keep-directory-symlink -C "$work/root"
  done
  mv "$work/root" "$1"
  rm -rf "$work"
}
[ -z "$for_aarch64" ] || [ -e "$root" ] || make_root "$root"

# A LibTorch of the user's own is used as it is.
IFS=: read -r -a own <<<"${CMAKE_PREFIX_PATH:-}"
for candidate in "${own[@]}"; do
  if [ -z "$for_aarch64" ] && [ -e "$candidate/lib/libtorch_cpu.so" ]; then
    echo "$candidate"
    exit 0
  fi
done

if [ ! -e "$prefix/complete" ]; then
  say "fetching LibTorch $torch_version for $machine from the PyPI wheel (about 500 MB, once, into $cache)"
  mkdir -p "$cache"
  work="$(mktemp -d "$cache/fetch.XXXXXX")"
  trap 'rm -rf "$work"' EXIT
  # The wheel's libraries do not depend on Python's version; one is named so that pip of any Python fetches it.
  fetch() {
    python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --python-version 3.11 \
      --implementation cp --platform "manylinux_2_28_$machine" --platform "manylinux_2_25_$machine" \
      --platform "manylinux_2_17_$machine" --platform "manylinux2014_$machine" --dest "$work" "$1" >&2
  }
  fetch "torch==$torch_version"
  fetch "nvidia-cuda-runtime==$cuda_runtime_version"
  fetch "nvidia-cuda-cupti==$cupti_version"
  say "unpacking"
  mkdir "$work/prefix"
  for wheel in "$work"/*.whl; do
    unzip -qo "$wheel" 'torch/lib/*' 'torch/include/*' 'nvidia/cu13/lib/libcudart.so*' 'nvidia/cu13/lib/libcupti.so*' \
      -d "$work/unpacked" 2>/dev/null || [ $? = 11 ]  # 11: a pattern that this wheel does not have
  done
  mv "$work"/unpacked/torch/lib "$work"/unpacked/torch/include "$work/prefix/"
  mv "$work"/unpacked/nvidia/cu13/lib/* "$work/prefix/lib/"
  # Keeps only what is used; libtorch_cuda stays, for machines with a GPU.
  rm -f "$work"/prefix/lib/libtorch_python.so
  touch "$work/prefix/complete"
  rm -rf "$prefix"
  mkdir -p "$(dirname "$prefix")"
  mv "$work/prefix" "$prefix"
fi
if [ -n "$for_aarch64" ]; then echo "$root"; else echo "$prefix"; fi

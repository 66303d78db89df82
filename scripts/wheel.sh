#!/usr/bin/env bash
# Makes two wheels: unroll_client, in Python alone, and unroll_programs with an installed unroll and the libraries that
# it needs, except the C library's.
#   wheel.sh PREFIX OUT      PREFIX: where `cmake --install` has put unroll. OUT: folder for the wheels
set -euo pipefail
prefix="$(realpath "$1")"
mkdir -p "$2"
out="$(realpath "$2")"
cd "$(dirname "$0")/../clients"

work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
cp -r python "$work/client"
cp -r python_programs "$work/programs"
tree="$work/programs/unroll_programs/prefix"
sed -i "s/@VERSION@/$("$prefix/bin/unroll" --version | awk '{ print $2 }')/" "$work/programs/unroll_programs/__init__.py"
mkdir -p "$tree/share"
cp -r "$prefix/bin" "$prefix/lib" "$prefix/libexec" "$tree/"
cp -r "$prefix/share/unroll" "$tree/share/"
rm -rf "$tree"/lib/{cmake,systemd,sysusers.d,tmpfiles.d} "$tree/lib/unroll/lib/libunroll_cuda.so"

# The programs' RPATH names lib/unroll/lib, and a library that they load is looked up there, too.
# Scripts among them have no libraries: ldd would fail.
mapfile -t programs < <(find "$tree/bin" "$tree/libexec" "$tree/lib/unroll/plugins" -type f \
  \( -perm -u+x -o -name '*.so' \) -exec env LC_ALL=C grep -lam1 $'^\x7fELF' {} +)
missing="$(ldd "${programs[@]}" 2>/dev/null | awk '/not found/ { print $1 }' | sort -u)"
[ -z "$missing" ] || { echo "wheel: not found: $missing" >&2; exit 1; }
ldd "${programs[@]}" 2>/dev/null | awk '$3 ~ /^\// { print $3 }' | sort -u | while read -r library; do
  case "$(basename "$library")" in
    libc.so.* | libm.so.* | libdl.so.* | librt.so.* | libpthread.so.* | libutil.so.* | libresolv.so.*) continue ;;
  esac
  [ -e "$tree/lib/unroll/lib/$(basename "$library")" ] || cp -L "$library" "$tree/lib/unroll/lib/"
done
find "$tree" -type f \( -name '*.so*' -o -perm -u+x \) -exec strip --strip-unneeded {} + 2>/dev/null || true

glibc="$(getconf GNU_LIBC_VERSION | sed 's/.* //; s/\./_/')"
python3 -m pip wheel --quiet --no-deps --wheel-dir "$out" "$work/client"
python3 -m pip wheel --quiet --no-deps --wheel-dir "$out" "$work/programs" \
  --config-settings "--build-option=--plat-name=manylinux_${glibc}_$(uname -m)"
ls -l "$out"

#!/bin/sh
# Installs a built unroll into an empty prefix and builds every example, the frozen plugin and the output of `unroll
# plugin new` against that alone; each must pass the check and read a document.
#   examples_test.sh BUILD SOURCE PYTHON
set -eu
build=$1 source=$2 python=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cmake --install "$build" --prefix "$work/prefix" > "$work/install.log"
unroll=$work/prefix/bin/unroll
if ldd "$unroll" "$work/prefix/bin/unrolld" | grep -E 'libtorch|libc10|not found' | grep -v "$work/prefix"; then
  echo "what is installed needs LibTorch from elsewhere"
  exit 1
fi

build_and_check() {  # FOLDER, whose name is the library's
  name=$(basename "$1" | tr - _)
  cmake -S "$1" -B "$work/build/$name" -DCMAKE_BUILD_TYPE=Release -DCMAKE_PREFIX_PATH="$work/prefix" > "$work/cmake.log"
  cmake --build "$work/build/$name" > "$work/cmake.log" 2>&1 || { cat "$work/cmake.log"; return 1; }
  "$unroll" plugin check "$work/build/$name/$name.so" || return 1
  mkdir -p "$work/plugins"
  cp "$work/build/$name/$name.so" "$work/plugins/"
}

for example in "$source"/examples/*/; do
  if [ -f "$example/CMakeLists.txt" ]; then build_and_check "$example"; fi
done
cd "$work"
"$unroll" plugin new first-try
"$unroll" plugin new plain-c --language c
"$unroll" plugin new in-python --language python
build_and_check "$work/first-try"
build_and_check "$work/plain-c"
for plugin in in-python/in_python.py "$source/examples/topic_boundaries/topic_boundaries.py"; do
  "$unroll" plugin check --python "$python" "$plugin"
  cp "$plugin" "$work/plugins/"
done
if "$unroll" plugin new first-try 2> again.txt; then echo "a folder was written over"; exit 1; fi
grep -q 'it already exists' again.txt

cc -std=c11 -shared -fPIC -I "$work/prefix/include" "$source/tests/plugins/frozen/1/plugin.c" -o "$work/plugins/frozen.so"
"$unroll" plugin check "$work/plugins/frozen.so"

# Plugins in Python run under the first python3 of PATH.
mkdir "$work/path"
ln -s "$python" "$work/path/python3"
export UNROLL_PLUGIN_PATH="$work/plugins" OMP_NUM_THREADS=1 PATH="$work/path:$PATH"
printf 'the password is hunter2 and the key is Zq8vX2mWb7LtK9pRn4Yc1Hd6\n' > document.txt
for plugin in word-count keyword-in-context redact-secrets first-try plain-c frozen-1 in-python; do
  "$unroll" run --embedded --model "$work/prefix/share/unroll/models/unroll-small" --plugin "$plugin" document.txt > output.txt
  cat output.txt
  case $plugin in
    word-count) grep -q '"words":9' output.txt ;;
    keyword-in-context) grep -q '"token":" password"' output.txt ;;
    redact-secrets) grep -q '"begin":39' output.txt ;;
    *) grep -q '"tokens":' output.txt ;;
  esac
done

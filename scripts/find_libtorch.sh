# Sourced by the scripts for machines with a GPU. find_libtorch: sets `prefix`, the folder of LibTorch: one of those in
# CMAKE_PREFIX_PATH, otherwise that of python3's package torch. Fails if there is none.
find_libtorch() {
  local candidate candidates
  IFS=: read -r -a candidates <<<"${CMAKE_PREFIX_PATH:-}"
  for candidate in "${candidates[@]}" "$(python3 -c '
import importlib.util
found = importlib.util.find_spec("torch")
print(found.submodule_search_locations[0] if found else "")' 2>/dev/null || true)"; do
    [ -n "$candidate" ] && [ -e "$candidate/lib/libtorch_cpu.so" ] || continue
    prefix="$candidate"
    return
  done
  die "no LibTorch: name its folder in CMAKE_PREFIX_PATH, or install the Python package torch"
}

# Sourced by the checks of the packages: a fresh Debian below a folder.

# debian_root ROOT WORK [PACKAGE...]: the release of this machine, from the mirror that its apt uses. WORK takes the log.
debian_root() {
  local root="$1" work="$2" codename mirror
  shift 2
  codename="$(. /etc/os-release && echo "$VERSION_CODENAME")"
  mirror="$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' "Codename: $codename" | head -n 1)"
  [ -n "$mirror" ] || fail "apt knows no mirror of $codename; run 'apt-get update'"
  say "a fresh $codename"
  local IFS=,
  debootstrap --variant=minbase ${1:+"--include=$*"} "$codename" "$root" "$mirror" >"$work/debootstrap.log" 2>&1 ||
    { tail "$work/debootstrap.log"; fail "debootstrap"; }
  apt-config dump Acquire | grep -E '::Proxy |::CaInfo ' >"$root/etc/apt/apt.conf.d/99host" || true
}

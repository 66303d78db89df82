#!/usr/bin/env bash
# Tests the alerts of systemd/prometheus with Debian's promtool. The package is unpacked, not installed, because it
# would start a Prometheus.
set -euo pipefail
cd "$(dirname "$0")/../../systemd/prometheus"
work="$(mktemp -d "${TMPDIR:-/tmp}/unroll-alerts.XXXXXX")"
trap 'rm -rf "$work"' EXIT
promtool="$(command -v promtool || true)"
if [ -z "$promtool" ]; then
  (cd "$work" && apt-get download -qq prometheus 2>"$work/apt.log") || { cat "$work/apt.log"; exit 1; }
  dpkg-deb --fsys-tarfile "$work"/prometheus_*.deb | tar --extract --directory "$work" ./usr/bin/promtool
  promtool="$work/usr/bin/promtool"
fi
"$promtool" check rules unroll.rules.yml
"$promtool" test rules unroll.rules.test.yml

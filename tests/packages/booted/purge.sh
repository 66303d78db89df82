# Nothing of the service is left, and it can be installed again.
apt-get purge -qq -y unroll unroll-plugins unroll-model >/tmp/apt.log 2>&1 || fail "apt-get: $(tail /tmp/apt.log)"
for path in "$socket" /run/unroll /var/lib/unroll /var/lib/unroll-follow /etc/unroll /usr/bin/unrolld /etc/systemd/system/sockets.target.wants/unrolld.socket; do
  [ ! -e "$path" ] || fail "$path is left"
done
[ -z "$(pgrep -u unroll || true)" ] || fail "processes of the daemon are left"
for unit in unrolld.socket unrolld.service; do
  [ "$(property "$unit" LoadState)" = not-found ] || fail "$unit is still known"
done
apt-get install -qq -y /packages/unroll_*.deb /packages/unroll-plugins_*.deb /packages/unroll-model_*.deb >/tmp/apt.log 2>&1 ||
  fail "apt-get: $(tail /tmp/apt.log)"
check_service
# Stopped, then purged.
systemctl stop unrolld.service unrolld.socket
apt-get purge -qq -y unroll unroll-plugins unroll-model >/tmp/apt.log 2>&1 || fail "apt-get: $(tail /tmp/apt.log)"
[ ! -e /run/unroll ] || fail "/run/unroll is left"

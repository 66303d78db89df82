# The packages install, and the service is ready for the members of its group.
apt-get update -qq
apt-get install -qq -y /packages/unroll_*.deb /packages/unroll-plugins_*.deb /packages/unroll-model_*.deb >/tmp/apt.log 2>&1 ||
  fail "apt-get: $(tail /tmp/apt.log)"
for user in alice bob mallory; do useradd --create-home "$user"; done
for user in alice bob; do usermod -aG unroll "$user"; done
cp "$configuration" /check/unrolld.json
mkdir -p /srv/docs

check_service
if journalctl --unit unrolld.service --no-pager | grep 'plugin left out'; then fail "a plugin does not load in the sandbox"; fi
for entry in 'LimitNOFILE 16384' 'LimitCORE 0' 'OOMPolicy continue' 'PrivateUsers no' 'RestartUSec 5s'; do
  [ "$(property unrolld.service "${entry% *}")" = "${entry#* }" ] || fail "${entry% *} is not ${entry#* }"
done
[ "$(property unrolld.service MemoryMax)" -gt 0 ] || fail "no MemoryMax"

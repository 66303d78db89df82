#!/bin/bash
# Runs real servers, builds, databases and test suites, with and without faults, and keeps their logs.
# Usage: run_systems.sh ROOT OUT
#   ROOT  a throwaway Debian made by `debootstrap --variant=minbase bookworm ROOT`; the packages in PACKAGES below are
#         installed there if there is a network; never the machine's own root
#   OUT   the folder that receives SYSTEM-*.log
# Needs root. Inside there is only a loopback network. A system that is not installed, or does not start, is left out.
# Takes about half an hour.
set -u

if [ $# -ne 2 ]; then
    sed -n '2,8s/^# //p' "$0" >&2
    exit 2
fi
here=$(dirname "$(realpath "$0")")
PACKAGES="postgresql redis-server nginx apache2 apache2-utils memcached mariadb-server rsyslog dovecot-imapd
postfix squid haproxy bind9 bind9-utils bind9-dnsutils unbound dnsmasq knot nsd chrony openssh-server cron samba
smbclient proftpd-core vsftpd lighttpd mosquitto mosquitto-clients rabbitmq-server prometheus
prometheus-node-exporter prometheus-alertmanager gunicorn python3-django python3-flask npm nodejs cargo cmake
ninja-build g++ make autoconf automake libtool python3-pytest maven ant tomcat10 zookeeperd gdb valgrind strace
ltrace tcpdump ansible-core puppet fail2ban clamav varnish slapd ldap-utils etcd-server etcd-client nats-server
couchdb influxdb telegraf collectd snmpd snmp tor privoxy tinyproxy stunnel4 ejabberd prosody ngircd inspircd
php-cli uwsgi uwsgi-plugin-python3 golang-go git subversion mercurial curl wget pdns-recursor monit supervisor
pgbouncer sysstat stress-ng systemd spamassassin asterisk consul beanstalkd perl ruby rake ocaml tcl
openjdk-17-jdk-headless openssl iproute2 procps psmisc netcat-openbsd strace qemu-system-x86 linux-image-cloud-amd64"
root=$1
mkdir -p "$2"
out=$(realpath "$2")

if [ ! -e "$root/root/.systems-installed" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
    chmod +x "$root/usr/sbin/policy-rc.d"
    mount --bind /proc "$root/proc" && mount --bind /dev "$root/dev"
    export DEBIAN_FRONTEND=noninteractive
    for package in $PACKAGES; do
        chroot "$root" apt-get install -y --no-install-recommends "$package" || echo "left out: $package" >&2
    done
    touch "$root/root/.systems-installed"
    umount "$root/proc" "$root/dev"
fi
mkdir -p "$root/systems" "$root/logs"
cp "$here"/systems/* "$root/systems/"
cp "$root"/var/log/dpkg.log "$out/dpkg-install.log"
cp "$root"/var/log/apt/history.log "$out/apt-history.log"
cp "$root"/var/log/apt/term.log "$out/apt-term.log"
cp "$root"/var/log/alternatives.log "$out/alternatives.log" 2>/dev/null

# New mount, process and network namespaces: what is started here ends with them and reaches nothing else.
unshare --mount --pid --net --uts --ipc --fork --kill-child bash -c '
    root=$1
    mount -t proc proc "$root/proc"
    mount --rbind /dev "$root/dev"
    mount -t tmpfs tmpfs "$root/run"
    ip link set lo up 2>/dev/null || true
    hostname debian-lab
    exec chroot "$root" bash /systems/all.sh /logs
' _ "$root"

for file in "$root"/logs/*; do
    [ "$(stat -c %s "$file")" -ge 500 ] && cp "$file" "$out/"
done
ls "$out" | sed 's/-.*//;s/\.log//' | sort -u | wc -l

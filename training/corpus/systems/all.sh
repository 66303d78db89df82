#!/bin/bash
# Inside the namespace: runs each system of the files in this folder. Usage: all.sh LOGS
logs=$1
mkdir -p "$logs" /run/lock /run/sshd /tmp
chmod 1777 /tmp
cd /tmp || exit 1
export LANG=C.UTF-8 HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

has() { command -v "$1" >/dev/null; }

# system NAME SECONDS FUNCTION: runs the function for at most SECONDS; its output is a log.
system() {
    local name=$1 seconds=$2
    shift 2
    [ -n "${ONLY:-}" ] && [[ " $ONLY " != *" $name "* ]] && return
    echo "$(date +%T) $name"
    (
        set -m
        "$@" >"$logs/$name-run.log" 2>&1 &
        job=$!
        (sleep "$seconds" && kill -KILL -- -$job) 2>/dev/null &
        watch=$!
        wait $job
        kill -- -$watch
        kill -- -$job
        sleep 1
        kill -KILL -- -$job
    ) 2>/dev/null
}

# until_up PORT: waits until something listens.
until_up() {
    for _ in $(seq 100); do
        nc -z 127.0.0.1 "$1" 2>/dev/null && return
        sleep 0.2
    done
}

web_load() { python3 /systems/load.py "$@"; } # URL REQUESTS [PROXY]

mkdir -p /srv/www
echo '<html><h1>it works</h1></html>' >/srv/www/index.html
head -c 300000 /dev/urandom >/srv/www/big.bin
echo text >/srv/www/a.txt
for file in web databases mail network services builds; do
    . "/systems/$file.sh"
done
kill $(jobs -p) 2>/dev/null

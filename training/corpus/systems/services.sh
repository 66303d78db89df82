# Cron, supervisors, configuration management, kernels, tracing. Sourced by all.sh.
run_cron() {
    for i in $(seq 12); do echo "* * * * * root logger -t job$i 'ran $i' ; exit $((i % 3))"; done >/etc/cron.d/lab
    timeout 130 cron -f -L 15
}
run_logger() { for i in $(seq 1500); do logger -p "$(printf '%s\n' daemon.info daemon.err auth.warning local0.debug user.notice | shuf -n 1)" -t "$(printf '%s\n' backup[311] sensor[77] kernel dhclient[402] NetworkManager[5] | shuf -n 1)" "$(printf '%s\n' "lease renewed for 127.0.0.$((RANDOM % 250)), $RANDOM s" "volume $((i % 9)): $((RANDOM % 100)) % used" "link is down" "retry $i in $((RANDOM % 60)) s: connection refused" "snapshot $i written" | shuf -n 1)"; done; }
run_supervisor() {
    printf '[supervisord]\nnodaemon=true\nlogfile=/dev/null\nlogfile_maxbytes=0\nloglevel=trace\n[program:ok]\ncommand=sleep 3\nautorestart=true\n[program:bad]\ncommand=false\nstartretries=4\n[program:missing]\ncommand=/no/such\n[program:talk]\ncommand=bash -c "while :; do date; sleep 0.5; done"\n' >/tmp/sup.conf
    timeout 40 supervisord -e trace -c /tmp/sup.conf
}
run_monit() {
    printf 'set daemon 2\nset log %s/monit.log\ncheck process none with pidfile /run/nosuch.pid\n start program = "/bin/false"\ncheck filesystem root with path /\n if space usage > 1%% then alert\ncheck host web with address 127.0.0.1\n if failed port 9 then alert\n' "$logs" >/tmp/monitrc
    chmod 600 /tmp/monitrc
    timeout 30 monit -I -vv -c /tmp/monitrc
}
run_ansible() {
    mkdir -p /tmp/an
    cd /tmp/an
    cat >site.yml <<'EOF'
- hosts: all
  connection: local
  tasks:
    - {name: make folders, file: {path: "/tmp/an/d{{ item }}", state: directory}, loop: [1, 2, 3]}
    - {name: write, copy: {dest: /tmp/an/f, content: "{{ ansible_date_time.iso8601 | default('x') }}"}, notify: again}
    - {name: line, lineinfile: {path: /tmp/an/f, line: "port = {{ port }}"}}
    - {name: fails, command: "false", ignore_errors: true}
    - {name: skipped, command: "true", when: false}
    - {name: undefined, debug: {msg: "{{ nothing.here }}"}}
  handlers: [{name: again, command: echo hello}]
EOF
    printf '[all]\nweb1 ansible_host=127.0.0.1 port=80\nweb2 ansible_host=127.0.0.1\ndb1 ansible_host=127.0.0.1 port=5432\n' >hosts
    for v in '' -v -vvv; do ansible-playbook $v -i hosts site.yml; done
    ansible-playbook -i hosts --syntax-check /etc/hostname
}
run_puppet() {
    cat >/tmp/site.pp <<'EOF'
file { '/tmp/pp': ensure => directory }
file { '/tmp/pp/a': content => "x\n", require => File['/tmp/pp'] }
exec { 'bad': command => '/bin/false', require => File['/tmp/pp/a'] }
notify { "host ${facts['networking']['hostname']}": require => Exec['bad'] }
package { 'no-such-package': ensure => installed }
EOF
    puppet apply --debug /tmp/site.pp
    puppet apply -e 'file { oops'
    puppet parser validate /etc/hostname
}
run_fail2ban() {
    mkdir -p /run/fail2ban
    cp "$logs/auth-syslog.log" /tmp/auth.log 2>/dev/null || cp "$logs/sshd-run.log" /tmp/auth.log
    printf '[sshd]\nenabled=true\nlogpath=/tmp/auth.log\nbackend=polling\nmaxretry=2\nbanaction=noop\nfindtime=1d\n' >/etc/fail2ban/jail.local
    printf '[Definition]\nactionban=true\nactionunban=true\n' >/etc/fail2ban/action.d/noop.conf
    fail2ban-server -f --logtarget STDOUT --loglevel DEBUG start &
    sleep 8
    fail2ban-regex /tmp/auth.log sshd
    fail2ban-client status sshd
    sleep 8
    fail2ban-client stop
}
run_clamav() {
    mkdir -p /tmp/av
    printf 'DatabaseDirectory /tmp/av\nTCPSocket 3310\nTCPAddr 127.0.0.1\nLogVerbose yes\nLogTime yes\nForeground yes\n' >/tmp/clamd.conf
    printf 'X5O!P%%@AP' >/tmp/av/e
    echo 'Lab.Test:0:*:68656c6c6f' >/tmp/av/lab.ndb
    clamd -c /tmp/clamd.conf &
    sleep 4
    clamscan -d /tmp/av/lab.ndb -r --verbose --debug /srv/www /systems
    printf 'DatabaseDirectory /tmp/av\nDatabaseMirror 127.0.0.1\nMaxAttempts 2\n' >/tmp/fc.conf
    timeout 20 freshclam --config-file=/tmp/fc.conf --verbose
}
run_strace() {
    strace -f -tt -o "$logs/strace-ls.log" ls -lR /etc/apt
    strace -f -r -y -o "$logs/strace-python.log" python3 -c 'import json, urllib.request
try: urllib.request.urlopen("http://127.0.0.1:9")
except OSError as e: print(e)'
    strace -c -f bash -c 'for i in 1 2 3; do ls /usr >/dev/null; done'
    strace -f -e trace=network,openat -T curl -s http://127.0.0.1:8091/
}
run_gdb() {
    printf '#include <cstdio>\n#include <vector>\nstruct N{N*next;int v;};\nint depth(N*n){return n->v>50?*(int*)0:1+depth(n->next);}\nint main(){std::vector<N> a(60);for(int i=0;i<60;i++){a[i].v=i;a[i].next=&a[(i+1)%%60];}printf("%%d\\n",depth(&a[0]));}\n' >/tmp/c.cc
    g++ -g -O0 /tmp/c.cc -o /tmp/c
    gdb -batch -ex run -ex bt -ex 'info registers' -ex 'disassemble' -ex 'info sharedlibrary' -ex 'info threads' -ex 'x/40i $pc-60' -ex 'p *n' /tmp/c
    gdb -batch -ex 'break depth' -ex run -ex 'bt full' -ex c -ex 'info locals' -ex 'info proc mappings' /tmp/c
}
run_valgrind() {
    printf '#include <cstdlib>\n#include <cstring>\nint*f(int i){int*p=(int*)malloc(40);p[10]=i;return p;}\nint main(){for(int i=0;i<30;i++){int*p=f(i);if(p[3]>2)p[1]=2;if(i%%3)free(p);if(i%%5==0)free(p);char*s=strdup("x");s[9]=1;}}\n' >/tmp/v.cc
    g++ -g /tmp/v.cc -o /tmp/v
    valgrind --leak-check=full --track-origins=yes /tmp/v
    valgrind -v ls /
    valgrind --tool=callgrind --callgrind-out-file=/dev/null ls
    valgrind --tool=helgrind python3 -c 'import threading'
    printf 'int x[2];int main(int c,char**){int*p=new int[3];p[c+2]=1;x[c+1]=2;delete[] p;return p[0];}' >/tmp/a.cc
    g++ -g -fsanitize=address,undefined /tmp/a.cc -o /tmp/a
    /tmp/a
}
run_kernel() {
    local kernel
    kernel=$(ls /boot/vmlinuz* | tail -1)
    for options in '-m 256' '-m 512 -smp 2' '-m 128 -device virtio-net' '-m 300 -machine q35 -device nvme,serial=x,drive=d -drive file=/srv/www/big.bin,format=raw,if=none,id=d,readonly=on -device qemu-xhci' '-m 1024 -cpu max -device virtio-blk-pci,drive=e -drive file=/srv/www/big.bin,format=raw,if=none,id=e,readonly=on'; do timeout 150 qemu-system-x86_64 $options -nographic -no-reboot -kernel "$kernel" -append "console=ttyS0 panic=-1 $([ "$options" = '-m 128 -device virtio-net' ] && echo 'initcall_debug ignore_loglevel' || echo loglevel=7)" </dev/null; done
}
run_stress() {
    stress-ng --cpu 1 --vm 1 --vm-bytes 20M --hdd 1 --timeout 5 --metrics -v
    stress-ng --class filesystem --seq 1 --timeout 1 -v
    sar -A 1 3
    vmstat 1 5
    iostat -x 1 3
    pidstat 1 3
    mpstat -P ALL 1 3
    top -b -n 3
    ps auxf
    df -h
    ss -tanp
    ip addr
    free
    lscpu
    dmesg | tail -n 300
}
has cron && system cron 140 run_cron
has logger && system logger 60 run_logger
has supervisord && system supervisor 50 run_supervisor
has monit && system monit 40 run_monit
has ansible-playbook && system ansible 150 run_ansible
has puppet && system puppet 90 run_puppet
has fail2ban-server && system fail2ban 60 run_fail2ban
has clamscan && system clamav 60 run_clamav
has strace && system strace 40 run_strace
has gdb && system gdb 60 run_gdb
has valgrind && system valgrind 90 run_valgrind
has qemu-system-x86_64 && system kernel 600 run_kernel
has stress-ng && system stress-ng 120 run_stress

# Databases, caches, queues. Sourced by all.sh.
run_postgresql() {
    local bin
    bin=$(ls -d /usr/lib/postgresql/*/bin | tail -1)
    rm -rf /tmp/pg
    mkdir /tmp/pg
    chown postgres /tmp/pg
    mkdir -p /run/postgresql
    chown postgres /run/postgresql
    su postgres -c "$bin/initdb -D /tmp/pg"
    cat >>/tmp/pg/postgresql.conf <<EOF
log_statement = 'mod'
log_connections = on
log_disconnections = on
log_checkpoints = on
log_lock_waits = on
deadlock_timeout = 300ms
log_autovacuum_min_duration = 0
autovacuum_naptime = 5
log_min_duration_statement = 50
checkpoint_timeout = 30s
log_line_prefix = '%m [%p] %q%u@%d '
max_connections = 12
EOF
    su postgres -c "$bin/postgres -D /tmp/pg" >"$logs/postgresql-server.log" 2>&1 &
    until_up 5432
    sql() { psql -U postgres -h 127.0.0.1 "$@"; }
    sql -c 'create database shop'
    su postgres -c "$(ls $bin/pgbench) -i -s 2 -h 127.0.0.1 shop"
    su postgres -c "$bin/pgbench -c 6 -T 8 -P 1 -h 127.0.0.1 shop"
    su postgres -c "$bin/pgbench -c 30 -T 3 -h 127.0.0.1 shop"
    for i in $(seq 80); do
        sql -d shop -c "create table t$i(a int primary key, b text not null); insert into t$i select g, md5(g::text) from generate_series(1,500) g; update t$i set b='x' where a%7=0;"
        sql -d shop -c "insert into t$i values (1,'dup')"
        sql -d shop -c "select * from missing_$i"
        sql -d shop -c "selec $i"
        sql -d shop -c "insert into t$i values ($i+1000, null)"
        sql -d shop -c "select 1/0"
    done
    sql -d shop -c "begin; update t1 set b='p' where a=1; select pg_sleep(1); update t2 set b='p' where a=1; commit" &
    sql -d shop -c "begin; update t2 set b='q' where a=1; select pg_sleep(1); update t1 set b='q' where a=1; commit"
    sql -d nosuchdb -c 'select 1'
    psql -U nobody -h 127.0.0.1 shop -c 'select 1'
    sql -d shop -c "explain analyze select count(*) from pgbench_accounts a join pgbench_branches b on a.bid=b.bid group by a.bid"
    sql -d shop -c 'vacuum verbose analyze'
    pkill -KILL -f 'postgres: autovacuum launcher'
    sleep 4
    su postgres -c "$bin/pg_ctl -D /tmp/pg -m immediate stop"
    su postgres -c "timeout 10 $bin/postgres -D /tmp/pg" >>"$logs/postgresql-server.log" 2>&1
}
run_redis() {
    mkdir -p /tmp/redis
    cd /tmp/redis
    redis-server --port 6379 --loglevel debug --save 5 20 --appendonly yes --maxmemory 8mb --maxmemory-policy allkeys-lru >"$logs/redis-server.log" &
    until_up 6379
    redis-server --port 6380 --replicaof 127.0.0.1 6379 --loglevel verbose --dir /tmp >"$logs/redis-replica.log" &
    redis-benchmark -n 3000 -q -t set,get,lpush,sadd,zadd
    (redis-cli monitor | head -800) >"$logs/redis-monitor.log" &
    redis-benchmark -n 400 -c 3 -t set,get,incr,lpush -q
    redis-cli config set maxmemory 1kb
    redis-cli set k v
    redis-cli lpush k v
    redis-cli eval 'return x' 0
    redis-cli bgsave
    sleep 2
    redis-cli debug sleep 1
    redis-cli info
    redis-cli shutdown
    sleep 3
}
run_memcached() {
    memcached -u nobody -vvv -m 8 -p 11211 &
    until_up 11211
    for i in $(seq 400); do printf 'set k%d 0 %d 5\r\nhello\r\nget k%d\r\nincr k%d 1\r\ndelete k%d\r\nbogus\r\nquit\r\n' $i $((i % 9)) $((RANDOM % 400)) $i $((RANDOM % 400)) | nc -w 1 -q 0 127.0.0.1 11211; done
}
run_mariadb() {
    rm -rf /tmp/my
    mkdir /tmp/my /run/mysqld
    chown mysql /tmp/my /run/mysqld
    mariadb-install-db --user=mysql --datadir=/tmp/my
    mariadbd --user=mysql --datadir=/tmp/my --socket=/run/mysqld/m.sock --general-log=1 --general-log-file=/tmp/my/general.log --slow-query-log=1 --long-query-time=0.05 --slow-query-log-file=/tmp/my/slow.log --log-warnings=9 --innodb-print-all-deadlocks=1 >"$logs/mariadb-error.log" 2>&1 &
    until_up 3306
    my() { mariadb -S /run/mysqld/m.sock "$@"; }
    my -e 'create database shop'
    for i in $(seq 60); do
        my shop -e "create table t$i(a int primary key, b varchar(40) not null) engine=innodb; insert into t$i values (1,'x'),(2,'y')"
        my shop -e "insert into t$i values (1,'dup')"
        my shop -e "select * from nope$i"
        my shop -e "selekt"
        my shop -e "select sleep(0.06), count(*) from t$i"
        mariadb -S /run/mysqld/m.sock -u ghost -pwrong -e 'select 1'
    done
    mariadb-slap -S /run/mysqld/m.sock --auto-generate-sql --concurrency=4 --number-of-queries=200
    my shop -e 'show engine innodb status\G'
    my -e 'check table mysql.user, shop.t1'
    pkill -KILL mariadbd
    sleep 1
    timeout 12 mariadbd --user=mysql --datadir=/tmp/my --socket=/run/mysqld/m.sock >>"$logs/mariadb-error.log" 2>&1
    cp /tmp/my/general.log "$logs/mariadb-general.log"
    cp /tmp/my/slow.log "$logs/mariadb-slow.log"
}
run_sqlite() {
    python3 - <<'EOF'
import sqlite3, logging, random, time
logging.basicConfig(level=logging.DEBUG, format="%(asctime)s %(process)d %(levelname)-7s %(name)s %(message)s")
log = logging.getLogger("sqlite"); db = sqlite3.connect("/tmp/x.db"); db.set_trace_callback(lambda s: log.debug("%s", s))
for i in range(900):
    try:
        db.execute(random.choice(["create table if not exists t%d(a primary key, b)", "insert into t%d values (random(), 'x')", "select count(*) from t%d", "update t%d set b=b||'y'", "drop table t%d", "insert into t%d values (1,1)"]) % (i % 25))
        if i % 40 == 0: db.commit()
    except sqlite3.Error as error: log.error("%s: %s", type(error).__name__, error)
EOF
}
run_rabbitmq() {
    export RABBITMQ_LOGS=- RABBITMQ_MNESIA_BASE=/tmp/rabbit HOSTNAME=localhost RABBITMQ_NODENAME=rabbit@localhost RABBITMQ_LOG=debug
    rabbitmq-server &
    until_up 5672
    sleep 5
    for i in $(seq 4); do
        rabbitmqctl add_user u$i p
        rabbitmqctl set_permissions u$i '.*' '.*' '.*'
        rabbitmqctl add_vhost v$i
        rabbitmqctl list_queues
        rabbitmqctl authenticate_user u$i bad
        printf 'HELLO' | nc -w 1 127.0.0.1 5672
    done
    rabbitmq-plugins enable rabbitmq_management
    rabbitmqctl status
    rabbitmqctl stop
}
run_mosquitto() {
    printf 'listener 1883 127.0.0.1\nallow_anonymous true\nlog_type all\nlog_timestamp_format %%Y-%%m-%%dT%%H:%%M:%%S\n' >/tmp/mq.conf
    mosquitto -v -c /tmp/mq.conf &
    until_up 1883
    timeout 60 mosquitto_sub -v -t 'plant/#' >"$logs/mosquitto-values.log" &
    for i in $(seq 250); do
        mosquitto_pub -i sensor$((i % 7)) -q $((i % 3)) -t plant/$((i % 5))/temperature -m "{\"t\": $((RANDOM % 40)).$((RANDOM % 10)), \"n\": $i}"
        [ $((i % 25)) = 0 ] && printf 'junk' | nc -w 1 127.0.0.1 1883
    done
}
run_zookeeper() {
    printf 'tickTime=500\ndataDir=/tmp/zkd\nclientPort=2181\nadmin.enableServer=false\n' >/tmp/zoo.cfg
    mkdir -p /tmp/zkd
    java -Dzookeeper.root.logger=DEBUG,CONSOLE -cp '/usr/share/java/zookeeper.jar:/etc/zookeeper/conf:/usr/share/java/*' org.apache.zookeeper.server.quorum.QuorumPeerMain /tmp/zoo.cfg &
    until_up 2181
    for i in $(seq 60); do
        echo ruok | nc -w 1 127.0.0.1 2181
        echo junk$i | nc -w 1 127.0.0.1 2181
    done
    pkill java
}
run_slapd() {
    mkdir -p /tmp/ldap
    printf 'include /etc/ldap/schema/core.schema\ninclude /etc/ldap/schema/cosine.schema\ninclude /etc/ldap/schema/inetorgperson.schema\nmodulepath /usr/lib/ldap\nmoduleload back_mdb\ndatabase mdb\nsuffix "dc=ex"\nrootdn "cn=a,dc=ex"\nrootpw s\ndirectory /tmp/ldap\n' >/tmp/slapd.conf
    slapd -d 256 -h ldap://127.0.0.1:389 -f /tmp/slapd.conf &
    until_up 389
    printf 'dn: dc=ex\nobjectClass: dcObject\nobjectClass: organization\no: Ex\ndc: ex\n\n' | ldapadd -x -H ldap://127.0.0.1 -D cn=a,dc=ex -w s
    for i in $(seq 150); do
        printf 'dn: cn=p%d,dc=ex\nobjectClass: person\ncn: p%d\nsn: Smith\n\n' $i $i | ldapadd -x -H ldap://127.0.0.1 -D cn=a,dc=ex -w s >/dev/null
        ldapsearch -x -H ldap://127.0.0.1 -b dc=ex "(cn=p$((RANDOM % 200)))" >/dev/null
        ldapsearch -x -H ldap://127.0.0.1 -D cn=a,dc=ex -w wrong >/dev/null
    done
}
run_etcd() {
    etcd --data-dir /tmp/etcd --log-level debug &
    until_up 2379
    export ETCDCTL_API=3
    for i in $(seq 60); do
        etcdctl put k$i v$i
        etcdctl get k$((i - 1))
        etcdctl del k$((i - 3))
    done
    etcdctl endpoint status
    etcdctl compact 40
    etcdctl defrag
    pkill -TERM etcd
}
run_nats() {
    nats-server -DV -m 8222 -a 127.0.0.1 &
    until_up 4222
    for i in $(seq 150); do printf 'CONNECT {"verbose":true}\r\nSUB a.%d 1\r\nPUB a.%d 5\r\nhello\r\n%s\r\n' $i $i "$([ $((i % 10)) = 0 ] && echo BOGUS || echo PING)" | nc -w 1 -q 0 127.0.0.1 4222 >/dev/null; done
}
run_couchdb() {
    cd /opt/couchdb 2>/dev/null
    couchdb &
    sleep 10
}
run_influxdb() {
    influxd -config /dev/null &
    until_up 8086
    for i in $(seq 100); do
        curl -s -XPOST 'http://127.0.0.1:8086/query' --data-urlencode "q=CREATE DATABASE d$((i % 5))"
        curl -s -XPOST "http://127.0.0.1:8086/write?db=d$((i % 7))" --data-binary "cpu,host=h$i value=$RANDOM"
        curl -s "http://127.0.0.1:8086/query?db=d1&q=SELECT+mean(value)+FROM+cpu+GRUP"
    done
    pkill influxd
}
run_consul() {
    consul agent -dev -log-level=debug &
    until_up 8500
    for i in $(seq 40); do
        curl -s -XPUT -d "v$i" http://127.0.0.1:8500/v1/kv/k$i
        curl -s http://127.0.0.1:8500/v1/kv/none
        curl -s -XPUT -d "{\"Name\":\"s$i\",\"Port\":$((9000 + i)),\"Check\":{\"TCP\":\"127.0.0.1:9\",\"Interval\":\"2s\"}}" http://127.0.0.1:8500/v1/agent/service/register
    done
    pkill -TERM consul
}
has pg_ctlcluster && system postgresql 150 run_postgresql
has redis-server && system redis 60 run_redis
has memcached && system memcached 60 run_memcached
has mariadbd && system mariadb 150 run_mariadb
system sqlite 30 run_sqlite
has rabbitmq-server && system rabbitmq 150 run_rabbitmq
has mosquitto && system mosquitto 90 run_mosquitto
[ -e /usr/share/java/zookeeper.jar ] && system zookeeper 90 run_zookeeper
has slapd && system slapd 90 run_slapd
has etcd && system etcd 60 run_etcd
has nats-server && system nats 60 run_nats
has couchdb && system couchdb 40 run_couchdb
has influxd && system influxdb 60 run_influxdb
has consul && system consul 60 run_consul

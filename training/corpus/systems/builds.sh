# Builds, test suites, version control, language tools: good runs and broken ones. Sourced by all.sh.
sources() {
    rm -rf "/tmp/$1"
    mkdir -p "/tmp/$1"
    cd "/tmp/$1" || return
    for i in $(seq 14); do
        printf '#include "all.h"\nint f%d(int a,int b){unsigned u=a;int unused;if(u<b)return f%d(b,a-1);return a%%%d;}\n' "$i" $((i % 14 + 1)) "$i" >f"$i".cc
        echo "int f$i(int,int);" >>all.h
    done
    printf '#include "all.h"\n#include <cstdio>\nint main(){printf("%%d\\n",f1(7,3));}\n' >main.cc
}
run_make() {
    sources mk
    printf 'CXXFLAGS=-Wall -Wextra -O1\nprog: $(patsubst %%.cc,%%.o,$(wildcard *.cc))\n\t$(CXX) -o $@ $^\n%%.o: %%.cc all.h\nclean:\n\trm -f *.o prog\n' >Makefile
    make
    make clean
    make -j2 CXX="g++ -v"
    echo 'int broken( {' >>f3.cc
    make -k
    sed -i '$d' f3.cc
    echo 'int g(){return undefined_thing(std::string("x"));}' >>f5.cc
    make
    make --debug=b
    make nothing
}
run_ninja() {
    sources nj
    printf 'cmake_minimum_required(VERSION 3.20)\nproject(lab CXX)\nenable_testing()\nfind_package(Threads REQUIRED)\nfile(GLOB s f*.cc)\nadd_library(fs STATIC ${s})\nadd_executable(prog main.cc)\ntarget_link_libraries(prog fs Threads::Threads)\nadd_test(NAME good COMMAND prog)\nadd_test(NAME bad COMMAND false)\nadd_test(NAME slow COMMAND sleep 1)\n' >CMakeLists.txt
    cmake -S . -B b -G Ninja
    cmake --build b
    cmake --build b -v --clean-first
    ctest --test-dir b -V
    ctest --test-dir b
    echo 'find_package(NoSuchThing REQUIRED)' >>CMakeLists.txt
    cmake -S . -B b2 --trace-expand
    cmake -S . -B b3
    echo 'junk' >>f2.cc
    sed -i '$d' CMakeLists.txt
    cmake --build b -- -k 0
}
run_autotools() {
    rm -rf /tmp/at
    mkdir /tmp/at
    cd /tmp/at
    printf 'AC_INIT([lab],[1.0])\nAM_INIT_AUTOMAKE([foreign])\nAC_PROG_CC\nAC_CHECK_HEADERS([stdio.h unistd.h nosuch.h sys/epoll.h])\nAC_CHECK_FUNCS([fork strlcpy epoll_wait])\nAC_CHECK_LIB([m],[sin])\nAC_CONFIG_FILES([Makefile])\nAC_OUTPUT\n' >configure.ac
    printf 'bin_PROGRAMS=p\np_SOURCES=p.c\nTESTS=t1 t2\n' >Makefile.am
    echo 'int main(){return 0;}' >p.c
    printf '#!/bin/sh\nexit 0\n' >t1
    printf '#!/bin/sh\nexit 1\n' >t2
    chmod +x t1 t2
    autoreconf -fiv
    ./configure
    make
    make check
    make distcheck
    cat config.log test-suite.log
}
run_cargo() {
    rm -rf /tmp/cg
    cargo new --lib /tmp/cg --vcs none
    cd /tmp/cg
    cat >src/lib.rs <<'EOF'
pub fn add(a: i32, b: i32) -> i32 { let unused = 3; a + b }
pub fn first(v: Vec<String>) -> String { v[0].clone() }
#[cfg(test)] mod tests { use super::*;
#[test] fn good() { assert_eq!(add(1, 2), 3); }
#[test] fn bad() { assert_eq!(add(1, 2), 4, "arithmetic"); }
#[test] #[should_panic] fn panics() { first(vec![]); }
#[test] fn out() { first(vec![]); }
#[test] #[ignore] fn later() {} }
EOF
    cargo build
    cargo test -- --nocapture
    RUST_BACKTRACE=1 cargo test
    cargo build --release -v
    echo 'pub fn bad(s: String) -> usize { let t = s; s.len() + "x" }' >>src/lib.rs
    cargo check
    echo 'serde = "9.9"' >>Cargo.toml
    cargo build --offline
    cargo doc
}
run_go() {
    rm -rf /tmp/gg
    mkdir /tmp/gg
    cd /tmp/gg
    export GOCACHE=/tmp/gocache GOFLAGS=-mod=mod GOPROXY=off
    go mod init lab
    printf 'package lab\nimport "testing"\nfunc Div(a, b int) int { return a / b }\nfunc TestGood(t *testing.T) { t.Log("fine"); if Div(4,2) != 2 { t.Fatal("bad") } }\nfunc TestBad(t *testing.T) { for i := 0; i < 5; i++ { t.Run("sub", func(t *testing.T) { if i %% 2 == 1 { t.Errorf("got %%d", i) } }) } }\nfunc TestPanic(t *testing.T) { Div(1, 0) }\n' >a_test.go
    go test -v ./...
    go test -json -run 'Good|Bad' ./...
    go vet -x ./...
    go build -x std
    printf 'package lab\nfunc f() { x := 1; return 2 }\nimport "no/such"\n' >b.go
    go build ./...
}
run_pytest() {
    rm -rf /tmp/pt
    mkdir /tmp/pt
    cd /tmp/pt
    cat >test_shop.py <<'EOF'
import logging, pytest, time
log = logging.getLogger("shop")
@pytest.fixture
def basket():
    log.info("basket made"); yield {"apples": 3}; log.info("basket dropped")
@pytest.mark.parametrize("n", range(40))
def test_many(n, basket):
    log.debug("n is %d", n); assert n % 7 != 6, f"unlucky {n}"
def test_key(basket): basket["pears"]
def test_text(): assert "a\nb\nc" == "a\nX\nc"
@pytest.mark.skip(reason="not today")
def test_skipped(): pass
@pytest.mark.xfail
def test_xfail(): assert 0
def test_error(nothing): pass
class TestClass:
    def test_nested(self): self.helper(3)
    def helper(self, n): return self.helper(n - 1) if n else 1 / 0
EOF
    python3 -m pytest -v
    python3 -m pytest -q --tb=short --durations=5
    python3 -m pytest -x -l --log-cli-level=DEBUG
    python3 -m pytest --tb=long -rA
    echo 'def broken(:' >test_syntax.py
    python3 -m pytest
    printf 'import unittest\nclass T(unittest.TestCase):\n    def test_a(self): self.assertEqual([1,2],[1,3])\n    def test_b(self): pass\n' >u.py
    python3 -m unittest -v u
    python3 -m pip install --no-index nothing
    python3 -v -c 'import json'
}
run_npm() {
    rm -rf /tmp/np
    mkdir /tmp/np
    cd /tmp/np
    npm init -y
    npm --loglevel silly install left-pad --offline
    npm run nothing
    printf 'const t=require("node:test");const a=require("assert");t("good",()=>{});t("bad",()=>a.deepStrictEqual({x:[1,2]},{x:[1,3]}));t("later",async()=>{await new Promise(r=>setTimeout(r,50));throw new TypeError("no")});\n' >x.test.js
    node --test
    node --trace-deprecation -e 'new Buffer(3)'
    node -e 'undefined.x'
    node --trace-gc -e 'let a=[];for(let i=0;i<3e6;i++)a.push({i})'
    npm ls
    npm audit --offline
    NODE_DEBUG=http,net,module node -e 'require("http").get("http://127.0.0.1:8091/",r=>r.resume()).on("error",console.error)'
    cat ~/.npm/_logs/*
}
run_maven() {
    rm -rf /tmp/mv
    mkdir -p /tmp/mv/src/main/java
    cd /tmp/mv
    printf '<project><modelVersion>4.0.0</modelVersion><groupId>lab</groupId><artifactId>x</artifactId><version>1</version></project>' >pom.xml
    echo 'class A { int f() { return "x"; } }' >src/main/java/A.java
    mvn -B -o compile
    mvn -B -X -o validate
    mvn -B -o nonsense
    javac -verbose src/main/java/A.java
    printf 'import java.util.*;\npublic class B { static void f(int n){ if(n==0) throw new IllegalStateException("deep"); try{ f(n-1);}catch(IllegalStateException e){ throw new IllegalStateException("level "+n,e);} }\n public static void main(String[] a) throws Exception { java.util.logging.Logger l=java.util.logging.Logger.getLogger("lab.B"); for(int i=0;i<80;i++){ l.info("step "+i); if(i%%9==0) l.warning("slow "+i); } Map<String,Integer> m=new HashMap<>(); f(6);} }\n' >B.java
    javac -Xlint:all B.java
    java -Xlog:gc*,class+load:stdout -Xmx24m B
}
run_ant() {
    mkdir -p /tmp/an2
    cd /tmp/an2
    printf '<project default="a"><target name="a" depends="b"><echo>hi</echo><javac srcdir="." destdir="." includeantruntime="false"/></target><target name="b"><mkdir dir="out"/><copy file="/etc/hostname" todir="out"/></target><target name="c"><fail message="no"/></target></project>' >build.xml
    echo 'class C{int x="";}' >C.java
    ant -v
    ant -d c
    ant nothing
}
run_git() {
    rm -rf /tmp/gr /tmp/gr2
    git init /tmp/gr
    cd /tmp/gr
    git config user.email a@b
    git config user.name a
    for i in $(seq 60); do
        seq $((RANDOM % 200)) >f$((i % 12)).txt
        git add -A
        git commit -m "change $i"
        [ $((i % 10)) = 0 ] && git checkout -b b$i
    done
    git log --stat
    git log --graph --oneline --all
    git gc --aggressive
    git fsck --full --verbose
    git merge b10
    git rebase -i HEAD~3
    git push
    GIT_TRACE=1 GIT_CURL_VERBOSE=1 git clone http://127.0.0.1:8091/x
    GIT_TRACE=1 GIT_TRACE_PERFORMANCE=1 git clone /tmp/gr /tmp/gr2
    git diff HEAD~5
    git blame f1.txt
    git stash
    git bisect start HEAD HEAD~20
    git bisect run sh -c 'exit $((RANDOM % 2))'
}
run_subversion() {
    rm -rf /tmp/sv /tmp/sw
    svnadmin create /tmp/sv
    svn co file:///tmp/sv /tmp/sw
    cd /tmp/sw
    for i in $(seq 25); do
        seq $i >f$i
        svn add f$i
        svn ci -m "change $i"
    done
    svn up
    svn log -v
    svn mv f1 g1
    svn st
    svn cp nothing x
    svnadmin verify /tmp/sv
    svnadmin dump /tmp/sv >/dev/null
}
run_mercurial() {
    rm -rf /tmp/hg
    hg init /tmp/hg
    cd /tmp/hg
    for i in $(seq 25); do
        seq $i >f$i
        hg add
        hg ci -u a -m "change $i" -v
    done
    hg log --graph
    hg verify -v
    hg --debug up 3
    hg heads
    hg merge
    hg --traceback push
    hg --profile st
}
run_scripts() {
    ruby -w -e 'def f(x) y=1; x end; 30.times{|i| warn "slow #{i}" if i%4==0; begin; Integer("x#{i}"); rescue => e; puts e.full_message; end }'
    perl -we 'use strict; for my $i (1..40) { my %h; my $x = $h{a} . "b$i"; eval { die { code => $i } if $i % 5 == 0; die "failed at $i" if $i % 7 == 0; 1 } or warn $@; }'
    perl -MCarp=cluck -e 'sub f { cluck "deep $_[0]"; f($_[0]-1) if $_[0] } f(12)'
    php -d display_errors=1 -r 'for($i=0;$i<40;$i++){ echo $u[$i]; trigger_error("slow $i", E_USER_WARNING); } nofunc();'
    bash -xc 'for i in 1 2 3 4 5; do x=$(ls /usr | wc -l); [ $x -gt 3 ] && echo "$i $x"; cd /nope; done'
    rake -T
    ocaml -version
    echo 'let rec f x = if x = 0 then failwith "bottom" else 1 + f (x - 1);; f 5;; f "x";;' | ocaml
    tclsh <<<'proc f {n} {if {$n==0} {error deep}; f [expr $n-1]}; f 6'
}
run_apt() {
    apt-get -s -o Debug::pkgProblemResolver=1 -o Debug::pkgDepCache::AutoInstall=1 install nginx-full mariadb-server-10.5 systemd-sysv
    apt-get update
    apt-get -s dist-upgrade
    apt-cache policy
    dpkg -l
    dpkg --audit
    dpkg -V
    dpkg -i /etc/hostname
    debconf-show dash
    apt-get -s remove perl-base
}
run_systemd() {
    systemd-analyze verify /lib/systemd/system/*.service
    systemctl list-units
    systemd-tmpfiles --create --dry-run
    SYSTEMD_LOG_LEVEL=debug systemd-escape a b
    SYSTEMD_LOG_LEVEL=debug timeout 5 systemd-sysusers --cat-config
    SYSTEMD_LOG_LEVEL=debug SYSTEMD_LOG_TARGET=console timeout 10 systemd-tmpfiles --create
    SYSTEMD_LOG_LEVEL=debug SYSTEMD_LOG_TARGET=console timeout 8 /lib/systemd/systemd-udevd
}
for kind in make ninja autotools cargo go pytest npm maven ant git subversion mercurial; do
    command=$kind
    case $kind in autotools) command=autoreconf ;; pytest) command=python3 ;; maven) command=mvn ;; subversion) command=svn ;; mercurial) command=hg ;; esac
    has "$command" && system "$kind" 150 "run_$kind"
done
system scripts 60 run_scripts
system apt 90 run_apt
has systemctl && system systemd 60 run_systemd

#!/usr/bin/env python3
"""Makes annotated pairs of good and failed runs' logs by running real programs on this machine well and badly.

    bench/quality/log_pairs.py FOLDER [NAME ...]
    bench/quality/log_baseline.py FOLDER

Each pair is a folder with log.good, log.fail and inf.yaml, as log_baseline.py reads them: inf.yaml has texts of the lines
that say what went wrong. Pairs whose programs are not installed are left out, and named. Some need root.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

PAIRS = {}


def pair(*programs, root=False):
    def add(function):
        PAIRS[function.__name__] = (function, programs, root)
        return function

    return add


class Runs:
    """The two logs of a pair. `work` is an empty folder."""

    def __init__(self, work: Path) -> None:
        self.work = work
        self.logs = {"good": "", "fail": ""}

    def file(self, name: str, text: str) -> Path:
        path = self.work / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        return path

    def run(self, log: str, *command: object, **arguments: object) -> None:
        environment = {**os.environ, "LC_ALL": "C.UTF-8", **arguments.pop("env", {})}
        done = subprocess.run([str(word) for word in command], cwd=arguments.pop("cwd", self.work), env=environment,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=900,
                              check=False, **arguments)
        self.logs[log] += done.stdout.decode("utf-8", "replace")

    def shell(self, log: str, script: str, **arguments: object) -> None:
        self.run(log, "bash", "-c", textwrap.dedent(script), **arguments)


# --- Building


@pair("make", "cc")
def make(runs):
    for i in range(12):
        runs.file(f"m{i}.c", f"int f{i}(int a) {{ return a + {i}; }}\n")
    runs.file("Makefile", "all: lib.a\nlib.a: $(patsubst %.c,%.o,$(wildcard *.c))\n\tar rcs $@ $^\n\t@echo built $@\n")
    runs.run("good", "make")
    runs.shell("good", "rm -f *.o lib.a")
    runs.file("m7.c", "int f7(int a) { return b + 7; }\n")
    runs.run("fail", "make", "-k")
    return ["error: ‘b’ undeclared", "m7.o] Error 1", "not remade because of errors"]


@pair("cmake", "cc")
def cmake(runs):
    lists = ("cmake_minimum_required(VERSION 3.10)\nproject(x C)\nfind_package(Threads REQUIRED)\n{}"
             "add_executable(x x.c)\nmessage(STATUS \"done\")\n")
    runs.file("x.c", "int main(void) { return 0; }\n")
    runs.file("CMakeLists.txt", lists.format(""))
    runs.run("good", "cmake", "-S", ".", "-B", "b1")
    runs.file("CMakeLists.txt", lists.format("find_package(ZLIBB REQUIRED)\n"))
    runs.run("fail", "cmake", "-S", ".", "-B", "b2")
    return ["CMake Error at CMakeLists.txt:4 (find_package)", "By not providing \"FindZLIBB.cmake\"",
            "Configuring incomplete, errors occurred"]


@pair("cmake", "ctest", "cc")
def ctest(runs):
    runs.file("t.c", "#include <stdio.h>\n#include <stdlib.h>\nint main(int n, char** v) {\n"
                     "  int i = atoi(v[1]);\n  printf(\"case %d takes %d steps\\n\", i, i * 7 % 11);\n"
                     "  if (getenv(\"BAD\") && i == 9) { fprintf(stderr, \"t.c:6: expected 4, got 5\\n\"); return 1; }\n"
                     "  if (getenv(\"BAD\") && i == 17) abort();\n  return n != 2;\n}\n")
    runs.file("CMakeLists.txt", "cmake_minimum_required(VERSION 3.10)\nproject(x C)\nadd_executable(t t.c)\nenable_testing()\n"
                                "foreach(i RANGE 1 24)\n  add_test(NAME case_${i} COMMAND t ${i})\nendforeach()\n")
    subprocess.run("cmake -S . -B b >/dev/null && cmake --build b >/dev/null", shell=True, cwd=runs.work, check=True)
    runs.run("good", "ctest", "--test-dir", "b", "-V")
    runs.run("fail", "ctest", "--test-dir", "b", "-V", env={"BAD": "1"})
    return ["t.c:6: expected 4, got 5", "***Failed", "Subprocess aborted***Exception",
            "92% tests passed, 2 tests failed out of 24", "The following tests FAILED", "9 - case_9 (Failed)",
            "17 - case_17 (Subprocess aborted)", "Errors while running CTest"]


@pair("javac")
def javac(runs):
    for i in range(10):
        runs.file(f"C{i}.java", f"class C{i} {{ int f(int a) {{ return a + {i}; }} }}\n")
    runs.shell("good", "javac -verbose C*.java 2>&1 | grep -v 'loading\\|total\\|search'")
    runs.file("C4.java", "class C4 { int f(int a) { String s = a; return s.size(); } }\n")
    runs.shell("fail", "javac -verbose C*.java 2>&1 | grep -v 'loading\\|total\\|search'")
    return ["incompatible types: int cannot be converted to String", "error: cannot find symbol", "2 errors"]


@pair("rustc")
def rust_tests(runs):
    cases = "\n".join(f"#[test] fn case_{i:02}() {{ assert_eq!(double({i}), {2 * i}); }}" for i in range(20))
    program = "fn double(a: i32) -> i32 {{ if a == {} {{ 0 }} else {{ 2 * a }} }}\n" + cases.replace("{", "{{").replace("}", "}}")
    for log, bad in (("good", -1), ("fail", 13)):
        runs.file("t.rs", program.format(bad))
        subprocess.run(["rustc", "--test", "t.rs", "-o", "t"], cwd=runs.work, check=True, stderr=subprocess.DEVNULL)
        runs.run(log, "./t", "--test-threads=1")
    return ["test case_13 ... FAILED", "---- case_13 stdout ----", "thread 'case_13'", "assertion `left == right` failed",
            "left: 0", "right: 26", "test result: FAILED. 19 passed; 1 failed"]


# --- Tests


@pair("python3")
def unittest(runs):
    runs.file("t.py", """
        import os, unittest
        class T(unittest.TestCase):
            pass
        def made(i):
            def f(self):
                if os.environ.get("BAD") and i == 13: self.assertEqual({"a": 1}, {"a": 2})
            return f
        for i in range(30): setattr(T, "test_%02d_item" % i, made(i))
        unittest.main(verbosity=2)
        """)
    runs.run("good", "python3", "t.py")
    runs.run("fail", "python3", "t.py", env={"BAD": "1"})
    return ["item) ... FAIL", "FAIL: test_13_item", "AssertionError: {'a': 1}", "FAILED (failures=1)"]


@pair("node")
def node_tests(runs):
    runs.file("t.test.js", """
        const test = require("node:test"), assert = require("node:assert");
        for (let i = 0; i < 15; ++i) test(`sums ${i}`, () => {
          assert.strictEqual(process.env.BAD && i == 6 ? i + 1 : i, i);
        });
        """)
    runs.run("good", "node", "--test", "--test-reporter=tap", "t.test.js")
    runs.run("fail", "node", "--test", "--test-reporter=tap", "t.test.js", env={"BAD": "1"})
    return ["not ok 7 - sums 6", "Expected values to be strictly equal", "ERR_ASSERTION", "# fail 1"]


@pair("prove", "perl")
def perl_tests(runs):
    for i in range(8):
        runs.file(f"t/{i}.t", f"use Test::More tests => 4; ok(1, 'opens {i}'); is(2, 2, 'reads'); "
                              f"is($ENV{{BAD}} && {i} == 5 ? 3 : 4, 4, 'sums up'); ok(1, 'closes');\n")
    runs.run("good", "prove", "-v", "t")
    runs.run("fail", "prove", "-v", "t", env={"BAD": "1"})
    return ["not ok 3 - sums up", "#   Failed test 'sums up'", "#          got: '3'", "#     expected: '4'",
            "Looks like you failed 1 test of 4", "Dubious, test returned 1", "Failed 1/4 subtests", "t/5.t (Wstat:", "Result: FAIL",
            "Failed test:  3"]


@pair("valgrind", "cc")
def valgrind(runs):
    source = ("#include <stdlib.h>\n#include <stdio.h>\nint main(void) {{\n  for (int i = 0; i < 8; ++i) {{\n"
              "    int* a = malloc(40);\n    a[{}] = i;\n    printf(\"block %d\\n\", a[0] = i);\n    {}free(a);\n  }}\n}}\n")
    for log, at, leak in (("good", 9, ""), ("fail", 10, "if (i != 3) ")):
        runs.file("x.c", source.format(at, leak))
        subprocess.run(["cc", "-g", "x.c", "-o", "x"], cwd=runs.work, check=True)
        runs.run(log, "valgrind", "--leak-check=full", "./x")
    return ["Invalid write of size 4", "is 0 bytes after a block of size 40 alloc'd", "40 bytes in 1 blocks are definitely lost",
            "definitely lost: 40 bytes in 1 blocks", "LEAK SUMMARY", "ERROR SUMMARY: 9 errors from 2 contexts"]


# --- Packages and files


@pair("python3")
def pip(runs):
    subprocess.run(["python3", "-m", "venv", "v"], cwd=runs.work, check=True)
    common = ("v/bin/pip", "install", "-v", "--dry-run", "--disable-pip-version-check")
    runs.run("good", *common, "six")
    runs.run("fail", *common, "six==99.9")
    return ["Could not find a version that satisfies", "No matching distribution found"]


@pair("apt-get")
def apt(runs):
    runs.run("good", "apt-get", "-s", "install", "hello")
    runs.run("fail", "apt-get", "-s", "install", "hello", "no-such-package-x")
    return ["Unable to locate package no-such-package-x"]


@pair("tar")
def tar(runs):
    for i in range(40):
        runs.file(f"d/file{i}.txt", str(i))
    runs.run("good", "tar", "cvf", "a.tar", "d")
    os.mkfifo(runs.work / "d/x")
    (runs.work / "d/link").symlink_to("nowhere")
    runs.run("fail", "tar", "cvf", "a.tar", "d", "missing_dir")
    return ["missing_dir: Cannot stat", "Exiting with failure status", "d/link", "d/x"]


@pair("cp")
def copies(runs):
    (runs.work / "d").mkdir()
    runs.shell("good", "for f in $(ls /usr/share/doc/*/copyright | head -300); do cp -v $f d/; done")
    runs.shell("fail", """
        i=0; for f in $(ls /usr/share/doc/*/copyright | head -300); do i=$((i + 1))
          [ $i = 150 ] && cp -v /nonexistent/file d/; [ $i = 151 ] && cp -v /usr/share d/; cp -v $f d/; done""")
    return ["cannot stat '/nonexistent/file'", "-r not specified; omitting directory"]


@pair("mount", "cp", root=True)
def full_disk(runs):
    (runs.work / "d").mkdir()
    for i in range(30):
        runs.file(f"s/part{i:02}", "x" * 100_000)
    for log, size in (("good", "8m"), ("fail", "2m")):
        runs.shell(log, f"mount -t tmpfs -o size={size} none d && {{ for f in s/*; do cp -v $f d/ && echo $f is safe; done; "
                        "ls d | wc -l; umount d; }")
    return ["No space left on device"]


@pair("e2fsck", "mkfs.ext4", "debugfs")
def failing_disk(runs):
    runs.shell("good", """
        truncate -s 8m disk; mkfs.ext4 -q -F disk
        for i in $(seq 20); do echo $i > f$i; debugfs -w -R "write f$i f$i" disk 2>/dev/null; done
        for i in 1 2 3; do e2fsck -fn disk; done""")
    runs.logs["fail"] = ""
    runs.shell("fail", """
        e2fsck -fn disk
        debugfs -w -R "clri <14>" disk 2>/dev/null; debugfs -w -R "set_inode_field <16> links_count 7" disk 2>/dev/null
        e2fsck -fn disk""")
    return ["has deleted/unused inode 14", "has an incorrect filetype", "Inode 16 ref count is 7, should be 1",
            "Block bitmap differences", "Inode bitmap differences", "WARNING: Filesystem still has errors"]


@pair("unzip", "zip")
def damaged_archives(runs):
    script = "for i in $(seq 12); do unzip -t a$i.zip; done"
    subprocess.run("for i in $(seq 12); do seq $((i * 400)) > n$i; zip -q a$i.zip n$i; done", shell=True, cwd=runs.work, check=True)
    runs.shell("good", script)
    with open(runs.work / "a8.zip", "r+b") as archive:
        archive.seek(700)
        archive.write(b"\0\0\0\0damage\0\0\0\0")
    runs.shell("fail", script)
    return ["bad CRC", "At least one error was detected in a8.zip"]


@pair("git")
def git(runs):
    setup = "git config user.email a@b; git config user.name n;"
    runs.shell("good", f"""
        git init -q --bare r.git; GIT_TRACE=1 git clone r.git g1; cd g1; {setup}
        for i in 1 2 3; do echo $i > f; git add f; git commit -m "step $i"; done; GIT_TRACE=1 git push origin HEAD:main""")
    runs.shell("fail", f"""
        GIT_TRACE=1 git clone r.git g2; cd g2; git checkout -q main; {setup}
        for i in 4 5; do echo $i > f; git add f; git commit -m "step $i"; done
        git reset -q --hard HEAD~3; echo z > f; git add f; git commit -m "step 6"; GIT_TRACE=1 git push origin HEAD:main""")
    return ["! [rejected]", "failed to push some refs", "Updates were rejected"]


@pair("bash", "cmp")
def backup_script(runs):
    runs.file("b.sh", """
        set -x
        for h in a b c d e f; do mkdir -p $1/$h; echo backup $h > $1/$h/f; cp $1/$h/f $1/$h/g
          cmp $1/$h/f $1/$h/g && echo host $h ok
          [ "$2" = $h ] && { rm $1/$h/g; cmp $1/$h/f $1/$h/g || echo host $h differs; }; done
        """)
    runs.run("good", "bash", "b.sh", "out")
    runs.run("fail", "bash", "b.sh", "out", "d")
    return ["+ rm ", "No such file or directory", "host d differs"]


# --- Services


@pair("python3")
def application(runs):
    runs.file("app.py", """
        import logging, random, sys
        random.seed(int(sys.argv[1]))
        logging.basicConfig(level=logging.DEBUG, stream=sys.stdout, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
        w, d, j = (logging.getLogger(n) for n in ("web", "db.pool", "jobs"))
        for i in range(400):
            r = random.random()
            if r < .6: w.info("GET /items/%d 200 %d ms", random.randrange(9999), random.randrange(90))
            elif r < .8: d.debug("connection %d acquired after %d us", random.randrange(20), random.randrange(900))
            elif r < .95: j.info("job %08x of kind %s finished", random.getrandbits(32), random.choice(["mail", "thumb", "index"]))
            else: w.warning("slow request /items/%d took %d ms", random.randrange(9999), 900 + random.randrange(900))
            if len(sys.argv) > 2 and i == 250:
                d.error("connection %d lost: server closed the connection unexpectedly", 7)
                try: {}["tenant-7"]
                except KeyError: j.exception("job %08x of kind mail failed", 12345)
            if len(sys.argv) > 2 and i == 300:
                w.info("GET /items/77 503 30001 ms"); d.warning("pool exhausted, 0 of 20 free")
        """)
    runs.run("good", "python3", "app.py", "1")
    runs.run("fail", "python3", "app.py", "2", "bad")
    return ["connection 7 lost", "of kind mail failed", "KeyError: 'tenant-7'", "pool exhausted"]


@pair("python3")
def json_service(runs):
    runs.file("j.py", """
        import json, random, sys
        random.seed(int(sys.argv[1])); t = 1772438400000
        def out(level, msg, **k):
            global t; t += random.randrange(900); print(json.dumps({"level": level, "time": t, "pid": 7, "msg": msg, **k}))
        for i in range(500):
            r = random.random()
            if r < .7: out(30, "request completed", method="GET", url="/u/%d" % random.randrange(999), status=200, ms=random.randrange(80))
            elif r < .9: out(20, "cache hit", key="k%04x" % random.getrandbits(16))
            else: out(40, "retrying upstream", attempt=1, host="auth-%d" % random.randrange(4))
            if len(sys.argv) > 2 and i in (200, 203): out(50, "request completed", method="GET", url="/u/1", status=500, ms=30000)
            if len(sys.argv) > 2 and i == 300: out(60, "unable to renew certificate", err={"code": "EACCES", "path": "/etc/tls/key.pem"})
            if len(sys.argv) > 2 and i == 301: out(30, "draining connections", count=14)
        """)
    runs.run("good", "python3", "j.py", "1")
    runs.run("fail", "python3", "j.py", "2", "bad")
    return ['"level": 50', "unable to renew certificate", "draining connections"]


@pair("python3")
def sqlite(runs):
    runs.file("s.py", """
        import sqlite3, sys
        c = sqlite3.connect(":memory:"); c.set_trace_callback(print)
        c.execute("create table t(a integer primary key, b text not null)")
        for i in range(120):
            c.execute("insert into t values(?,?)", (i, "x%d" % i))
            if i % 10 == 0: c.execute("select count(*) from t").fetchall(); c.commit()
        if len(sys.argv) > 1:
            for q in ["insert into t values(5,'dup')", "drop table if exists missing", "select * from nope"]:
                try: c.execute(q)
                except Exception as e: print("sqlite3 says", e)
        """)
    runs.run("good", "python3", "s.py")
    runs.run("fail", "python3", "s.py", "bad")
    return ["dup", "UNIQUE constraint failed", "drop table if exists missing", "no such table: nope"]


@pair("python3", "curl")
def web_server(runs):
    runs.file("index.html", "hello\n")
    runs.file("serve.py", """
        import http.server, subprocess, sys, threading
        class Handler(http.server.SimpleHTTPRequestHandler):
            def do_POST(self): raise RuntimeError("no handler for forms")
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        port = server.server_port
        def get(path, *more): subprocess.run(["curl", "-s", "-o", "/dev/null", *more, f"http://127.0.0.1:{port}{path}"])
        for i in range(60):
            get("/" if i % 3 else "/index.html")
            if len(sys.argv) > 1 and i == 30: get("/../../etc/passwd", "--path-as-is"); get("/admin.php?id=1%27")
            if len(sys.argv) > 1 and i == 40: get("/", "-d", "a=1")
        """)
    runs.run("good", "python3", "serve.py")
    runs.run("fail", "python3", "serve.py", "bad")
    return ["/../../etc/passwd HTTP/1.1\" 404", "admin.php?id=1%27 HTTP/1.1\" 404", "code 404, message File not found",
            "Exception occurred during processing of request", "RuntimeError: no handler for forms"]


@pair("python3", "openssl", "curl")
def tls_client(runs):
    subprocess.run("openssl req -x509 -newkey rsa:2048 -nodes -keyout k.pem -out c.pem -days 2 -subj /CN=localhost "
                   "-addext subjectAltName=DNS:localhost 2>/dev/null; echo hello > index.html", shell=True, cwd=runs.work, check=True)
    runs.file("serve.py", """
        import http.server, ssl, subprocess, sys, threading
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER); context.load_cert_chain("c.pem", "k.pem")
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        for i in range(5):
            trust = [] if len(sys.argv) > 1 and i == 3 else ["--cacert", "c.pem"]
            host = "127.0.0.1" if len(sys.argv) > 1 and i == 4 else "localhost"
            subprocess.run(["curl", "-v", "-s", "-S", *trust, f"https://{host}:{server.server_port}/index.html"], stderr=subprocess.STDOUT)
        """)
    runs.run("good", "python3", "serve.py")
    runs.run("fail", "python3", "serve.py", "bad")
    return ["SSL certificate problem", "(OUT), TLS alert, unknown CA", "no alternative certificate subject name matches", "SSL: no alternative certificate"]


@pair("runuser", "initdb", "psql", root=True)
def postgres(runs):
    binaries = Path(shutil.which("initdb")).resolve().parent
    os.chmod(runs.work, 0o777)
    for folder in runs.work.parents:
        if folder != Path("/") and folder.is_relative_to(tempfile.gettempdir()) and folder != Path(tempfile.gettempdir()):
            os.chmod(folder, 0o755)
    work = "for i in $(seq 40); do psql -q -h $PWD -c \"insert into t values($i, 'x$i')\" -d postgres; done"
    bad = ("psql -q -h $PWD -d postgres -c \"insert into t values(7, 'again')\"; psql -q -h $PWD -d postgres -c 'select * from nope';"
           "psql -q -h $PWD -d nowhere -c 'select 1'; psql -q -h $PWD -d postgres -c 'select 1/0 from t';")
    for log, more in (("good", ""), ("fail", bad)):
        script = f"""
            export PATH={binaries}:$PATH; cd {runs.work}; initdb -D {log} -A trust -U nobody > /dev/null
            pg_ctl -D {log} -o "-k $PWD -c listen_addresses='' -c log_statement=all -c log_connections=on" -l {log}.log -w start > /dev/null
            export PGUSER=nobody
            psql -q -h $PWD -d postgres -c 'create table t(a int primary key, b text)'
            {{ {work}; {more} {work.replace('values($i', 'values(100 + $i')}; }} > /dev/null 2>&1
            pg_ctl -D {log} -m fast stop > /dev/null; cat {log}.log"""
        runs.run(log, "runuser", "-u", "nobody", "--", "bash", "-c", script)
    return ["duplicate key value violates unique constraint", "Key (a)=(7) already exists", "relation \"nope\" does not exist",
            "database \"nowhere\" does not exist", "division by zero", "insert into t values(7, 'again')", "select * from nope",
            "select 1/0 from t"]


@pair("java", "javac")
def java_service(runs):
    runs.file("S.java", """
        import java.util.*;
        import java.util.logging.*;
        public class S {
          static final Logger log = Logger.getLogger("orders");
          static int parse(String s) { return Integer.parseInt(s); }
          public static void main(String[] a) {
            Random r = new Random(a.length);
            for (int i = 0; i < 150; ++i) {
              log.info("order " + r.nextInt(9999) + " of customer " + r.nextInt(500) + " booked");
              if (i % 12 == 0) log.config("cache holds " + r.nextInt(100) + " entries");
              if (i % 25 == 0) log.warning("stock of article " + r.nextInt(50) + " is low");
              if (a.length > 0 && i == 90) {
                try { parse("12x"); } catch (NumberFormatException e) { log.log(Level.SEVERE, "cannot book order 12x", e); }
              }
              if (a.length > 0 && i == 120) log.warning("payment service did not answer within 30 s");
            }
          }
        }
        """)
    subprocess.run(["javac", "S.java"], cwd=runs.work, check=True, stderr=subprocess.DEVNULL)
    runs.run("good", "java", "S")
    runs.run("fail", "java", "S", "bad")
    return ["SEVERE: cannot book order 12x", "NumberFormatException: For input string", "payment service did not answer"]


@pair("gpg")
def signatures(runs):
    home = {"GNUPGHOME": str(runs.work / "home")}
    (runs.work / "home").mkdir(mode=0o700)
    subprocess.run("gpg -q --batch --passphrase '' --quick-gen-key tester default default never 2>/dev/null; "
                   "for i in $(seq 10); do echo file $i > f$i; gpg -q --batch --detach-sign f$i; done",
                   shell=True, cwd=runs.work, env={**os.environ, **home}, check=True)
    script = "for i in $(seq 10); do gpg --verify f$i.sig f$i; done"
    runs.shell("good", script, env=home)
    runs.file("f6", "another text\n")
    (runs.work / "f9").unlink()
    runs.shell("fail", script, env=home)
    subprocess.run(["gpgconf", "--kill", "all"], env={**os.environ, **home}, check=False)
    return ["BAD signature from", "can't open signed data 'f9'", "can't hash datafile"]


def write(folder: Path, name: str, work: Path) -> None:
    function, _, _ = PAIRS[name]
    runs = Runs(work)
    annotations = function(runs)
    target = folder / name
    target.mkdir(parents=True, exist_ok=True)
    for log, text in runs.logs.items():
        (target / f"log.{log}").write_text(text.replace(str(work), "/build"), encoding="utf-8")
    lines = "".join(f"  - line: |\n      {text}\n" for text in annotations if text in runs.logs["fail"])
    (target / "inf.yaml").write_text("anomalies:\n" + lines, encoding="utf-8")
    missing = [text for text in annotations if text not in runs.logs["fail"]]
    print(f"{name}: {len(runs.logs['good'].splitlines())} and {len(runs.logs['fail'].splitlines())} lines"
          + (f"; not in the log: {missing}" if missing else ""))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="*", metavar="NAME", help=" ".join(PAIRS))
    options = parser.parse_args()
    for name in options.names or PAIRS:
        _, programs, root = PAIRS[name]
        lacking = [program for program in programs if shutil.which(program) is None]
        if lacking or (root and os.geteuid() != 0):
            print(f"{name}: left out, {'needs ' + ', '.join(lacking) if lacking else 'needs root'}", file=sys.stderr)
            continue
        with tempfile.TemporaryDirectory() as work:
            write(options.folder, name, Path(work))


if __name__ == "__main__":
    main()

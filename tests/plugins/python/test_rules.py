"""What a plugin may do, and the text for each thing that it may not."""

import json
import os
import subprocess
import sys
import unittest

from fixture import HEAD, SOURCE, OneBlock, PluginTest, WorkerGone, WorkerProcess


class Loading(PluginTest):
    def test_every_class_with_a_name_is_a_plugin(self) -> None:
        worker = self.start("""
            class One(Base):
                name = "one"; description = "The first"; wants = ("hidden", "text"); options_schema = {"type": "object"}
                state = {}
                def process(self, block): pass
            class Two(Base):
                name = "two"; wants = ("entropy",); top_k = 64
                def process(self, block): pass
            Alias = Two
        """)
        one = {"name": "one", "version": "1", "description": "The first", "wants": 6, "top_k": 0, "saves": True, "forks": False,
               "options": '{"type": "object"}'}  # fmt: skip
        two = {
            "name": "two",
            "version": "1",
            "description": "",
            "wants": 9,
            "top_k": 64,
            "saves": False,
            "forks": True,
            "options": "",
        }
        self.assertEqual(worker.plugins, [one, two])

    def test_what_is_wrong_with_a_class_is_said_with_its_line(self) -> None:
        process = "def process(self, block): pass"
        for body, text in (
            (f'name = "No"; {process[:0]}', "the name 'No' must match [a-z][a-z0-9-]{0,31}"),
            ('name = "x"; wants = ("hidden")', 'wants is a text; write wants = ("hidden",)'),
            ('name = "x"; wants = ("hiden",)', "wants is ('hiden',); it may hold"),
            ('name = "x"; top_k = 65', "top_k is 65; it must be a whole number from 0 to 64"),
            ('name = "x"; version = 1', "version is 1; it must be a text"),
            ('name = "x"; state = []', "`state` must be a dict"),
            ('name = "x"; save = lambda self: b""', "it must have both save() and load()"),
        ):
            said = self.refusal(f"""
                class Tried(Base):
                    {body}
                    {process}
            """)
            self.assertIn(f"tried.py:{self.line('class Tried')}: class Tried: {text}", said)

    def test_methods_must_take_what_they_are_given(self) -> None:
        said = self.refusal("""
            class Tried(Base):
                name = "tried"
                def __init__(self): pass
                def process(self, block): pass
        """)
        self.assertIn("__init__ must be defined as __init__(self, options)", said)
        said = self.refusal('class Tried(Base):\n    name = "tried"\n')
        self.assertIn("it has no process(self, block)", said)

    def test_files_that_cannot_be_loaded(self) -> None:
        self.assertEqual(self.refusal("x = 1"), "tried.py has no class derived from unroll_plugin.Plugin with a name")
        self.assertEqual(self.refusal("x = = 1", head="\n\n"), "tried.py:3: SyntaxError: invalid syntax")
        self.assertEqual(self.refusal("x = 1 / 0", head="\n"), "tried.py:2: ZeroDivisionError: division by zero")
        self.assertEqual(self.refusal("import sys; sys.exit(0)", head=""), "tried.py:1: SystemExit: 0")
        said = self.refusal("import no_such_module", head="")
        self.assertEqual(said, "tried.py:1: ModuleNotFoundError: No module named 'no_such_module'")
        taken = 'class {0}(Base):\n    name = "tried"\n    def process(self, block): pass\n'
        said = self.refusal(taken.format("One") + taken.format("Two"))
        self.assertIn('class Two: the name "tried" is taken', said)

    def test_modules_beside_the_file_are_found_but_shadow_nothing(self) -> None:
        self.write("LEVEL = 7", head="", name="beside.py")
        self.write("raise RuntimeError", head="", name="random.py")
        worker = self.start("""
            import beside, random
            class Tried(Base):
                name = "tried"; version = str(beside.LEVEL + random.randint(0, 0))
                def process(self, block): pass
        """)
        self.assertEqual(worker.plugins[0]["version"], "7")
        self.assertNotIn("__pycache__", os.listdir(self.folder))

    def test_a_python_without_numpy_is_refused_with_what_to_install(self) -> None:
        file = self.write("")
        program = (
            "import sys; sys.modules['numpy'] = None; sys.argv = ['-m']; sys.path.insert(0, ''); import unroll_plugin"
        )
        package = os.path.join(SOURCE, "plugins/python")
        ran = subprocess.run([sys.executable, "-c", program, "--try", file], capture_output=True, text=True,
                             env={"PYTHONPATH": package, "PYTHONHASHSEED": "0"})  # fmt: skip
        self.assertIn("has no NumPy, which plugins in Python need (Debian: python3-numpy)", ran.stderr)
        self.assertEqual(ran.returncode, 1)


class Calls(PluginTest):
    def test_a_fork_gets_where_the_document_before_ended(self) -> None:
        worker = self.start("""
            class Tried(Base):
                name = "tried"; state = {"learned": 0, "own": 0}
                def process(self, block): pass
                def fork(self, point):
                    self.state["learned"] += point.tokens
                    self.state["own"] = [point.bytes, point.head.hex()]
                def finish(self, end): self.emit([self.state["learned"], self.state["own"]])
        """)
        self.assertTrue(worker.plugins[0]["forks"])
        worker.call({"type": "create", "instance": 1, "plugin": "tried", "options": "{}"})
        outputs, state = worker.call({"type": "fork", "instance": 1, "tokens": 3, "bytes": 7}, b"\xc3")
        self.assertEqual(outputs, [])
        worker.call({"type": "create", "instance": 2, "plugin": "tried", "options": "{}"})
        worker.call({"type": "load", "instance": 2}, state)
        outputs, _ = worker.call({"type": "finish", "instance": 2, "tokens": 0, "bytes": 0})
        self.assertEqual(outputs, [b'[3,[7,"c3"]]'])

    def test_an_exception_is_told_with_its_type_and_line(self) -> None:
        error = self.failure("""
            def deep(): return {}["key"]  # here
            class Tried(Base):
                name = "tried"
                def process(self, block): deep()
        """)
        self.assertEqual((error.status, str(error)), (3, f"tried.py:{self.line('# here')}: KeyError: 'key'"))

    def test_errors_of_the_package_are_told_as_they_are(self) -> None:
        body = """
            class Tried(Base):
                name = "tried"
                def __init__(self, options):
                    if options: raise OptionsError("option x is wrong")
                def process(self, block): raise Error("the document is too odd")
        """
        error = self.failure(body)
        self.assertEqual((error.status, str(error)), (3, "the document is too odd"))
        error = self.failure(body, '{"x":1}')
        self.assertEqual((error.status, str(error)), (1, "option x is wrong"))

    def test_options_are_refused_unless_the_class_takes_them(self) -> None:
        error = self.failure("""
            class Tried(Base):
                name = "tried"
                def process(self, block): pass
        """, '{"widnow":1}')  # fmt: skip
        self.assertEqual((error.status, str(error)), (1, 'option "widnow" is unknown; tried takes no options'))

    def test_outputs_that_are_no_json(self) -> None:
        for value, text in (("float('nan')", "NaN or an inf"), ("np.float32('inf')", "NaN or an inf"),
                            ("b'x'", "an output holds bytes"), ("'\\ud800'", "a text that is not UTF-8"),
                            ("{1, 2}", "an output holds set"), ("'x' * (17 << 20)", "16777216 are allowed")):  # fmt: skip
            error = self.failure(f"""
                class Tried(Base):
                    name = "tried"
                    def process(self, block): self.emit({value})
            """)
            self.assertIn(text, str(error))
            self.assertTrue(str(error).startswith(f"tried.py:{self.line('self.emit')}: "), str(error))

    def test_numpy_values_and_texts_are_json(self) -> None:
        one = OneBlock(self.start("""
            class Tried(Base):
                name = "tried"
                def process(self, block):
                    self.emit({"a": np.int64(1), "b": np.array([[0.5, 1]]), "c": np.bool_(True), "é": "\\n\\u2028",
                               1: None})
        """))
        self.assertEqual(one.process(), ['{"a":1,"b":[[0.5,1.0]],"c":true,"é":"\\n\u2028","1":null}'.encode()])

    def test_the_outputs_of_one_call_are_limited(self) -> None:
        error = self.failure("""
            class Tried(Base):
                name = "tried"
                def process(self, block):
                    while True: self.emit("x" * (15 << 20))
        """)
        self.assertIn("the outputs of one call are more than the 67108864 bytes that are allowed", str(error))

    def test_emit_outside_of_process_and_finish(self) -> None:
        error = self.failure("""
            class Tried(Base):
                name = "tried"
                def __init__(self, options): self.emit(1)
                def process(self, block): pass
        """)
        self.assertIn("RuntimeError: emit() may only be called while process() or finish() is called", str(error))

    def test_logs_and_prints(self) -> None:
        worker = self.start("""
            import os
            class Tried(Base):
                name = "tried"
                def process(self, block):
                    self.log.info("seen"); self.log.error("bad \\ud800")
                    print("printed")
                    try: os.write(3, b"garbage")
                    except OSError as error: self.emit(error.strerror)
        """)
        self.assertEqual(OneBlock(worker).process(), [b'"Bad file descriptor"'])
        self.assertEqual(worker.logs, [(1, "seen"), (3, "bad ?")])
        self.assertIn("printed", self.words())

    def test_a_plugin_does_not_end_the_worker_by_sys_exit(self) -> None:
        error = self.failure("""
            class Tried(Base):
                name = "tried"
                def process(self, block): raise SystemExit("enough")
        """)
        self.assertEqual(str(error), f"tried.py:{self.line('SystemExit')}: SystemExit: enough")

    def test_a_crash_says_where(self) -> None:
        worker = self.start("""
            import ctypes
            class Tried(Base):
                name = "tried"
                def process(self, block): ctypes.string_at(0)  # here
        """)
        with self.assertRaises(WorkerGone):
            OneBlock(worker).process()
        self.assertEqual(worker.close(), -11)
        self.assertIn("Segmentation fault", self.words())
        self.assertIn(f'tried.py", line {self.line("# here")} in process', self.words())

    def test_sets_go_the_same_way_in_every_process(self) -> None:
        """PYTHONHASHSEED: without it the order of a set of strings differs between two workers."""
        body = """
            class Tried(Base):
                name = "tried"
                def process(self, block): self.emit(list({str(i) for i in range(50)}))
        """
        orders = set()
        for _ in range(2):
            orders.add(OneBlock(self.start(body, environment={"PYTHONHASHSEED": "random"})).process()[0])
        self.assertEqual(len(orders), 1)

    def test_numpy_has_one_thread(self) -> None:
        one = OneBlock(self.start("""
            import os
            class Tried(Base):
                name = "tried"
                def process(self, block):
                    np.ones((300, 300)) @ np.ones((300, 300))
                    self.emit(len(os.listdir("/proc/self/task")))
        """))
        self.assertEqual(one.process(), [b"1"])


class ByHand(PluginTest):
    def attempt(self, body: str, *arguments: str) -> subprocess.CompletedProcess:
        text = os.path.join(self.folder, "text")
        with open(text, "wb") as out:
            out.write(b"One sentence. Another one!\n" * 200)
        command = [sys.executable, "-m", "unroll_plugin", "--try", self.write(body), text, *arguments]
        environment = {**os.environ, "PYTHONPATH": os.path.join(SOURCE, "plugins/python")}
        return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=self.folder)

    def test_outputs_are_printed(self) -> None:
        ran = self.attempt("""
            class Tried(Base):
                name = "tried"; state = {"blocks": 0}
                def __init__(self, options): self.word = options["word"]
                def process(self, block): self.state["blocks"] += 1
                def finish(self, end): self.emit([self.word, self.state["blocks"], end.bytes])
        """, "--options", '{"word":"x"}')  # fmt: skip
        self.assertEqual((ran.returncode, ran.stdout), (0, '["x",3,5400]\n'))
        self.assertIn("PASSED: tried: 1 outputs; the same when resumed before every block", ran.stderr)

    def test_what_is_kept_outside_of_the_state_is_noticed(self) -> None:
        ran = self.attempt("""
            class Tried(Base):
                name = "tried"; blocks = 0
                def process(self, block): self.blocks += 1
                def finish(self, end): self.emit(self.blocks)
        """)
        self.assertEqual((ran.returncode, ran.stdout), (1, "3\n"))
        self.assertIn("FAILED: tried: 1 outputs; other ones when resumed before every block", ran.stderr)

    def test_a_failure_is_told(self) -> None:
        ran = self.attempt("x = 1")
        self.assertEqual(ran.returncode, 1)
        self.assertIn("FAILED: tried.py has no class", ran.stderr)

    def test_the_working_directory_shadows_nothing(self) -> None:
        self.write("raise RuntimeError", head="", name="numpy.py")
        ran = self.attempt('class Tried(Base):\n    name = "tried"\n    def process(self, block): pass\n')
        self.assertEqual(ran.returncode, 0, ran.stderr)


if __name__ == "__main__":
    unittest.main()

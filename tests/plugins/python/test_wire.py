"""The worker's end of the wire: garbage ends it with a word and a status, and the end of the connection quietly."""

import os
import random
import struct
import unittest

from fixture import Arena, OneBlock, PluginTest, WorkerProcess

PLAIN = """
    class Tried(Base):
        name = "tried"
        def process(self, block): self.emit(1)
"""


class Wire(PluginTest):
    def ended(self, worker: WorkerProcess) -> int:
        return worker._process.wait()  # the connection stays open: the worker ends on its own

    def test_the_end_of_the_connection_ends_the_worker(self) -> None:
        for use in (False, True):
            worker = self.start(PLAIN)
            if use:
                OneBlock(worker).process()
            self.assertEqual(worker.close(), 0)
        self.assertEqual(self.words(), "")

    def test_also_where_a_thread_of_the_plugin_goes_on(self) -> None:
        worker = self.start("""
            import threading, time
            class Tried(Base):
                name = "tried"
                def process(self, block): threading.Thread(target=time.sleep, args=(1000,)).start()
        """)
        OneBlock(worker).process()
        self.assertEqual(worker.close(), 0)

    def test_bytes_that_are_no_frame(self) -> None:
        head = struct.Struct("<IIQ")
        for garbage in (b"x" * 16, random.Random(1).randbytes(4000), head.pack(0x4C525055, 2, 1 << 60) + b"{}",
                        head.pack(0x4C525055, 1 << 31, 0), head.pack(0x4C525055, 2, 0) + b"[]",
                        head.pack(0x4C525055, 4, 0) + b"nope", head.pack(0x4C525055, 2, 0) + b"{}"):  # fmt: skip
            worker = self.start(PLAIN)
            worker.send_raw(garbage)
            self.assertEqual(self.ended(worker), 2, garbage[:40])
        self.assertEqual(self.words().count("unroll_plugin: protocol error: "), 7)

    def test_a_frame_that_is_cut_off(self) -> None:
        worker = self.start(PLAIN)
        worker.send_raw(b"UPRL\x05\0\0\0")
        self.assertEqual(worker.close(), 2)
        self.assertIn("the connection ended inside a frame", self.words())

    def test_calls_that_make_no_sense(self) -> None:
        create = {"type": "create", "instance": 1, "plugin": "tried", "options": "{}"}
        for change in ({"instance": 1}, {"instance": -1}, {"instance": 2**64}, {"instance": True}, {"plugin": "other"},
                       {"plugin": None}, {"options": "{"}, {"options": "[]"}, {"type": "process"}, {"type": ["x"]},
                       {"type": "load", "instance": 7}, {"type": "finish", "instance": 1}):  # fmt: skip
            worker = self.start(PLAIN)
            worker.call(create)
            worker.send({**create, **change})
            self.assertEqual(self.ended(worker), 2, change)

    def test_blocks_beyond_the_arena(self) -> None:
        for change in ({"length": 1 << 40}, {"length": -1}, {"at": {"tokens": 0, "offsets": 0}}, {"at": []},
                       {"at": {"tokens": 0, "offsets": 0, "logprobs": 1 << 62}}, {"dim": "x"},
                       {"at": {"tokens": 0, "offsets": 0, "logprobs": 0, "odd": 0}}):  # fmt: skip
            one = OneBlock(self.start(PLAIN))
            one.worker.send(one.frame(**change))
            self.assertEqual(self.ended(one.worker), 2, change)

    def test_descriptors(self) -> None:
        """An arena without one, one that is too short, one where none belongs."""
        arena = Arena(4096)
        for fields, descriptor in (({"type": "arena", "bytes": 4096}, -1),
                                   ({"type": "arena", "bytes": 8192}, arena.descriptor),
                                   ({"type": "arena", "bytes": 0}, arena.descriptor),
                                   ({"type": "vocabulary", "count": 1 << 40}, arena.descriptor),
                                   ({"type": "destroy", "instance": 1}, arena.descriptor)):  # fmt: skip
            worker = self.start(PLAIN)
            worker.send(fields, descriptor=descriptor)
            self.assertEqual(self.ended(worker), 2, fields)

    def sandbox(self, result: int) -> str:
        """A library that says what it was called with."""
        library, source = os.path.join(self.folder, "sandbox.so"), os.path.join(self.folder, "sandbox.c")
        with open(source, "w") as out:
            out.write("#include <stdint.h>\n#include <stdio.h>\nint unroll_sandbox_enter(uint32_t p, uint64_t m) {"
                      f'fprintf(stderr, "%u %llu", p, (unsigned long long)m); return {result}; }}\n')  # fmt: skip
        self.assertEqual(os.spawnlp(os.P_WAIT, "cc", "cc", "-shared", "-fPIC", "-o", library, source), 0)
        return library

    def test_the_sandbox_is_entered_before_the_plugin_is_loaded(self) -> None:
        """By a library that says so and fails; a missing one is refused, too."""
        library, marker = self.sandbox(result=13), os.path.join(self.folder, "loaded")
        file = self.write(f"open({marker!r}, 'w')")
        arguments = ("--permissions", "5", "--memory", "12345678901")
        for path, text in ((library, "Permission denied"), (library + "x", "cannot open shared object file")):
            with self.assertRaisesRegex(Exception, "cannot enter the sandbox: .*" + text):
                WorkerProcess(file, arguments, {"UNROLL_SANDBOX_LIBRARY": path}, stderr=self.stderr)
        self.assertEqual(self.words(), "5 12345678901")
        self.assertFalse(os.path.exists(marker))

    def test_in_the_sandbox_what_is_not_permitted_is_an_exception_that_says_so(self) -> None:
        """subprocess blocks all signals before it forks, so the sandbox's word for it would be lost."""
        file = self.write("""
            import os, socket, subprocess
            class Tried(Base):
                name = "tried"
                def process(self, block):
                    for act in (lambda: subprocess.run(["true"]), os.fork, lambda: os.system("true"), socket.socket):
                        try: act(); self.emit("done")
                        except PermissionError as error: self.emit(str(error))
        """)
        environment = {"UNROLL_SANDBOX_LIBRARY": self.sandbox(result=0)}
        with WorkerProcess(file, ("--permissions", "0"), environment, stderr=self.stderr) as worker:
            processes = b'"a plugin may not start processes unless its manifest permits it: {\\"processes\\":true}"'
            network = b'"a plugin may not use the network unless its manifest permits it: {\\"network\\":true}"'
            self.assertEqual(OneBlock(worker).process(), [processes] * 3 + [network])
        with WorkerProcess(file, ("--permissions", "1"), environment, stderr=self.stderr) as worker:
            self.assertEqual(OneBlock(worker).process(), [processes] * 3 + [b'"done"'])


if __name__ == "__main__":
    unittest.main()

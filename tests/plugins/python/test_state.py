"""A state comes back as it was, in any other process, and a damaged one is refused."""

import os
import random
import unittest
from collections import deque

import numpy as np
from fixture import OneBlock, PluginFailed, PluginTest

from unroll_plugin import Plugin, StateError
from unroll_plugin import state as states

# Every kind of value that a state holds, and outputs that depend on every block before.
KEEPS_ALL = """
    class Tried(Base):
        name = "tried"; wants = ("hidden", "text")
        state = {"n": 0, "mean": None, "seen": {}, "window": deque(maxlen=3), "pair": (0, b""), "last": np.float32(0)}
        def process(self, block):
            s = self.state
            s["n"] += len(block)
            mean = block.hidden.mean(0)
            s["mean"] = mean if s["mean"] is None else s["mean"] * np.float32(0.9) + mean
            for token in block.tokens: s["seen"][int(token)] = s["seen"].get(int(token), 0) + 1
            s["window"].append(block.text[:4])
            s["pair"] = (s["pair"][0] + 0.1, block.text[-2:])
            s["last"] = s["last"] * np.float32(1.1) + block.logprobs[0]
            self.emit([s["n"], s["mean"], list(s["seen"].items()), [x.hex() for x in s["window"]], s["pair"][0],
                       s["pair"][1].hex(), s["last"]])
        def finish(self, end): self.emit([self.state["n"], end.tokens])
"""
OWN = """
    class Tried(Base):
        name = "tried"
        def __init__(self, options): self.count = 0
        def process(self, block): self.count += 1; self.emit(self.count)
        def save(self): return b"%d" % self.count
        def load(self, state):
            if not state.isdigit(): raise StateError("not a number")
            self.count = int(state)
"""


class Resuming(PluginTest):
    def test_resumed_before_every_block_the_outputs_are_the_same(self) -> None:
        for body in (KEEPS_ALL, OWN):
            worker = self.start(body)
            undisturbed = self.read(worker)
            self.assertGreater(len(undisturbed), 10)
            self.assertEqual(self.read(worker, resumed=True), undisturbed)

    def test_in_a_new_process_the_next_output_and_state_are_the_same(self) -> None:
        one = OneBlock(self.start(KEEPS_ALL))
        for _ in range(3):
            two = OneBlock(self.start(KEEPS_ALL))
            _, loaded = two.worker.call({"type": "load", "instance": 1}, one.state)
            self.assertEqual(loaded, one.state)
            self.assertEqual(two.process(), one.process())
            self.assertEqual(two.state, one.state)

    def test_instances_do_not_share_their_state(self) -> None:
        worker = self.start("""
            class Tried(Base):
                name = "tried"; state = {"list": []}
                def process(self, block): self.state["list"].append(1); self.emit(len(self.state["list"]))
        """)
        self.assertEqual(self.read(worker, width=1000), self.read(worker, width=1000))

    def test_a_class_that_keeps_nothing_has_no_state(self) -> None:
        one = OneBlock(self.start("""
            class Tried(Base):
                name = "tried"
                def process(self, block): self.emit(1)
        """))
        one.process()
        self.assertEqual(one.state, b"")
        self.assertEqual(one.worker.call({"type": "load", "instance": 1}, b""), ([], b""))
        with self.assertRaises(PluginFailed) as caught:
            one.worker.call({"type": "load", "instance": 1}, b"x")
        self.assertEqual((caught.exception.status, str(caught.exception)), (2, "a state for tried, which keeps none"))

    def test_damaged_states_are_refused_by_a_worker_that_goes_on(self) -> None:
        chance = random.Random(1)
        for body in (KEEPS_ALL, OWN):
            one = OneBlock(self.start(body))
            one.process()
            good = one.state
            for i in range(60):
                bad = bytearray(good)
                if i % 3 == 0:
                    del bad[chance.randrange(len(bad)) :]
                elif i % 3 == 1:
                    bad[chance.randrange(len(bad))] ^= 1 << chance.randrange(8)
                else:
                    bad = bytearray(chance.randbytes(chance.randrange(1, 200)))
                with self.assertRaises(PluginFailed, msg=bytes(bad)) as caught:
                    one.worker.call({"type": "load", "instance": 1}, bytes(bad))
                self.assertEqual(caught.exception.status, 2, str(caught.exception))
            one.worker.call({"type": "load", "instance": 1}, good)

    def test_a_state_of_another_version_is_refused(self) -> None:
        body = 'class Tried(Base):\n    name = "tried"; state = {}\n    def process(self, block): pass\n'
        one, two = OneBlock(self.start(body)), OneBlock(self.start(body + '    version = "2"\n'))
        with self.assertRaises(PluginFailed) as caught:
            two.worker.call({"type": "load", "instance": 1}, one.state)
        self.assertEqual((caught.exception.status, str(caught.exception)),
                         (2, "a state of tried 1; this is tried 2"))  # fmt: skip

    def test_a_view_of_the_block_in_the_state_is_refused(self) -> None:
        """It would change with the next block here, and not in a process that loaded the state."""
        error = self.failure("""
            class Tried(Base):
                name = "tried"; wants = ("hidden",); state = {"last": None}
                def process(self, block): self.state["last"] = block.hidden[-1][2:]
        """)
        self.assertIn("self.state['last'] is a view into the block, whose memory is used again: keep self.state['last']"
                      ".copy()", str(error))  # fmt: skip

    def test_too_large_a_state(self) -> None:
        error = self.failure("""
            class Tried(Base):
                name = "tried"; state = {"all": bytearray(65 << 20)}
                def process(self, block): pass
        """)
        self.assertIn("67108864 are allowed", str(error))


class Holder(Plugin):
    name, version = "holder", "1"
    state: dict = {}

    def process(self, block: object) -> None: ...


def through(value: object) -> object:
    one, two = Holder({}), Holder({})
    one.state["x"] = value
    states.load(two, states.save(one))
    return two.state["x"]


class Values(unittest.TestCase):
    def test_values_come_back_as_they_were(self) -> None:
        values = [None, True, 0, -(2**70), 0.1, float("inf"), "é\ud800\0", b"\xff", bytearray(b"x"), (), (1, (2,))]
        values += [[], [1, [2.5]], {}, {"a": {"!array": 1}}, {"!": 1}, {1: "x", (2, "y"): [3]}]
        values += [deque([1, 2], 5), deque()]
        for value in values:
            back = through(value)
            self.assertEqual((type(back), back), (type(value), value))
        self.assertEqual(through(deque([1], 5)).maxlen, 5)  # type: ignore[attr-defined]

    def test_arrays_come_back_as_they_were_and_can_be_written(self) -> None:
        arrays = [np.arange(6).reshape(2, 3).astype(kind) for kind in ("f4", "f8", "i4", "u8", "?", "c8", ">f2")]
        arrays += [np.asfortranarray(np.ones((3, 4))), np.zeros((0, 5)), np.array(3.0), np.arange(10)[::2]]
        for array in arrays:
            back = through(array)
            assert isinstance(back, np.ndarray)
            self.assertEqual((back.dtype, back.shape, back.tobytes()), (array.dtype, array.shape, array.tobytes()))
            back[...] = 1
        self.assertTrue(through(np.asfortranarray(np.ones((3, 4)))).flags.f_contiguous)  # type: ignore[attr-defined]
        self.assertIs(type(through(np.float32(1.5))), np.float32)

    def test_what_would_not_come_back_is_refused_with_its_place(self) -> None:
        shared: list[int] = []
        circle: list[object] = []
        circle.append(circle)
        for value, text in (({"a": [1, {2}]}, "self.state['x']['a'][1] is of type builtins.set"),
                            (np.array([object()]), "is of type numpy.ndarray"), (lambda: 1, "builtins.function"),
                            ([shared, shared], "self.state['x'][1] is the same object as self.state['x'][0]"),
                            (circle, "self.state['x'][0] is the same object as self.state['x']")):  # fmt: skip
            with self.assertRaises(TypeError) as caught:
                through(value)
            self.assertIn(text, str(caught.exception))

    def test_a_state_cannot_run_code(self) -> None:
        """Even one with a right checksum: types are looked up in a table, and arrays hold numbers."""
        import json
        import struct
        import zlib

        for tree in ({"!init__": []}, {"!value": 1}, {"!array": ["O", [1], "C", 0, 8]}, {"!scalar": ["V8", 0, 8]},
                     {"!bytes": [0, 99]}, {"!bytes": [-1, 1]}, {"!array": ["<f4", [9, 9], "C", 0, 8]}):  # fmt: skip
            text = json.dumps(["holder 1", {"x": tree}]).encode()
            payload = struct.pack("<I", len(text)) + text + bytes(8)
            with self.assertRaises(StateError, msg=tree):
                states.load(Holder({}), struct.pack("<4sBBHI", b"UPYS", 1, 0, 0, zlib.crc32(payload)) + payload)


if __name__ == "__main__":
    unittest.main()

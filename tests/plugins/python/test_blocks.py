"""What a plugin sees of a block, and that it is the host's own memory."""

import json
import os
import unittest

import numpy as np
from fixture import Arena, Document, OneBlock, PluginTest, TEXT

ALL = 'wants = ("entropy", "hidden", "text", "word_end", "ranks"); top_k = 3; name = "tried"'


class Blocks(PluginTest):
    def test_every_array_is_what_the_host_wrote(self) -> None:
        one = OneBlock(self.start(f"""
            class Tried(Base):
                {ALL}
                def process(self, block):
                    self.emit([block.tokens, block.offsets, block.logprobs, block.entropy, block.hidden, block.top_ids,
                               block.top_logprobs, block.word_end, block.ranks,
                               block.text.hex(), [block.token_text(i).hex() for i in range(-1, 16)],
                               len(block), block.length, block.index, block.first_token])
        """))
        (output,) = one.process()
        document, texts = one.document, []
        for i in [15, *range(16)]:
            texts.append(TEXT[int(document.offsets[i]) : int(document.offsets[i + 1])].hex())
        expected = [document.tokens[:16], document.offsets[:17], document.logprobs[:16], document.entropy[:16],
                    document.hidden[:16], document.top_ids[:16, :3], document.top_logprobs[:16, :3],
                    document.word_end[:16], document.ranks[:16]]  # fmt: skip
        expected = [array.tolist() for array in expected]
        expected += [TEXT[: int(document.offsets[16])].hex(), texts, 16, 16, 0, 0]
        self.assertEqual(json.loads(output), expected)

    def test_arrays_lie_in_the_arena_itself(self) -> None:
        """Zero copy: the addresses of all arrays are inside the mapping of the memory file, at their offsets."""
        one = OneBlock(self.start(f"""
            class Tried(Base):
                {ALL}
                def process(self, block):
                    mapped = [line.split()[0] for line in open("/proc/self/maps") if "memfd:unroll-arena" in line]
                    names = ("tokens", "offsets", "logprobs", "entropy", "hidden", "top_ids", "top_logprobs",
                             "word_end", "ranks")
                    where = {{name: getattr(block, name).__array_interface__["data"] for name in names}}
                    self.emit([mapped, where])
        """))
        mapped, where = json.loads(one.process()[0])
        self.assertEqual(len(mapped), 1)
        start = int(mapped[0].split("-")[0], 16)
        for name, (address, read_only) in where.items():
            self.assertEqual(address - start, one.layout.at[name], name)
            self.assertTrue(read_only, name)

    def test_what_the_host_writes_later_is_seen_through_a_kept_array(self) -> None:
        """Zero copy again, from the other side; the documentation warns of it."""
        one = OneBlock(self.start("""
            class Tried(Base):
                name = "tried"
                def process(self, block):
                    if block.index == 0: self.kept = block.tokens
                    self.emit(int(self.kept[0]))
        """))
        one.process()
        one.arena.memory[one.layout.at["tokens"] : one.layout.at["tokens"] + 4] = (77).to_bytes(4, "little")
        outputs, _ = one.worker.call(one.frame(index=1))
        self.assertEqual(outputs, [b"77"])

    def test_nothing_can_be_written(self) -> None:
        one = OneBlock(self.start("""
            class Tried(Base):
                name = "tried"; wants = ("hidden",)
                def process(self, block):
                    for write in (lambda: block.hidden.__setitem__(0, 1), lambda: block.hidden.setflags(write=True)):
                        try: write()
                        except ValueError: self.emit("refused")
        """))
        self.assertEqual(one.process(), [b'"refused"'] * 2)

    def test_not_even_by_way_of_the_kernel(self) -> None:
        """The arena's seal: mprotect cannot make the mapping writable."""
        one = OneBlock(self.start("""
            class Tried(Base):
                name = "tried"
                def process(self, block):
                    import ctypes, os
                    line = next(line for line in open("/proc/self/maps") if "memfd:unroll-arena" in line)
                    start = int(line.split("-")[0], 16)
                    libc = ctypes.CDLL(None, use_errno=True)
                    result = libc.mprotect(ctypes.c_void_p(start), ctypes.c_size_t(4096), 3)
                    self.emit([result, os.strerror(ctypes.get_errno())])
        """))
        self.assertEqual(json.loads(one.process()[0]), [-1, "Permission denied"])

    def test_what_is_not_wanted_is_not_there(self) -> None:
        for name, hint in (("hidden", 'add "hidden" to the plugin\'s wants'), ("top_ids", "give the plugin a top_k"),
                           ("text", 'add "text" to the plugin\'s wants')):  # fmt: skip
            error = self.failure(f"""
                class Tried(Base):
                    name = "tried"
                    def process(self, block): block.{name}
            """)
            self.assertIn(f"AttributeError: block.{name} is not there: {hint}", str(error))

    def test_a_block_is_over_when_its_call_has_returned(self) -> None:
        error = self.failure("""
            class Tried(Base):
                name = "tried"
                def process(self, block): self.kept = block
                def finish(self, end): self.kept.tokens
        """)
        self.assertIn("RuntimeError: block.tokens was read after process() had returned", str(error))
        self.assertTrue(str(error).startswith(f"tried.py:{self.line('def finish')}: "), str(error))

    def test_the_arena_before_stays_readable_while_it_is_kept(self) -> None:
        """A kept array must not kill the worker when the host moves on to a larger arena."""
        worker = self.start("""
            class Tried(Base):
                name = "tried"
                kept = None
                def process(self, block):
                    Tried.kept = block.tokens if Tried.kept is None else Tried.kept
                    self.emit(int(Tried.kept[0]))
        """)
        one = OneBlock(worker)
        first = one.process()
        larger = Arena(1 << 16)
        larger.fill(one.arena.memory[:])
        worker.use(larger)
        self.assertEqual(worker.call(one.frame())[0], first)

    def test_arenas_that_nobody_keeps_are_unmapped(self) -> None:
        worker = self.start("""
            class Tried(Base):
                name = "tried"
                def process(self, block):
                    self.emit(int(block.tokens[0] * 0) + open("/proc/self/maps").read().count("memfd:unroll-arena"))
        """)
        one = OneBlock(worker)
        for _ in range(5):
            worker.use(one.arena)
            self.assertEqual(one.process(), [b"1"])

    def test_the_vocabulary(self) -> None:
        worker = self.start("""
            class Tried(Base):
                name = "tried"
                def process(self, block):
                    words = self.vocabulary
                    self.emit([len(words), [str(word, "latin-1") for word in words]])
                    words[3]
        """)
        table = np.array([0, 2, 2, 5], np.uint64).tobytes() + b"ab\xff\x00c"
        descriptor = os.memfd_create("vocabulary")
        os.write(descriptor, table)
        worker.send({"type": "vocabulary", "count": 3}, descriptor=descriptor)
        os.close(descriptor)
        one = OneBlock(worker)
        worker.send(one.frame())
        frames = [worker._receive(), worker._receive()]
        self.assertEqual(json.loads(frames[0].data), [3, ["ab", "", "\xff\x00c"]])
        self.assertIn("IndexError: token id 3 of a vocabulary of 3", frames[1].fields["error"])

    def test_made_up_documents_are_the_same_every_time(self) -> None:
        one, two = Document.made_up(TEXT), Document.made_up(TEXT)
        self.assertEqual(one.hidden.tobytes() + one.logprobs.tobytes(), two.hidden.tobytes() + two.logprobs.tobytes())


if __name__ == "__main__":
    unittest.main()

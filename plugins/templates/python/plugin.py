"""@NAME@: counts the tokens of a document and sums up how surprising they were."""

from unroll_plugin import Block, End, Plugin


class @CLASS@(Plugin):
    name = "@NAME@"
    version = "1"
    description = "Counts tokens and their surprise"
    wants = ()
    state = {"tokens": 0, "nats": 0.0}  # all that is kept from one block to the next

    def process(self, block: Block) -> None:
        self.state["tokens"] += len(block.tokens)
        self.state["nats"] -= float(block.logprobs.sum())

    def finish(self, end: End) -> None:
        self.emit({"tokens": self.state["tokens"], "nats": round(self.state["nats"], 3)})

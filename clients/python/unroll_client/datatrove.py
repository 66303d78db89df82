"""A filter for datatrove's pipelines. Each node runs one daemon, which its workers share.

from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.readers import JsonlReader
from datatrove.pipeline.writers import JsonlWriter
from unroll_client.datatrove import UnrollFilter

pipeline = [JsonlReader("crawl"), UnrollFilter(minimum=0.3, maximum=1.4), JsonlWriter("kept")]
LocalPipelineExecutor(pipeline=pipeline, tasks=8, workers=2).run()
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from datatrove.data import Document
from datatrove.pipeline.filters.base_filter import BaseFilter

from .client import Client
from .errors import UnrollError
from .local import LocalDaemon
from .sockets import StrPath

KEY = "bits_per_byte"


class Scorer:
    """Sets bits_per_byte in the metadata of documents. Starts the daemon with the first of them, in the worker."""

    def __init__(self, model: StrPath | None, settings: Mapping[str, Any], program: StrPath | None):
        self._daemon_of = {"model": model, "settings": settings, "program": program}
        self._client: Client | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_client": None}  # a worker has its own

    def score(self, documents: Sequence[Document]) -> None:
        new = [document for document in documents if KEY not in document.metadata]
        if new and self._client is None:
            self._client = LocalDaemon.of_node(**self._daemon_of).client()  # type: ignore[arg-type]
        if not new or self._client is None:
            return
        for document, score in zip(new, self._client.score_many((one.text for one in new), in_flight=64)):
            document.metadata[KEY] = None if isinstance(score, UnrollError) else score.bits_per_byte


class UnrollFilter(BaseFilter):  # type: ignore[misc]
    """Keeps documents from `minimum` to `maximum` bits per byte, which it adds to their metadata.

    Low values are text that repeats itself, high values are noise. A document without bytes has no value and is dropped.
    """

    name = "🌀 bits per byte"

    def __init__(
        self,
        minimum: float | None = None,
        maximum: float | None = None,
        *,
        model: StrPath | None = None,
        settings: Mapping[str, Any] = {},
        program: StrPath | None = None,
        exclusion_writer: Any = None,
        batch_size: int = 256,
    ):
        super().__init__(exclusion_writer, batch_size)
        self._minimum, self._maximum = minimum, maximum
        self._scorer = Scorer(model, settings, program)

    def filter(self, doc: Document) -> bool | tuple[bool, str]:
        return self.filter_batch([doc])[0]

    def filter_batch(self, batch: list[Document]) -> list[bool | tuple[bool, str]]:
        self._scorer.score(batch)
        return [self._judge(document.metadata[KEY]) for document in batch]

    def _judge(self, score: float | None) -> bool | tuple[bool, str]:
        if score is None:
            return False, "no_bits_per_byte"
        if self._minimum is not None and score < self._minimum:
            return False, "below_minimum"
        if self._maximum is not None and score > self._maximum:
            return False, "above_maximum"
        return True

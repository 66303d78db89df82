"""Statistics for datatrove's pipelines, which need datatrove's `processing` extra."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from datatrove.data import Document
from datatrove.pipeline.stats.base import BaseStats

from .datatrove import KEY, Scorer
from .sockets import StrPath


class UnrollStats(BaseStats):  # type: ignore[misc]
    """Statistics of bits per byte; documents that UnrollFilter has judged are not read again."""

    name = "🌀 bits per byte stats"

    def __init__(
        self,
        output_folder: Any,
        *,
        model: StrPath | None = None,
        settings: Mapping[str, Any] = {},
        program: StrPath | None = None,
        **how: Any,
    ):
        super().__init__(output_folder, **how)
        self._scorer = Scorer(model, settings, program)

    def extract_stats(self, doc: Document) -> dict[str, int | float]:
        self._scorer.score([doc])
        score = doc.metadata[KEY]
        return {} if score is None else {KEY: score}

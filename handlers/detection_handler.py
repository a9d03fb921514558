"""The entry point of every archive: what TorchServe's worker loads and calls.

TorchServe imports this file by its flat name and takes the one class defined in it.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from handlers.choice_memory import ChoiceMemory, card_digest
from handlers.choosing import Chooser, Wishes
from handlers.errors import HandlerError
from handlers.messages import (
    CONTENT_TYPE,
    Context,
    read_item,
    status_of,
    write_detections,
    write_error,
)
from handlers.pipeline import BadFrame, Detections, Frame, Pipeline
from handlers.threads import threads_of
from handlers.trials_apart import try_apart


class DetectionHandler:
    """Serves one variant of the archive it was loaded from.

    The environment chooses: UNDERSTUDY_VARIANT one of the card's variants (default: "auto", the
    fastest here that answers the golden frames rightly), UNDERSTUDY_THREADS the CPU threads of a
    run (default: the runtime's own choice, or a share of the cores), UNDERSTUDY_CHOICES a private
    folder where that choice is remembered and where a deployment may ask for others of both.
    """

    _pipeline: Pipeline
    _variant: str
    _threads: int | None

    def initialize(self, context: Context) -> None:
        """Load the archive that TorchServe has extracted, and run it once.

        Raises:
            HandlerError: The card or the weights cannot be served; the worker then does not start.
        """
        properties = context.system_properties
        folder = Path(properties["model_dir"])
        card, memory = card_digest(folder), _memory()
        variant = os.environ.get("UNDERSTUDY_VARIANT") or None
        try:
            threads = threads_of(card, memory)
            wishes = Wishes(variant, threads, properties.get("gpu_id"), memory, try_apart)
            chosen = Chooser(folder, wishes).choose()
            chosen.pipeline.warm_up(properties.get("batch_size") or 1)
        except HandlerError as error:
            if memory is not None:
                memory.tell_fault(card, error.message)
            raise
        self._pipeline, self._variant = chosen.pipeline, chosen.variant.name
        self._threads = threads

    def handle(self, data: Sequence[Mapping[str, object]], context: Context) -> list[bytes]:
        """Answer a batch.

        A bad item gets its own status and reply. An error of the model itself is raised: TorchServe
        answers the whole batch with 503 and logs it.

        Args:
            data: One mapping a request: see `read_item`.
            context: Has each item's headers, takes its status and media type.

        Returns:
            One JSON document an item, in order.
        """
        replies = []
        for place, answer in enumerate(self._answers(data, context)):
            context.set_response_content_type(place, CONTENT_TYPE)
            if isinstance(answer, BadFrame):
                code, phrase = status_of(answer)
                context.set_response_status(code=code, phrase=phrase, idx=place)
                replies.append(write_error(answer))
            else:
                reply = write_detections(
                    answer, variant=self._variant, threads=self._threads, batch_size=len(data)
                )
                replies.append(reply)
        return replies

    def _answers(
        self, data: Sequence[Mapping[str, object]], context: Context
    ) -> list[Detections | BadFrame]:
        items = [
            _read(item, context.get_all_request_header(place)) for place, item in enumerate(data)
        ]
        found = iter(self._pipeline.detect([item for item in items if isinstance(item, Frame)]))
        return [next(found) if isinstance(item, Frame) else item for item in items]


def _read(item: Mapping[str, object], headers: Mapping[str, object]) -> Frame | BadFrame:
    try:
        return read_item(item, headers)
    except BadFrame as bad:
        return bad.kept()


def _memory() -> ChoiceMemory | None:
    folder = os.environ.get("UNDERSTUDY_CHOICES", "")
    return ChoiceMemory(Path(folder)) if folder else None

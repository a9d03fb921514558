"""What can go wrong in a worker.

HandlerError
├── BadFrame          one frame cannot be answered; its batch-mates are
├── CardError         the card is absent, is no card, or asks for what this code cannot do
├── BadSetting        an environment variable of the worker is out of its limits
├── RuntimeFailed     the weights do not load, or not on this machine
└── BadModelOutput    the model answered what its card rules out: the whole batch fails
"""


class HandlerError(Exception):
    """Every error that these modules raise on purpose."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class BadFrame(HandlerError):
    """One frame cannot be answered; but for "out_of_memory", its sender can mend that.

    Attributes:
        code: Stable: "empty_body", "not_an_image", "truncated_image", "image_too_large",
            "invalid_field", "deadline_exceeded" or "out_of_memory".
        message: What is wrong, with the limit and what to do.
        field: The part of the request at fault: "image", "min_score", "max_detections" or
            "deadline_unix_ms".
    """

    def __init__(self, code: str, message: str, field: str = "image") -> None:
        super().__init__(message)
        self.code = code
        self.field = field

    def kept(self) -> "BadFrame":
        """Return it without the calls it came through, to be kept as an answer.

        They hold the images of its whole batch, and it: a ring, which stays until Python's
        collector finds it.
        """
        self.__traceback__ = self.__context__ = self.__cause__ = None
        return self


class CardError(HandlerError):
    """The card is absent, is no card, or asks for what this code cannot do."""


class BadSetting(HandlerError):
    """An environment variable of the worker is out of its limits."""


class RuntimeFailed(HandlerError):
    """The weights do not load, or not on this machine."""


class BadModelOutput(HandlerError):
    """The model answered what its card rules out: a wrong shape or numbers that are none."""

"""What keeps a backup from being made or put back."""


class BackupError(Exception):
    """Nothing was changed; the message says what is wrong and what to do."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

"""What is wrong with a schedule that a person wrote."""


class ScheduleError(ValueError):
    """A part of a schedule that cannot be used; ``field`` says which."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field

"""What goes wrong at the boundaries, in words for the person who has to mend it."""


class MicroCinemaError(Exception):
    """Base of every error that a user can cause; the command line prints it as one line.

    The message says what is wrong, where, and what to do next.
    """


class ConfigError(MicroCinemaError):
    """A configuration (file, metadata or preset) that describes no model we can build."""


class CheckpointError(MicroCinemaError):
    """A file that is not the checkpoint it is taken for."""


class InputError(MicroCinemaError):
    """A picture, prompt, number or path that cannot be used as given."""


class Cancelled(MicroCinemaError):
    """The caller asked to stop, through a progress callback or Ctrl-C."""

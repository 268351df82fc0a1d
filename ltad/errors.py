"""The errors that a caller may want to catch; every message is one sentence that says what to do next."""


class LTADError(Exception):
    """Anything that LTAD refuses with a sentence meant for its user."""


class ImageError(LTADError):
    """A file that cannot be read as a photograph."""


class DatasetError(LTADError):
    """A folder or file that does not hold the data it should."""


class DeviceError(LTADError):
    """A device, or an engine for it, that is not there."""


class FoundationError(LTADError):
    """A foundation model that cannot be found, or is not the one that was asked for."""


class HubError(LTADError):
    """What the Hugging Face Hub refuses, or that it cannot be reached."""


class CheckpointError(LTADError):
    """A checkpoint folder that is missing, incomplete or not what it says it is."""


class ArchiveError(LTADError):
    """A ZIP archive that is refused as a whole."""


class WriteError(LTADError, OSError):
    """A file that cannot be written: the disk is full, or the folder does not let itself be changed."""


class TrainingError(LTADError):
    """A training cannot go on as it is."""


class JobError(LTADError):
    """A background job that is not there, or that cannot be taken or changed now."""

"""Personal data: sealed under a key per order (`keybook`), and the side doors closed: file modes (`files`), control
characters and log lines (`text`)."""

from zenv.privacy.files import give_to_owner_of, private_file, private_folder
from zenv.privacy.keybook import PERSONAL_FIELDS, REDACTED, KeyBook, redacted, sqlite_library
from zenv.privacy.text import RedactingFilter, quiet_libraries, strip_control

__all__ = [
    "PERSONAL_FIELDS",
    "REDACTED",
    "KeyBook",
    "RedactingFilter",
    "give_to_owner_of",
    "private_file",
    "private_folder",
    "quiet_libraries",
    "redacted",
    "sqlite_library",
    "strip_control",
]

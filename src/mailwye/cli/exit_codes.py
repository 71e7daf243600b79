"""Exit codes as sysexits.h has them, so that scripts and service managers can tell what went wrong."""

NOT_SOUND = 3  # ours, as 2 is that of `apply --dry-run`: `queue fsck` found something lost, doubled or unreadable
DIFFERENCE = 2  # of `apply --dry-run` and `replay`
INCOMPLETE = 4  # ours: `import` changed something in meaning or left it out, and said so
USAGE = 64
DATA_ERROR = 65
NO_INPUT = 66
UNAVAILABLE = 69
SOFTWARE = 70
OS_ERROR = 71
IO_ERROR = 74
TEMPORARY_FAILURE = 75
NO_PERMISSION = 77
CONFIGURATION = 78

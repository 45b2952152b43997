"""The stages of a study: one file each, with the arguments of its command and what it does.

Each stage module is the root of a code hash: see ``mnist_hpc.files.code_hash``. Heavy imports wait for ``run``.
"""

import time

# When the process of a stage began. The command line imports this first; what comes before takes a few hundredths of a
# second.
BEGIN = time.monotonic()

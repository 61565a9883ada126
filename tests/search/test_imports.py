from __future__ import annotations

import subprocess
import sys


def test_the_ledger_and_what_is_decided_on_it_need_no_torch():
    """A driver, and a worker that has not begun a candidate, stay small and start at once."""
    modules = ("ledger", "agenda", "worker_loop", "rungs", "searchers.random")
    code = "import importlib, sys\n"
    code += "".join(f"importlib.import_module('mindgap.search.{name}')\n" for name in modules)
    code += "print(sorted({'torch', 'pandas', 'scipy', 'ray', 'psycopg', 'boto3'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"

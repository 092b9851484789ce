"""`python -m server.portal.simulator`: the former name of `python -m simulator`, still in use."""

import runpy

if __name__ == "__main__":
    runpy.run_module("simulator", run_name="__main__", alter_sys=True)

"""What pyproject.toml cannot say: each build begins with an empty folder."""

import shutil

from setuptools import setup
from setuptools.command.build import build


class FreshBuild(build):
    """A build in which nothing is left of an earlier one.

    pip builds in the folder of the source, and setuptools never removes a file from `build/lib`: a
    module that a version no longer has would be in its wheel.
    """

    def run(self) -> None:
        """Build everything from the sources."""
        shutil.rmtree(self.build_lib, ignore_errors=True)
        super().run()


setup(cmdclass={"build": FreshBuild})

"""Copy the files of a project into the package, for `deepen init`: the repository has them only once."""

import runpy
import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

_PACKAGE = Path("deepen/project")


class BuildWithProjectFiles(build_py):
    """Build the package, with the files of a project; an editable install uses those of the repository."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        module = runpy.run_path(f"src/{_PACKAGE}/file_list.py")
        folder = Path(self.build_lib) / _PACKAGE / module["PACKAGED"]
        shutil.rmtree(folder, ignore_errors=True)
        for path in module["list_project_files"](Path()):
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, folder / path)


setup(cmdclass={"build_py": BuildWithProjectFiles})

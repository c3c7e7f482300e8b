"""Install mmdyt; the OpenMMLab stack is chosen by requirements/mminstall*.txt."""

import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).parent.resolve()
SHIPPED = ("configs", "tools", "assets")


def requirements(name: str) -> list[str]:
    found: list[str] = []
    for line in (HERE / "requirements" / f"{name}.txt").read_text().splitlines():
        line = line.split("#")[0].strip()
        if line.startswith("-r "):
            found += requirements(line.removeprefix("-r ").removesuffix(".txt"))
        elif line:
            found.append(line)
    return found


def version() -> str:
    scope: dict[str, str] = {}
    for line in (HERE / "mmdyt" / "__init__.py").read_text().splitlines():
        if line.startswith("__version__"):
            exec(line, scope)
    return scope["__version__"]


class BuildWithMim(build_py):
    """Put configs, tools and assets into mmdyt/.mim, where mim and mmengine look for them.

    A wheel holds copies, an editable install links to the checkout.
    """

    def run(self) -> None:
        super().run()
        mim = (HERE if self.editable_mode else Path(self.build_lib)) / "mmdyt/.mim"
        shutil.rmtree(mim, ignore_errors=True)
        mim.mkdir(parents=True)
        for name in SHIPPED:
            if self.editable_mode and self.link(Path("../..", name), mim / name):
                continue
            unwanted = shutil.ignore_patterns("__pycache__", "*.py[cod]")
            shutil.copytree(HERE / name, mim / name, ignore=unwanted)
        # Projects stay in the repository.
        index = (HERE / "model-index.yml").read_text().splitlines(keepends=True)
        (mim / "model-index.yml").write_text("".join(x for x in index if "projects/" not in x))

    @staticmethod
    def link(source: Path, target: Path) -> bool:
        """Link a folder, where the system lets this user: Windows lets few."""
        try:
            target.symlink_to(source, target_is_directory=True)
        except OSError:
            return False
        return True


setup(
    cmdclass={"build_py": BuildWithMim},
    name="mmdyt",
    version=version(),
    description="Dynamic Tuning of frozen vision transformers in OpenMMLab",
    long_description=(HERE / "README.md").read_text(),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.10,<3.14",
    packages=find_packages(include=["mmdyt", "mmdyt.*"]),
    install_requires=requirements("runtime"),
    extras_require={
        "mm": requirements("mminstall"),
        "mm-latest": requirements("mminstall-latest"),
        "tests": requirements("tests"),
        "deploy": requirements("deploy"),
        "sweep": requirements("sweep"),
        "detection": requirements("detection"),
        "tracking": requirements("optional"),
    },
)

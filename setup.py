"""Install mmdyt; the OpenMMLab stack is chosen by requirements/mminstall*.txt."""

from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent


def requirements(name: str) -> list[str]:
    lines = (HERE / "requirements" / f"{name}.txt").read_text().splitlines()
    stripped = (line.split("#")[0].strip() for line in lines)
    return [line for line in stripped if line]


def version() -> str:
    scope: dict[str, str] = {}
    for line in (HERE / "mmdyt" / "__init__.py").read_text().splitlines():
        if line.startswith("__version__"):
            exec(line, scope)
    return scope["__version__"]


setup(
    name="mmdyt",
    version=version(),
    description="Dynamic Tuning of frozen vision transformers in OpenMMLab",
    long_description=(HERE / "README.md").read_text(),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.10,<3.13",
    packages=find_packages(include=["mmdyt", "mmdyt.*"]),
    package_data={"mmdyt.visualization": ["report.html"]},
    install_requires=requirements("runtime"),
    extras_require={
        "mm": requirements("mminstall"),
        "tests": requirements("tests"),
        "deploy": requirements("deploy"),
        "sweep": requirements("sweep"),
        "detection": requirements("detection"),
        "tracking": requirements("optional"),
    },
)

"""What the package says of itself."""

import re
import tomllib

from tests.helpers import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
README = (ROOT / "README.md").read_text()
FIRST = re.search(r"```sh\n(.*)\n", README)[1]


def test_the_metadata_name_the_licence_of_the_images_inside():
    assert PROJECT["license"] == "MIT AND CC-BY-SA-3.0"
    texts = [(ROOT / name).read_text() for name in PROJECT["license-files"]]
    assert any("MIT License" in text for text in texts)
    assert any("Creative Commons Attribution-ShareAlike 3.0" in text for text in texts)


def test_the_readme_installs_both_of_pytorchs_packages_for_processors_alone():
    assert "torch torchvision --index-url" in README.split("Without an NVIDIA GPU")[1].split("\n\n")[0]


def test_the_first_line_can_be_typed_again(vaecli, small_mnist):
    (line,) = re.findall(r"&& vaecli (train [^&]*[^& ])", FIRST)
    outcomes = [vaecli(*line.split(), "--epochs", "1", "--data-dir", small_mnist) for _ in range(2)]
    assert [outcome.code for outcome in outcomes] == [0, 0]
    assert outcomes[0].out == outcomes[1].out != ""
    assert "is finished: 1 epochs are done" in outcomes[1].err

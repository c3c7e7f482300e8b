"""The page of tools/report.py: complete, escaped, and at work in a browser."""

import json
import re
import shutil
import subprocess
from itertools import product

import numpy as np
import pytest
from mmengine.runner import Runner

from mmdyt.engine.report import write_report
from mmdyt.models.utils.frozen_base import fingerprint
from mmdyt.visualization.report_page import render_page, viewer_data
from tests.conftest import short_run
from tools.report import main

EVIL = "</script><img src=x onerror=alert(1)>"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
in_browser = pytest.mark.skipif(
    CHROMIUM is None, reason="needs chromium (Debian: apt-get install chromium)"
)
# Moves every slider, and writes what it sees where --dump-dom shows it.
PROBE = """<script>window.addEventListener("load", () => {
  const seen = { width: document.documentElement.scrollWidth, inner: window.innerWidth, moves: [] };
  for (const viewer of document.querySelectorAll(".viewer"))
    for (const name of ["layer", "budget"]) {
      const slider = viewer.querySelector(`input.${name}`);
      for (let value = 0; value <= Number(slider.max); value++) {
        slider.value = value;
        slider.dispatchEvent(new Event("input"));
        const text = viewer.querySelector(`span.${name}`).textContent;
        const pixels = viewer.querySelector("canvas").toDataURL();
        seen.moves.push([name, text, pixels]);
      }
    }
  const result = document.createElement("pre");
  result.id = "seen";
  result.textContent = JSON.stringify(seen);
  document.body.append(result);
});</script></body>"""


@pytest.fixture(scope="module")
def finished(digits_root, tmp_path_factory):
    """Work dir of a run of seconds whose classes have nasty names, trained and tested."""
    work_dir = tmp_path_factory.mktemp("report") / "run"
    cfg = short_run(digits_root, work_dir)
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        loader.dataset.metainfo = dict(classes=[EVIL, "$x_", *map(str, range(2, 10))])
    cfg.model.backbone.dispatcher = dict(type="mmdyt.TokenDispatcher")
    runner = Runner.from_cfg(cfg)
    runner.train()
    runner.test()
    points = [dict(shift=s, rate=r, gflops=g, accuracy=10.0) for s, r, g in BUDGETS]
    (work_dir / "budgets.json").write_text(json.dumps(points))
    return work_dir


@pytest.fixture
def run_dir(finished, tmp_path):
    """A copy of it, to be reported and damaged."""
    return shutil.copytree(finished, tmp_path / "a<b>run")


NO_WEIGHTS = fingerprint({})
BUDGETS = ((9.0, 1.0, 0.3), (0.0, 0.5, 0.2), (-9.0, 0.0, 0.1))


def browse(page, width: int) -> tuple[dict, str]:
    """Open a page in headless Chromium; return what the probe saw and the console's lines."""
    probed = page.with_name("probed.html")
    probed.write_text(page.read_text().replace("</body>", PROBE))
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr"]
    command += [f"--window-size={width},900", "--virtual-time-budget=8000", "--dump-dom"]
    done = subprocess.run(
        [*command, probed.as_uri()], capture_output=True, text=True, timeout=120, check=True
    )
    (seen,) = re.findall(r'<pre id="seen">(.*?)</pre>', done.stdout, re.DOTALL)
    seen = json.loads(seen.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))
    return seen, "\n".join(line for line in done.stderr.splitlines() if "CONSOLE" in line)


def test_the_page_holds_everything_and_loads_nothing(run_dir, run_main, capsys):
    run_main(main, run_dir)
    page = run_dir / "report.html"
    assert f"Page: {page}" in capsys.readouterr().out
    text = page.read_text()
    for title in ("Accuracy over cost", "Activation rate by layer", "Training loss of the task"):
        assert f"<h3>{title}</h3>" in text
    for part in (
        "Token maps",
        "Confusion matrix",
        "20 of 20 test samples",
        "TokenDispatcher",
        "torch",
    ):
        assert part in text, part
    assert all(one.startswith("data:") for one in re.findall(r'(?:src|href)="([^"]*)"', text))
    assert "://" not in re.sub(r'"data:[^"]*"|<pre>.*?</pre>', "", text, flags=re.DOTALL)
    captions = json.loads(re.findall(r'"captions": (\[.*?\])', text)[0])
    names = [EVIL, "$x_", *map(str, range(2, 10))]
    assert {tuple(one[3:].split(", said ")) for one in captions} <= set(product(names, names))
    assert EVIL not in text and "<b>run" not in text and "a&lt;b&gt;run" in text
    if CHROMIUM is None:
        return
    for width in (1280, 390):
        seen, console = browse(page, width)
        assert console == ""
        assert seen["width"] <= seen["inner"]  # nothing but tables and code scrolls sideways
        layers = [move for move in seen["moves"] if move[0] == "layer"]
        assert [text.split(":")[0] for _, text, _ in layers] == [f"mlp {i}" for i in range(3)]
        budgets = [move for move in seen["moves"] if move[0] == "budget"]
        assert [text for _, text, _ in budgets] == [
            f"budget: rate {rate:.2f}, {gflops} GFLOPs, accuracy 10.00"
            for _, rate, gflops in reversed(BUDGETS)
        ]
        assert len({pixels for *_, pixels in budgets}) >= 2  # none active, all active


@in_browser
def test_nothing_from_outside_runs(tmp_path):
    """Every value that a page is filled with may hold markup."""
    image = np.zeros((8, 8, 3), dtype=np.uint8)
    maps = [[np.eye(2, dtype=bool)[None], np.ones((1, 2, 2), dtype=bool)]]
    data = dict(images=[image], captions=[EVIL], layers=[EVIL, "b"], maps=maps)
    viewer = viewer_data(data, [EVIL]) | dict(start=0)
    confusion = dict(uri="data:,", note=EVIL)
    fields = dict(name=EVIL, work_dir=EVIL, checkpoint=EVIL, problems=[EVIL], config=EVIL)
    run = fields | dict(
        viewer=viewer, confusion=confusion, metrics={EVIL: EVIL}, versions={EVIL: EVIL}
    )
    page = tmp_path / "page.html"
    figure = dict(title=EVIL, note=EVIL, uri="data:,")
    rows = [dict(name=EVIL, cells=[EVIL])]
    page.write_text(
        render_page(title=EVIL, columns=[EVIL], rows=rows, figures=[figure], runs=[run], note=EVIL)
    )
    assert EVIL not in page.read_text()
    seen, console = browse(page, 390)
    assert console == ""
    assert [text for _, text, _ in seen["moves"]] == [
        f"{EVIL}: 50 % of these patches active",
        "b: 100 % of these patches active",
        f"budget: {EVIL}",
    ]
    assert seen["moves"][0][2] != seen["moves"][1][2]


def test_what_has_no_page_is_named(digits_cfg, tmp_path, run_main):
    folder = tmp_path / "untested"
    folder.mkdir()
    digits_cfg.dump(folder / "config.py")
    with pytest.raises(SystemExit, match=r"untested was never tested.* run tools/test\.py"):
        run_main(main, folder)
    with pytest.raises(SystemExit, match="no work dir of a run: it holds no config"):
        run_main(main, tmp_path)
    with pytest.raises(SystemExit, match="there is no work dir"):
        run_main(main, tmp_path / "nowhere")
    with pytest.raises(SystemExit, match=r"--out must end in \.html"):
        run_main(main, folder, "--out", tmp_path / "page.txt")


def test_a_test_before_the_last_training_does_not_count(run_dir):
    (log,) = run_dir.glob("*/vis_data/scalars.json")
    later = run_dir / "29990101_000000/vis_data"
    later.mkdir(parents=True)
    shutil.copy(log, later)
    with pytest.raises(ValueError, match=r"trained again after its last test .*run tools/test\.py"):
        write_report([run_dir], run_dir / "page.html")


def test_runs_are_compared_and_lost_weights_are_said(run_dir, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(run_dir, other)
    lost = ("last_checkpoint", "adapter.safetensors", "budgets.json")
    for file in (*other.glob("*.pth"), *(other / name for name in lost)):
        file.unlink()
    text = write_report([run_dir, other], tmp_path / "both.html").read_text()
    assert "holds no checkpoint any more" in text
    assert text.count('class="viewer"') == 1 and text.count("<summary>Config") == 2


def test_a_table_of_budgets_of_other_weights_is_left_out(run_dir):
    file = run_dir / "budgets.json"
    names = [f"{layer:02d}_mlp" for layer in range(3)]
    points = [
        point | dict(rates=dict.fromkeys(names, 0.5)) for point in json.loads(file.read_text())
    ]
    file.write_text(json.dumps(dict(points=points, weights=NO_WEIGHTS)))
    text = write_report([run_dir]).read_text()
    assert "budgets.json is left out: the table of budgets was measured on another checkp" in text
    assert 'class="viewer"' in text and "rate 1.00" not in text


def test_a_damaged_work_dir_is_named_or_shown_in_part(run_dir, run_main, monkeypatch):
    monkeypatch.chdir(run_dir)
    (log,) = run_dir.glob("*/vis_data/scalars.json")
    log.write_text(log.read_text().rstrip()[:-5])  # killed while it wrote
    config = next(run_dir.glob("*.py"))
    config.write_text(config.read_text().replace("test_dataloader", "lost_dataloader"))
    (run_dir / "notes.py").write_text("raise RuntimeError('it ran')")
    run_main(main, ".")
    page = (run_dir / "report.html").read_text()
    assert "<title>a&lt;b&gt;run</title>" in page and "Not all pictures can be made" in page
    for text, message in (("{}", "is no table of budgets"), ("{", "is no JSON")):
        (run_dir / "budgets.json").write_text(text)
        with pytest.raises(SystemExit, match=rf"budgets\.json {message}"):
            run_main(main, ".")

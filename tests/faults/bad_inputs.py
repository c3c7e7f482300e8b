"""Wrong inputs of the tools, each with the first line of the error that it must end in.

``python -m tests.faults.bad_inputs`` writes the table of docs/reliability.md.
"""

# ruff: noqa: E501
# An error stands on one line here, as it does on the screen.

from __future__ import annotations

from typing import NamedTuple

from tests.conftest import REPO

PAGE = REPO / "docs/reliability.md"
BEGIN, END = "<!-- bad inputs -->\n", "<!-- end of bad inputs -->\n"


class Case(NamedTuple):
    """A wrong input.

    Args:
        command: What is typed behind ``python tools/``.
        error: First line of the error, without ``error: ``.
    """

    command: str
    error: str


def train(error: str, options: str, config: str = "image.py") -> Case:
    """A training that is refused."""
    return Case(f"train.py {config} {options}".rstrip(), error)


def option(error: str, options: str, config: str = "image.py") -> Case:
    """A training whose ``--cfg-options`` are refused."""
    return train(error, f"--cfg-options {options}", config)


def run_test(error: str, options: str, config: str = "image.py") -> Case:
    """A test that is refused."""
    return Case(f"test.py {config} {options}", error)


CONFIG_CASES = [
    train("nowhere.py: No such file or directory", "", "nowhere.py"),
    train("syntax.py: '(' was never closed (line 2)", "", "syntax.py"),
    train("nowhere.py: No such file or directory", "", "no_base.py"),
    train(
        "no_model.py has no model, train_dataloader, train_cfg, optim_wrapper, which a train run needs",
        "",
        "no_model.py",
    ),
    train("config.txt: Only py/yml/yaml/json type are supported now!", "", "config.txt"),
    train("name.py: NameError: name 'half' is not defined (name.py:2)", "", "name.py"),
    train(
        "typo.py: test_evaluator.topq is unknown; did you mean test_evaluator.topk?", "", "typo.py"
    ),
    option("--cfg-options: modle is unknown; did you mean model?", "modle.backbone.dispatch=attn"),
    option(
        "--cfg-options: trian_cfg is unknown; did you mean train_cfg or val_cfg or env_cfg?",
        "trian_cfg.max_epochs=3",
    ),
    option(
        "--cfg-options: zzz is unknown; choose among auto_scale_lr, compile, custom_hooks, custom_imports, data_preprocessor, default_hooks, default_scope, env_cfg, experiment_name, find_unused_parameters, launcher, load_from, log_level, log_processor, model, model_wrapper_cfg, optim_wrapper, param_scheduler, randomness, resume, runner_type, sync_bn, test_cfg, test_dataloader, test_evaluator, train_cfg, train_dataloader, tta_model, tta_pipeline, val_cfg, val_dataloader, val_evaluator, visualizer, work_dir",
        "zzz=1",
    ),
    option(
        "--cfg-options: data_root is only a variable of the config file and would change nothing; set the keys that take its value",
        "data_root=elsewhere",
    ),
    option(
        "--cfg-options: model.bakbone is unknown; did you mean model.backbone?",
        "model.bakbone.dispatch=attn",
    ),
    option(
        "--cfg-options: model.backbone.dispach is unknown; did you mean model.backbone.dispatch or model.backbone.dispatcher?",
        "model.backbone.dispach=attn",
    ),
    option(
        "--cfg-options: model.backbone.adapter.bottleneck is unknown; did you mean model.backbone.adapter.bottleneck_dims?",
        "model.backbone.adapter.bottleneck=8",
    ),
    option(
        "--cfg-options: model.backbone.dispatcher.tua is unknown; did you mean model.backbone.dispatcher.tau?",
        "model.backbone.dispatcher.tua=4",
    ),
    option(
        "--cfg-options: model.dyt.target_rat is unknown; did you mean model.dyt.target_rate?",
        "model.dyt.target_rat=0.4",
    ),
    option(
        "--cfg-options model.backbone.patch_size.x: model.backbone.patch_size is 4, which has no keys",
        "model.backbone.patch_size.x=2",
    ),
    option(
        "--cfg-options: optim_wrapper.optimizer.weight_decays is unknown; did you mean optim_wrapper.optimizer.weight_decay?",
        "optim_wrapper.optimizer.weight_decays=0",
    ),
    option(
        "--cfg-options: optim_wrapper.clip_gard is unknown; did you mean optim_wrapper.clip_grad?",
        "optim_wrapper.clip_gard.max_norm=1",
    ),
    option(
        "--cfg-options: optim_wrapper.paramwise_cfg.norm_decay is unknown; did you mean optim_wrapper.paramwise_cfg.norm_decay_mult?",
        "optim_wrapper.paramwise_cfg.norm_decay=0",
    ),
    option(
        "--cfg-options: train_dataloader.batchsize is unknown; did you mean train_dataloader.batch_size or train_dataloader.batch_sampler?",
        "train_dataloader.batchsize=2",
    ),
    option(
        "--cfg-options: train_dataloader.dataset.anfile is unknown; did you mean train_dataloader.dataset.ann_file?",
        "train_dataloader.dataset.anfile=x.txt",
    ),
    option(
        "--cfg-options train_dataloader.dataset.pipeline.9.scale: train_dataloader.dataset.pipeline is a list of 3, 9 is none of its indices",
        "train_dataloader.dataset.pipeline.9.scale=8",
    ),
    option(
        "--cfg-options: custom_hooks.0.max_decod is unknown; did you mean custom_hooks.0.max_decode?",
        "custom_hooks.0.max_decod=8",
    ),
    option(
        "--cfg-options: default_hooks.checkpont is unknown; did you mean default_hooks.checkpoint?",
        "default_hooks.checkpont.interval=2",
    ),
    option(
        "--cfg-options: env_cfg.cudnn_bench is unknown; did you mean env_cfg.cudnn_benchmark?",
        "env_cfg.cudnn_bench=True",
    ),
    option(
        "--cfg-options: randomness.sede is unknown; did you mean randomness.seed?",
        "randomness.sede=1",
    ),
    option(
        "--cfg-options: data_preprocessor.to_rbg is unknown; did you mean data_preprocessor.to_rgb?",
        "data_preprocessor.to_rbg=False",
    ),
    option(
        "--cfg-options: test_evaluator.topq is unknown; did you mean test_evaluator.topk?",
        "test_evaluator.topq=1",
    ),
]
VALUE_CASES = [
    option("train_cfg.max_epochs must be an integer in [1, inf), got 0", "train_cfg.max_epochs=0"),
    option(
        "train_cfg.max_epochs must be an integer in [1, inf), got 2.5", "train_cfg.max_epochs=2.5"
    ),
    option(
        "train_cfg.max_epochs must be an integer in [1, inf), got True", "train_cfg.max_epochs=True"
    ),
    option(
        "train_cfg.val_interval must be an integer in [1, inf), got 0", "train_cfg.val_interval=0"
    ),
    option(
        "train_cfg.max_iters must be an integer in [1, inf), got 0",
        "train_cfg.max_iters=0",
        "scenes.py",
    ),
    option(
        "train_dataloader.batch_size must be an integer in [1, inf), got 0",
        "train_dataloader.batch_size=0",
    ),
    option(
        "val_dataloader.num_workers must be an integer in [0, inf), got -1",
        "val_dataloader.num_workers=-1",
    ),
    option(
        "optim_wrapper.optimizer.lr must be a number in [0, inf), got -1",
        "optim_wrapper.optimizer.lr=-1",
    ),
    option(
        "optim_wrapper.optimizer.lr must be a number in [0, inf), got 'high'",
        "optim_wrapper.optimizer.lr=high",
    ),
    option(
        "image.py: optim_wrapper.optimizer.type='AdamX' is not registered; did you mean Adam or RAdam or NAdam?",
        "optim_wrapper.optimizer.type=AdamX",
    ),
    option(
        "model.head.in_channels must be 32, the width of model.backbone, got 64",
        "model.head.in_channels=64",
    ),
    option(
        "model.cls_head.in_channels must be 32, the width of model.backbone, got 64",
        "model.cls_head.in_channels=64",
        "videos.py",
    ),
    option(
        "data_preprocessor.num_classes=7 differs from model.head.num_classes=10",
        "data_preprocessor.num_classes=7",
    ),
    option(
        "model.backbone.arch='hugee' is unknown; choose one of ['b', 'base', 'deit-b', 'deit-base', 'deit-s', 'deit-small', 'deit-t', 'deit-tiny', 'dinov2-g', 'dinov2-giant', 'dinov2-s', 'dinov2-small', 'eva-g', 'eva-giant', 'h', 'huge', 'l', 'large', 's', 'small']",
        "model.backbone.arch=hugee",
    ),
    train(
        "--launcher slurm, but SLURM_PROCID is not set: start it with tools/slurm_train.sh, tools/slurm_test.sh or srun, or leave --launcher out",
        "--launcher slurm",
    ),
    train(
        "--launcher pytorch, but RANK is not set: start it with tools/dist_train.sh, tools/dist_test.sh or torchrun, or leave --launcher out",
        "--launcher pytorch",
    ),
    train("--launcher mpi needs GPUs; on CPUs choose pytorch or slurm", "--launcher mpi"),
    train(
        "--amp (optim_wrapper.type='AmpOptimWrapper') needs a GPU, and none is visible here: leave it out to train in float32 on the CPU, and set optim_wrapper.type='mmdyt.Bfloat16OptimWrapper' for bfloat16",
        "--amp",
    ),
    train(
        "--auto-scale-lr needs auto_scale_lr.base_batch_size in the config",
        "--auto-scale-lr",
        "no_scale.py",
    ),
]
MODEL_CASES = [
    train("model.dyt.target_rate must be a number in (0, 1], got '0.5'", "", "text.py"),
    option(
        "model.dyt.target_rate must be a number in (0, 1], got True", "model.dyt.target_rate=True"
    ),
    option("model.dyt.target_rate must be a number in (0, 1], got 0", "model.dyt.target_rate=0"),
    option(
        "model.dyt.target_rate must be a number in (0, 1], got 1.5", "model.dyt.target_rate=1.5"
    ),
    option(
        "model.dyt.rate_weight must be a number in [0, inf), got -1", "model.dyt.rate_weight=-1"
    ),
    option("adapter.scale must be a number in (0, inf), got 0", "model.backbone.adapter.scale=0"),
    option(
        "adapter.drop_rate must be a number in [0, 1), got 1", "model.backbone.adapter.drop_rate=1"
    ),
    option(
        "adapter.bottleneck_dims must be an integer in [1, inf), got 0",
        "model.backbone.adapter.bottleneck_dims=0",
    ),
    option(
        "dispatcher.tau must be a number in (0, inf), got inf", "model.backbone.dispatcher.tau=inf"
    ),
    option(
        "dispatcher.threshold must be a number in (0, 1), got 1",
        "model.backbone.dispatcher.threshold=1",
    ),
    option(
        "backbone.num_dense_layers must be an integer in [0, 2], got 1.5",
        "model.backbone.num_dense_layers=1.5",
    ),
    option(
        "backbone.num_dense_layers must be an integer in [0, 2], got 3",
        "model.backbone.num_dense_layers=3",
    ),
    option(
        "backbone.num_dense_layers must be an integer in [0, 2], got True",
        "model.backbone.num_dense_layers=True",
    ),
    option(
        "backbone.dispatch='mlpp' is not supported by DyTEncoderLayer; choose one of [None, 'mlp', 'attn', 'attn_mlp', 'layer']",
        "model.backbone.dispatch=mlpp",
    ),
    option(
        "model.tuning='pefd' is unknown; choose one of ['peft', 'linear', 'bitfit', 'full']",
        "model.tuning=pefd",
    ),
]
FILE_CASES = [
    train("--resume: no checkpoint at nowhere.pth", "--resume nowhere.pth"),
    train(
        "--resume: garbage.pth is damaged or no checkpoint of torch.save", "--resume garbage.pth"
    ),
    option("load_from: empty.pth is empty", "load_from=empty.pth"),
    option("load_from: cut.pth is damaged or no checkpoint of torch.save", "load_from=cut.pth"),
    option(
        "load_from: garbage.safetensors is no complete safetensors file",
        "load_from=garbage.safetensors",
    ),
    option(
        "--cfg-options model.backbone.init_cfg.checkpoint: model.backbone.init_cfg is None, which has no keys",
        "model.backbone.init_cfg.checkpoint=x.pth",
    ),
    run_test("checkpoint: no checkpoint at nowhere.pth", "nowhere.pth"),
    run_test("checkpoint: empty.pth is empty", "empty.pth"),
    run_test("checkpoint: garbage.pth is damaged or no checkpoint of torch.save", "garbage.pth"),
    run_test("checkpoint: cut.pth is damaged or no checkpoint of torch.save", "cut.pth"),
    run_test(
        "checkpoint: garbage.safetensors is no complete safetensors file",
        "garbage.safetensors",
    ),
    run_test(
        "--out out.json is a folder, not a file", "good.pth --out out.json --out-item metrics"
    ),
    run_test(
        "--out good.pth/metrics.json cannot be written: good.pth: File exists",
        "good.pth --out good.pth/metrics.json --out-item metrics",
    ),
    run_test(
        "--out must end in .json or .yaml or .yml or .pkl, got 'metrics.txt'",
        "good.pth --out metrics.txt --out-item metrics",
    ),
    run_test("--out must end in .pkl, got 'predictions.json'", "good.pth --out predictions.json"),
]
DATA_CASES = [
    option(
        "train_dataloader.dataset.ann_file: no list at data/nowhere.txt",
        "train_dataloader.dataset.ann_file=nowhere.txt",
    ),
    option(
        "train_dataloader.dataset.ann_file: data/malformed.txt, line 2 is 'images/test/1.png', not '<path> <label>' with an integer label",
        "train_dataloader.dataset.ann_file=malformed.txt",
    ),
    option(
        "train_dataloader.dataset.ann_file: data/no_number.txt, line 1 is 'images/test/0.png cat', not '<path> <label>' with an integer label",
        "train_dataloader.dataset.ann_file=no_number.txt",
    ),
    option(
        "train_dataloader.dataset.ann_file: data/blank.txt, line 2 is '', not '<path> <label>' with an integer label",
        "train_dataloader.dataset.ann_file=blank.txt",
    ),
    option(
        "train_dataloader.dataset.ann_file: data/void.txt is empty",
        "train_dataloader.dataset.ann_file=void.txt",
    ),
    option(
        "train_dataloader.dataset.ann_file: data/binary.txt is no text file: 'utf-8' codec can't decode byte 0xff in position 0: invalid start byte",
        "train_dataloader.dataset.ann_file=binary.txt",
    ),
    option(
        "train_dataloader.dataset.ann_file: videos/spaces.txt, line 1 is 'a video.mp4 0', not '<path> <label>' with an integer label",
        "train_dataloader.dataset.ann_file=videos/spaces.txt",
        "videos.py",
    ),
    option(
        "train_dataloader has 1 bad sample: missing/images/train800val200/3.png: missing",
        "train_dataloader.dataset.data_root=missing",
    ),
    option(
        "test_dataloader has 1 bad sample: cut/images/test/2.png: unreadable (cannot identify image file 'cut/images/test/2.png')",
        "test_dataloader.dataset.data_root=cut",
    ),
    option(
        "train_dataloader has 1 bad sample: labels/images/train800val200/5.png: label 10 is outside [0, 10)",
        "train_dataloader.dataset.data_root=labels",
    ),
    run_test(
        "test_dataloader has 1 bad sample: labels/images/test/5.png: label 10 is outside [0, 10)",
        "good.pth --cfg-options test_dataloader.dataset.data_root=labels",
    ),
    option(
        "train_dataloader has 1 bad sample: no_mask/masks/train/1.png: missing, of no_mask/images/train/1.png",
        "train_dataloader.dataset.data_root=no_mask",
        "scenes.py",
    ),
    option(
        "test_dataloader has 1 bad sample: cut_mask/masks/test/3.png: unreadable (image file is truncated)",
        "test_dataloader.dataset.data_root=cut_mask",
        "scenes.py",
    ),
    option(
        "train_dataloader has 1 bad sample: odd_mask/masks/train/2.png: labels [9] are outside [0, 5) and not ignore_index=255; see num_classes and reduce_zero_label",
        "train_dataloader.dataset.data_root=odd_mask",
        "scenes.py",
    ),
    option(
        "train_dataloader has 1 bad sample: small_mask/masks/train/0.png: 32 x 64, its image is 64 x 64",
        "train_dataloader.dataset.data_root=small_mask",
        "scenes.py",
    ),
    option(
        "train_dataloader has 1 bad sample: cut_scene/images/train/1.png: unreadable (image file is truncated)",
        "train_dataloader.dataset.data_root=cut_scene",
        "scenes.py",
    ),
    option(
        "train_dataloader has 1 bad sample: empty_video/1.mp4: is empty",
        "train_dataloader.dataset.data_prefix.video=empty_video",
        "videos.py",
    ),
    option(
        "test_dataloader has 1 bad sample: cut_video/2.mp4: does not decode (Check failed: st_nb >= 0 (-1381258232 vs. 0) ERROR cannot find video stream with wanted index: -1)",
        "test_dataloader.dataset.data_prefix.video=cut_video",
        "videos.py",
    ),
    option(
        "test_dataloader has 1 bad sample: videos/0.mp4: label 8 is outside [0, 8)",
        "test_dataloader.dataset.ann_file=odd_video/test.txt",
        "videos.py",
    ),
]
CONVERTERS = "model_converters/"
TOOL_CASES = [
    Case(f"{CONVERTERS}timm_to_mmdyt.py nowhere.pth out.pth", "no checkpoint at nowhere.pth"),
    Case(
        f"{CONVERTERS}timm_to_mmdyt.py timm.pth out.bin",
        "DST must end in .pth or .safetensors, got 'out.bin'",
    ),
    Case(
        f"{CONVERTERS}timm_to_mmdyt.py timm.pth other.pth/out.pth",
        "DST other.pth/out.pth cannot be written: other.pth: File exists",
    ),
    Case(
        f"{CONVERTERS}timm_to_mmdyt.py nan.pth out.pth",
        "nan.pth: 'norm.weight' holds NaN or infinite values",
    ),
    Case(
        f"{CONVERTERS}timm_to_mmdyt.py scaled.pth out.pth",
        "scaled.pth: 'blocks.0.ls1.gamma' is not a key of a timm checkpoint (1 such keys)",
    ),
    Case(
        f"{CONVERTERS}timm_to_mmdyt.py square.pth out.pth",
        "square.pth: 'pos_embed' has the wrong shape: 3 patches are no square",
    ),
    Case(
        f"{CONVERTERS}timm_to_mmdyt.py lacking.pth out.pth",
        "lacking.pth: 'blocks.0.mlp.fc2.bias' is missing: the timm checkpoint is incomplete (1 keys are missing)",
    ),
    Case(
        f"{CONVERTERS}timm_to_mmdyt.py number.pth out.pth",
        "number.pth holds a int, not a state dict",
    ),
    Case(
        f"{CONVERTERS}timm_to_mmdyt.py garbage.pth out.pth",
        "SRC: garbage.pth is damaged or no checkpoint of torch.save",
    ),
    Case(
        f"{CONVERTERS}timm_to_mmdyt.py code.pth out.pth",
        "code.pth is damaged or holds more than tensors (torch.nn.modules.linear.Linear); of a training checkpoint re-save the entry 'model' alone",
    ),
    Case(
        f"{CONVERTERS}timm_to_mmdyt.py garbage.safetensors out.pth",
        "SRC: garbage.safetensors is no complete safetensors file",
    ),
    Case(
        f"{CONVERTERS}official_to_mmdyt.py timm.pth out.pth",
        "timm.pth: 'head.weight' is missing: the official checkpoint is incomplete (8 keys are missing)",
    ),
    Case(
        f"{CONVERTERS}augreg_npz_to_mmdyt.py garbage.npz out.pth",
        "garbage.npz is no complete .npz file",
    ),
    Case(
        f"{CONVERTERS}publish.py garbage.pth out.safetensors --metrics text.json --command x",
        "checkpoint: garbage.pth is damaged or no checkpoint of torch.save",
    ),
    Case(
        f"{CONVERTERS}publish.py other.pth out.safetensors --metrics text.json --command x",
        "--metrics text.json is no JSON file: Expecting value: line 1 column 1 (char 0)",
    ),
    Case(
        f"{CONVERTERS}publish.py other.pth out.pth --metrics text.json --command x",
        "target must end in .safetensors, got 'out.pth'",
    ),
    Case("analysis_tools/get_flops.py image.py --rate 2", "--rate must be in [0, 1], got 2.0"),
    Case(
        "analysis_tools/get_flops.py image.py --cfg-options model.backbone.dispach=attn",
        "--cfg-options: model.backbone.dispach is unknown; did you mean model.backbone.dispatch or model.backbone.dispatcher?",
    ),
    Case(
        "analysis_tools/benchmark.py --batch-sizes 0",
        "argument --batch-sizes: must be an integer of at least 1, got 0",
    ),
    Case("analysis_tools/benchmark.py --rates 2", "--rates must be inside (0, 1), got [2.0]"),
    Case("dataset_converters/video_lists.py folders nowhere out.txt", "nowhere is not a folder"),
    Case(
        "dataset_converters/video_lists.py folders folder out.txt",
        "no videos (.avi, .mkv, .mov, .mp4, .webm) for out.txt",
    ),
    Case(
        "dataset_converters/fashion_mnist.py --source folder",
        "folder lacks train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, t10k-images-idx3-ubyte.gz, t10k-labels-idx1-ubyte.gz. Unpack Fashion-MNIST's four idx files to where the configs look for them.",
    ),
    Case("dataset_converters/digits.py --root other.pth", "other.pth/images: Not a directory"),
    Case("sweep.py suite.py --workers 0", "--workers must be at least 1, got 0"),
    Case("collect_results.py nowhere.py", "nowhere.py: No such file or directory"),
]
CASES = [*CONFIG_CASES, *VALUE_CASES, *MODEL_CASES, *FILE_CASES, *DATA_CASES, *TOOL_CASES]


def table() -> str:
    """The cases as Markdown."""
    lines = ["| `python tools/...` | error |", "| --- | --- |"]
    for case in CASES:
        cells = (case.command, case.error)
        lines.append("| " + " | ".join(f"`{cell}`".replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def page_with_table(text: str) -> str:
    """The page with the table that belongs into it."""
    before, rest = text.split(BEGIN)
    return before + BEGIN + table() + END + rest.split(END)[1]


if __name__ == "__main__":
    PAGE.write_text(page_with_table(PAGE.read_text()))

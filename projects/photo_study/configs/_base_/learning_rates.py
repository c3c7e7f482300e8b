"""What ``python -m projects.photo_study.choose_rates`` chose on validation images."""

learning_rates = {
    "linear": 0.1,
    "adaptformer": 0.003,
    "lora": 0.003,
    "ssf": 0.01,
    "dyt": 0.003,
    "dyt-ssf": 0.01,
    "random-weights": 0.003,
}

"""Learning rates by method, to start from.

``python -m projects.photo_study.choose_rates`` writes what it chose on validation
images over this file.
"""

learning_rates = {
    "linear": 0.01,
    "adaptformer": 0.003,
    "lora": 0.003,
    "ssf": 0.01,
    "dyt": 0.003,
    "dyt-ssf": 0.003,
    "random-weights": 0.003,
}

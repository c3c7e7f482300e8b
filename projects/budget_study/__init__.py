"""The budget study: one trained model set to other rates, against models trained for them."""

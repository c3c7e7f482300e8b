"""What a training of minutes needs: learning rates and recipe of the demos."""

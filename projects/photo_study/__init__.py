"""The photo study: tuning a public ViT-S/14 on five small tasks of real photographs."""

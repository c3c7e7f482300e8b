"""What one study or one measurement needs; run as ``python -m projects.<name>.<script>``."""

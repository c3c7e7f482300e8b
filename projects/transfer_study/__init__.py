"""The transfer study: the paper's claims on seven small tasks of real data."""

"""Single measurements that a page of the documentation quotes."""

"""Speed and memory against a bare DuckDB process; correctness is the tests' business."""

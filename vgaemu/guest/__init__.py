"""Who writes: workloads in Python, and what they reach the machine with."""

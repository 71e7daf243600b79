"""The world in a box: virtual time, network, disk, scripted peers, workload, checkers, and the demo's story."""

"""The networks (torch): defined here, trained in common.training, run from their exported graphs."""

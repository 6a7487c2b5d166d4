"""Wire format of semcast, sans-IO: packets, sealing, interleaving, reassembly. The spec is README.md."""

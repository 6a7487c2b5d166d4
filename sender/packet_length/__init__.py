"""How long packets should be: loss against length, quality against loss, the cheapest plan, and a limit from reports.

After L. Teng et al., "Conquering High Packet-Loss Erasure: MoE Swin Transformer-Based Video Semantic Communication",
section III, whose equations the docstrings number. Pure: no clock, no socket. The paper's quantities:

| paper | here |
|---|---|
| P_s, SER | `SymbolErrors.ser` |
| M, bits of a symbol (the order of the modulation is 2^M) | `SymbolErrors.bits_per_symbol` |
| L_origin, bytes of a unit's semantic data | `Cut.origin_bytes` |
| L_head, bytes of all headers and trailers of a packet | `Cut.header_bytes`; ours are 57, IP and UDP included |
| N_p, P_length, L_data, L_total | `PacketPlan.packets`, `packet_bytes`, `payload_bytes`, `wire_bytes` |
| P_L | `PacketPlan.packet_loss` |
| f_p, of the loss P_L | `QualityCurve.at_loss`, of the share 1 - P_L that arrives |
| Gamma_P, Gamma_MAX(P_s) | `threshold`, `PacketPlan.quality_limit` |

Where the paper leaves something open:

- Eq. (2) need not be whole. A packet ends with a whole symbol here, so the number is rounded up.
- Eq. (4) need not be whole. Segments differ by one byte at most (`segments`); loss is that of the longest. Nothing is
  padded, so eq. (5) holds to the byte.
- f_p is drawn against the loss rate P_L, and eq. (10) puts P_L into it, as if always 1 - P_L arrived. Of few
  packets it is one of 0, 1/N, .. 1, and the mean of a curve is not the curve of the mean. `Criterion.EXPECTED` takes
  the mean over the binomial distribution of the packets that arrive; `Criterion.MEAN_SHARE` is the paper's.
- Eq. (10) has "<=", but Gamma_MAX(P_s) is approached and never reached, and N_p has no limit there. Here it has:
  255 packets a unit on our wire, and a payload of at least one byte.
- The paper prints no numbers of f_p. Two are told: MS-SSIM above 0.6 and PSNR above 20 dB at a loss of 0.9.

| module | what |
|---|---|
| `loss.py` | loss of a packet by its length: `SymbolErrors`, `MeasuredLoss` |
| `curve.py` | `QualityCurve` |
| `plan.py` | `Cut`, `choose`, `best` |
| `limit.py` | `LossByLength`, `recommended_payload`: from reports to the largest payload |
| `adapt.py` | `PacketLength`: the limit that is in force, and the trials that teach it |
| `join.py` | `LateJoin`: packets for late joiners, where nobody reports |
"""

"""The diffusion decoder: maps and small degraded frames in, a sharp and steady video out, causally.

A latent-diffusion backbone with three adapters beside it: Semantic Control, the Restoration Adapter and the Temporal
Adapter (Eteke et al., "High-Fidelity Causal Video Diffusion Models for Real-Time Ultra-Low-Bitrate Semantic
Communication", section IV-B). Needs torch and diffusers (extra `generative`); nothing of the core imports it.
"""

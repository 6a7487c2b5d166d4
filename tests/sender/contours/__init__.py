"""Tests of sender.contours."""

"""Tests of receiver.contours."""

"""Skin tone from pixels: measured with its doubts, shifted, balanced."""

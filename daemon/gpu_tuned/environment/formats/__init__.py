"""Profiles as the files that their readers take: one function a format, text out."""

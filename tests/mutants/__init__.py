"""The mutation run: one small fault at a time in the package, and the tests that should notice it.

``make mutants`` starts it. The faults are made by cosmic-ray, in memory: no file is changed.
"""

"""The sections of the page of one run, for readers who do not know the experiment.

Every sentence follows from the run, and is left out where it does not apply.
"""

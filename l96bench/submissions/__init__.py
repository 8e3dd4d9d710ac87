"""Submissions: models that come as files, checked, scored and verified without their authors' code."""

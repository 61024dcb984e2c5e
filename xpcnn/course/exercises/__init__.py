"""The exercises, one a file, each an `EXERCISE` (see `xpcnn.course.exercise`); their numbers are their order."""

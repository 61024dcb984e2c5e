"""cupy.linalg: of all its names, the one that array-api-compat imports. xpcnn uses none."""


def lstsq(a, b, rcond="warn"):
    raise NotImplementedError("the stand-in for CuPy has no linalg.lstsq")

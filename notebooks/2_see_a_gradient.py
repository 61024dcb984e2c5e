# %% [markdown]
# # See a gradient, and check one
#
# A convolution with numbers that fit on paper: one image of 4×4, one filter of 2×2.

# %%
import numpy as np

import xpcnn
from xpcnn import explain, nn, ops

x = np.arange(16, dtype="float32").reshape(1, 4, 4, 1)
layer = nn.Conv2d(1, 1, 2, bias=False)
layer.load_state_dict({"weight": np.array([1, 0, -1, 2], "float32").reshape(1, 2, 2, 1)})
y, cache = layer.forward(x)
y[0, :, :, 0]

# %% [output]
# array([[ 6.,  8., 10.],
#        [14., 16., 18.],
#        [22., 24., 26.]], dtype=float32)

# %% [markdown]
# `backward` takes ∂L/∂y and returns ∂L/∂x and the gradients of the parameters. Nothing is kept elsewhere: there is no
# `zero_grad` to forget.

# %%
dy = np.ones_like(y)
dx, grads = layer.backward(dy, cache)
print(dx[0, :, :, 0])
print(grads["weight"][0, :, :, 0])

# %% [output]
# [[ 1.  1.  1.  0.]
#  [ 0.  2.  2.  2.]
#  [ 0.  2.  2.  2.]
#  [-1.  1.  1.  2.]]
# [[45. 54.]
#  [81. 90.]]

# %% [markdown]
# Where does each number come from? Point at one of them:

# %%
explain.explain(layer, "", x, dy=dy)

# %% [output]
# Explanation(Conv2d(in_channels=1, out_channels=1, kernel_size=(2, 2), stride=(1, 1), padding=0, dilation=(1, 1), groups=1, bias=False), layer '': y, Y, dw, dx; print(explain.text(…)) writes it out)
# [text/html]

# %% [markdown]
# ## Your own gradient
#
# A convolution of one channel by hand. Its `dx` has a mistake that is easy to make: the kernel is not turned.


# %%
class MyConv(nn.Layer):
    parameter_names = ("weight",)

    def __init__(self, size):
        self.weight = np.random.default_rng(0).normal(size=(size, size)).astype("float32")

    def forward(self, x):
        k = len(self.weight)
        height, width = x.shape[1] - k + 1, x.shape[2] - k + 1
        taps = [(u, v, x[:, u : u + height, v : v + width]) for u in range(k) for v in range(k)]
        return sum(self.weight[u, v] * tap for u, v, tap in taps), (x.shape, taps)

    def backward(self, dy, cache, *, input_grad=True):
        shape, taps = cache
        dx, dw = np.zeros(shape, dy.dtype), np.zeros_like(self.weight)
        k, height, width = len(dw), *dy.shape[1:3]
        for u, v, tap in taps:
            dw[u, v] = np.sum(dy * tap)
            dx[:, u : u + height, v : v + width] += dy * self.weight[k - 1 - u, k - 1 - v]
        return dx, {"weight": dw}


images = np.random.default_rng(1).normal(size=(2, 5, 6, 1))
xpcnn.gradcheck(MyConv(3), images)

# %% [output]
# MyConv: WRONG GRADIENTS
#   x                central difference    6.9e-01  FAILED
#   x                complex step          6.9e-01  FAILED
#   x                adjoint identity      6.9e-01  FAILED
#   weight           central difference    3.4e-10  ok
#   weight           complex step          4.5e-16  ok
#   weight           adjoint identity      5.8e-15  ok
# [text/html]

# %% [markdown]
# The gradient of the weight is right, that of x is not. In forward, pixel (i + u, j + v) met weight (u, v); so must it
# in backward:


# %%
class Mended(MyConv):
    def backward(self, dy, cache, *, input_grad=True):
        shape, taps = cache
        _, grads = super().backward(dy, cache)
        dx = np.zeros(shape, dy.dtype)
        height, width = dy.shape[1:3]
        for u, v, _ in taps:
            dx[:, u : u + height, v : v + width] += dy * self.weight[u, v]
        return dx, grads


xpcnn.gradcheck(Mended(3), images)

# %% [output]
# Mended: gradients agree
#   x                central difference    1.3e-11  ok
#   x                complex step          1.6e-16  ok
#   x                adjoint identity      3.7e-16  ok
#   weight           central difference    3.4e-10  ok
#   weight           complex step          4.5e-16  ok
#   weight           adjoint identity      5.8e-15  ok
# [text/html]

# %% [markdown]
# It agrees with the library, too:

# %%
mine = Mended(3)
kernel = mine.weight[None, :, :, None]
y, cache = ops.conv2d_forward(images.astype("float32"), kernel, window=ops.Window(3))
bool(np.allclose(mine(images.astype("float32")), y, atol=1e-6))

# %% [output]
# True

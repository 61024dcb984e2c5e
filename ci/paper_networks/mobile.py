"""Classifiers for small machines."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .catalogue import HardSigmoid, Squeeze, Sum, conv, head, network, unit


@network("MobileNet v1 (2017)", (3, 32, 32))
class MobileNetV1(nn.Sequential):
    def __init__(self) -> None:
        def block(cin: int, cout: int, stride: int) -> nn.Module:
            return nn.Sequential(unit(cin, cin, 3, stride, cin), unit(cin, cout, 1))

        super().__init__(unit(3, 8, 3, 2), block(8, 16, 1), block(16, 24, 2), block(24, 24, 1), head(24))


@network("MobileNet v2 (2018)", (3, 32, 32))
class MobileNetV2(nn.Sequential):
    def __init__(self) -> None:
        def block(cin: int, cout: int, stride: int) -> nn.Module:
            c = 4 * cin
            body = nn.Sequential(
                unit(cin, c, 1, act=nn.ReLU6),
                unit(c, c, 3, stride, c, nn.ReLU6),
                nn.Conv2d(c, cout, 1),
                nn.BatchNorm2d(cout),
            )
            return Sum(body) if (cin, stride) == (cout, 1) else body

        super().__init__(unit(3, 8, 3, 2, act=nn.ReLU6), block(8, 8, 1), block(8, 12, 2), block(12, 12, 1), head(12))


@network("MobileNet v3 (2019)", (3, 32, 32))
class MobileNetV3(nn.Sequential):
    def __init__(self) -> None:
        def block(cin: int, c: int, cout: int, stride: int, act: type) -> nn.Module:
            body = nn.Sequential(
                unit(cin, c, 1, act=act), unit(c, c, 5, stride, c, act), Squeeze(c, 8, HardSigmoid()),
                nn.Conv2d(c, cout, 1), nn.BatchNorm2d(cout),
            )  # fmt: skip
            return Sum(body) if (cin, stride) == (cout, 1) else body

        swish = nn.Hardswish
        super().__init__(
            unit(3, 8, 3, 2, act=swish), block(8, 16, 8, 1, nn.ReLU), block(8, 24, 12, 2, swish),
            block(12, 24, 12, 1, swish), nn.AdaptiveAvgPool2d(1), nn.Conv2d(12, 32, 1), swish(),
            nn.Flatten(), nn.Dropout(0.2), nn.Linear(32, 10),
        )  # fmt: skip


@network("EfficientNet (2019)", (3, 32, 32))
class EfficientNet(nn.Module):
    def __init__(self) -> None:
        class Block(nn.Module):
            def __init__(self, cin: int, cout: int, stride: int) -> None:
                super().__init__()
                c = 4 * cin
                self.expand = unit(cin, c, 1, act=nn.SiLU)
                self.depthwise = unit(c, c, 5, stride, c, nn.SiLU)
                self.squeeze, self.excite = nn.Conv2d(c, 4, 1), nn.Conv2d(4, c, 1)
                self.project = nn.Sequential(nn.Conv2d(c, cout, 1, bias=False), nn.BatchNorm2d(cout))
                self.adds = (cin, stride) == (cout, 1)

            def forward(self, x: Tensor) -> Tensor:
                y = self.depthwise(self.expand(x))
                y = y * torch.sigmoid(self.excite(F.silu(self.squeeze(y.mean((2, 3), keepdim=True)))))
                y = self.project(y)
                return x + y if self.adds else y

        super().__init__()
        self.body = nn.Sequential(unit(3, 8, 3, 2, act=nn.SiLU), Block(8, 8, 1), Block(8, 12, 2), Block(12, 12, 1))
        self.out = head(12)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.body(x))


def shuffled(x: Tensor, groups: int) -> Tensor:
    n, c, h, w = x.shape
    return x.view(n, groups, c // groups, h, w).transpose(1, 2).contiguous().view(n, c, h, w)


@network("ShuffleNet v1 (2017)", (3, 32, 32))
class ShuffleNetV1(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.out = nn.Sequential(unit(3, 12, 3, 2), nn.MaxPool2d(3, 2, 1)), head(24)
        self.narrow, self.wide = unit(12, 12, 1, groups=3), nn.Conv2d(12, 12, 1, groups=3)
        self.depthwise = nn.Sequential(conv(12, 12, 3, 2, groups=12), nn.BatchNorm2d(12))

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        y = self.wide(self.depthwise(shuffled(self.narrow(x), 3)))
        return self.out(F.relu(torch.cat([F.avg_pool2d(x, 3, 2, 1), y], 1)))


@network("ShuffleNet v2 (2018)", (3, 32, 32))
class ShuffleNetV2(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.out = nn.Sequential(unit(3, 8, 3, 2), nn.MaxPool2d(3, 2, 1)), head(16)

        def branch(cin: int, stride: int) -> nn.Module:
            return nn.Sequential(
                unit(cin, 8, 1), conv(8, 8, 3, stride, groups=8), nn.BatchNorm2d(8), unit(8, 8, 1)
            )  # fmt: skip

        self.left = nn.Sequential(conv(8, 8, 3, 2, groups=8), nn.BatchNorm2d(8), unit(8, 8, 1))
        self.right, self.next = branch(8, 2), branch(8, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = shuffled(torch.cat([self.left(x), self.right(x)], 1), 2)
        a, b = x.chunk(2, dim=1)
        return self.out(shuffled(torch.cat([a, self.next(b)], 1), 2))


@network("GhostNet (2020)", (3, 32, 32))
class GhostNet(nn.Module):
    def __init__(self) -> None:
        class Ghost(nn.Module):
            def __init__(self, cin: int, cout: int, act: type) -> None:
                super().__init__()
                half = (cout + 1) // 2
                self.cout, self.first, self.cheap = cout, unit(cin, half, 1, act=act), unit(half, half, 3, 1, half, act)

            def forward(self, x: Tensor) -> Tensor:
                y = self.first(x)
                return torch.cat([y, self.cheap(y)], 1)[:, : self.cout]

        super().__init__()
        self.stem, self.out = unit(3, 8, 3, 2), head(8)
        self.body = Sum(nn.Sequential(Ghost(8, 23, nn.ReLU), Squeeze(23, 4, HardSigmoid()), Ghost(23, 8, nn.Identity)))

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.body(self.stem(x)))


@network("Keyword spotting, DS-CNN (2017)", (1, 49, 10))
class KeywordSpotting(nn.Sequential):
    def __init__(self) -> None:
        def block(c: int) -> nn.Module:
            return nn.Sequential(unit(c, c, 3, 1, c), unit(c, c, 1))

        first = nn.Conv2d(1, 12, (10, 4), (2, 2), padding=(5, 1))
        super().__init__(
            first, nn.BatchNorm2d(12), nn.ReLU(), block(12), block(12), nn.AvgPool2d((25, 5)), nn.Flatten(),
            nn.Linear(12, 12), nn.Softmax(dim=1),
        )  # fmt: skip

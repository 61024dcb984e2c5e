"""Classifiers: one image to scores of classes."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .catalogue import Cat, Squeeze, Sum, conv, head, network, unit


@network("LeNet-5 (1998)", (1, 28, 28))
class LeNet5(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(
            nn.Conv2d(1, 6, 5, padding=2), nn.Tanh(), nn.AvgPool2d(2),
            nn.Conv2d(6, 16, 5), nn.Tanh(), nn.AvgPool2d(2), nn.Flatten(),
            nn.Linear(400, 120), nn.Tanh(), nn.Linear(120, 84), nn.Tanh(), nn.Linear(84, 10),
        )  # fmt: skip


@network("AlexNet, with LRN and two groups (2012)", (3, 67, 67))
class AlexNet(nn.Sequential):
    def __init__(self) -> None:
        norm = nn.LocalResponseNorm(5, 1e-1, 0.75, 2.0)
        super().__init__(
            nn.Conv2d(3, 16, 11, 4), nn.ReLU(), norm, nn.MaxPool2d(3, 2),
            conv(16, 24, 5, groups=2), nn.ReLU(), norm, nn.MaxPool2d(3, 2),
            conv(24, 32), nn.ReLU(), conv(32, 32, groups=2), nn.ReLU(), conv(32, 16, groups=2), nn.ReLU(),
            nn.MaxPool2d(3, 2), nn.Flatten(), nn.Dropout(), nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 10),
        )  # fmt: skip


@network("Network in network (2013)", (3, 32, 32))
class NetworkInNetwork(nn.Sequential):
    def __init__(self) -> None:
        def block(cin: int, cout: int, size: int) -> list[nn.Module]:
            return [conv(cin, cout, size), nn.ReLU(), nn.Conv2d(cout, cout, 1), nn.ReLU()]

        super().__init__(
            *block(3, 12, 5), nn.MaxPool2d(3, 2, ceil_mode=True), *block(12, 16, 5), nn.AvgPool2d(3, 2, 1),
            *block(16, 10, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LogSoftmax(1),
        )  # fmt: skip


class Inception(Cat):
    """Four branches: 1×1, 3×3, 5×5, pooling."""

    def __init__(self, cin: int, a: int, b: int, c: int, d: int) -> None:
        super().__init__(
            unit(cin, a, 1), nn.Sequential(unit(cin, b, 1), unit(b, b)),
            nn.Sequential(unit(cin, c, 1), unit(c, c, 5)), nn.Sequential(nn.MaxPool2d(3, 1, 1), unit(cin, d, 1)),
        )  # fmt: skip


@network("GoogLeNet, with a second classifier (2014)", (3, 48, 48))
class GoogLeNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            unit(3, 12, 7, 2), nn.MaxPool2d(3, 2, 1, ceil_mode=True), nn.LocalResponseNorm(5), unit(12, 16)
        )
        self.a, self.b = Inception(16, 4, 8, 4, 4), Inception(20, 6, 8, 4, 4)
        self.side = nn.Sequential(nn.AvgPool2d(5, 3), unit(20, 8, 1), nn.Flatten(), nn.Linear(72, 10))
        self.out = head(22)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        a = self.a(self.stem(x))
        return self.out(self.b(a)), self.side(a)


@network("VGG, features of five layers, as for perceptual losses (2014)", (3, 32, 32))
class VGGFeatures(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.MaxPool2d(2) if i else nn.Identity(), conv(a, b), nn.ReLU(), conv(b, b), nn.ReLU())
            for i, (a, b) in enumerate([(3, 8), (8, 12), (12, 16), (16, 16), (16, 16)])
        )
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).reshape(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor([0.229, 0.224, 0.225]).reshape(1, 3, 1, 1))

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        x, features = (x - self.mean) / self.std, []
        for block in self.blocks:
            x = block(x)
            features.append(x)
        return tuple(features)


@network("Highway network (2015)", (3, 12, 12))
class HighwayNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.out = conv(3, 8), head(8)
        self.h = nn.ModuleList(conv(8, 8) for _ in range(3))
        self.t = nn.ModuleList(conv(8, 8) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        for h, t in zip(self.h, self.t, strict=True):
            gate = torch.sigmoid(t(x))
            x = gate * torch.relu(h(x)) + (1 - gate) * x
        return self.out(x)


@network("ResNet, pre-activation, wide (2016)", (3, 16, 16))
class WideResNet(nn.Sequential):
    def __init__(self) -> None:
        def block(cin: int, cout: int, stride: int) -> nn.Module:
            body = nn.Sequential(
                nn.BatchNorm2d(cin), nn.ReLU(), conv(cin, cout, 3, stride), nn.BatchNorm2d(cout), nn.ReLU(),
                nn.Dropout(0.3), conv(cout, cout),
            )  # fmt: skip
            return Sum(body, None if cin == cout else nn.Conv2d(cin, cout, 1, stride))

        super().__init__(conv(3, 8), block(8, 16, 1), block(16, 16, 1), block(16, 24, 2), nn.BatchNorm2d(24), head(24))


@network("Inception v3 (2015)", (3, 35, 35))
class InceptionV3(nn.Module):
    def __init__(self) -> None:
        super().__init__()

        def line(cin: int, cout: int, size: tuple[int, int]) -> nn.Module:
            bare = nn.Conv2d(cin, cout, size, padding=(size[0] // 2, size[1] // 2), bias=False)
            return nn.Sequential(bare, nn.BatchNorm2d(cout, eps=1e-3), nn.ReLU())

        self.stem = unit(3, 12, 3, 2)
        self.tall = Cat(
            unit(12, 6, 1), nn.Sequential(unit(12, 6, 1), line(6, 6, (1, 7)), line(6, 6, (7, 1))),
            nn.Sequential(nn.AvgPool2d(3, 1, 1), unit(12, 6, 1)),
        )  # fmt: skip
        self.shrink = Cat(unit(18, 8, 3, 2), nn.MaxPool2d(3, 2, 1))
        self.split = nn.Sequential(unit(26, 8, 1), Cat(line(8, 4, (1, 3)), line(8, 4, (3, 1))))
        self.out = head(8)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.split(self.shrink(self.tall(self.stem(x)))))


@network("FractalNet (2016)", (3, 16, 16))
class FractalNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.out = unit(3, 8), head(8)
        self.units = nn.ModuleList(unit(8, 8) for _ in range(7))

    def fractal(self, x: Tensor, depth: int, at: int) -> Tensor:
        """The mean of one layer and of two fractals of half the depth."""
        if depth == 1:
            return self.units[at](x)
        half = 2 ** (depth - 1) - 1
        deep = self.fractal(self.fractal(x, depth - 1, at + 1), depth - 1, at + 1 + half)
        return (self.units[at](x) + deep) / 2

    def forward(self, x: Tensor) -> Tensor:
        return self.out(F.max_pool2d(self.fractal(self.first(x), 3, 0), 2))


@network("DenseNet (2016)", (3, 32, 32))
class DenseNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()

        def layer(cin: int) -> nn.Module:
            return nn.Sequential(
                nn.BatchNorm2d(cin), nn.ReLU(), nn.Conv2d(cin, 8, 1, bias=False),
                nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 4, 3, padding=1, bias=False),
            )  # fmt: skip

        self.stem = nn.Sequential(unit(3, 8, 7, 2), nn.MaxPool2d(3, 2, 1))
        self.a = nn.ModuleList(layer(8 + 4 * i) for i in range(4))
        self.between = nn.Sequential(nn.BatchNorm2d(24), nn.ReLU(), nn.Conv2d(24, 12, 1, bias=False), nn.AvgPool2d(2))
        self.b = nn.ModuleList(layer(12 + 4 * i) for i in range(4))
        self.norm, self.out = nn.BatchNorm2d(28), nn.Linear(28, 10)

    def forward(self, x: Tensor) -> Tensor:
        features = [self.stem(x)]
        for each in self.a:
            features.append(each(torch.cat(features, 1)))
        features = [self.between(torch.cat(features, 1))]
        for each in self.b:
            features.append(each(torch.cat(features, 1)))
        y = F.relu(self.norm(torch.cat(features, 1)))
        return self.out(torch.flatten(F.adaptive_avg_pool2d(y, (1, 1)), 1))


@network("SqueezeNet (2016)", (3, 35, 35))
class SqueezeNet(nn.Sequential):
    def __init__(self) -> None:
        def fire(cin: int, squeeze: int, expand: int) -> nn.Module:
            wide = Cat(
                nn.Sequential(nn.Conv2d(squeeze, expand, 1), nn.ReLU()),
                nn.Sequential(conv(squeeze, expand), nn.ReLU()),
            )
            return nn.Sequential(nn.Conv2d(cin, squeeze, 1), nn.ReLU(), wide)

        super().__init__(
            nn.Conv2d(3, 16, 3, 2), nn.ReLU(), nn.MaxPool2d(3, 2, ceil_mode=True), fire(16, 4, 8),
            Sum(fire(16, 4, 8)), nn.MaxPool2d(3, 2, ceil_mode=True), fire(16, 6, 10), nn.Dropout(),
            nn.Conv2d(20, 10, 1), nn.ReLU(), nn.AdaptiveAvgPool2d((1, 1)), nn.Flatten(),
        )  # fmt: skip


@network("ResNeXt (2016)", (3, 16, 16))
class ResNeXt(nn.Sequential):
    def __init__(self) -> None:
        def block(c: int) -> nn.Module:
            body = nn.Sequential(unit(c, c, 1), unit(c, c, groups=4), nn.Conv2d(c, c, 1), nn.BatchNorm2d(c))
            return nn.Sequential(Sum(body), nn.ReLU())

        super().__init__(unit(3, 16), block(16), nn.MaxPool2d(2), block(16), head(16))


@network("SE-ResNet (2017)", (3, 16, 16))
class SEResNet(nn.Sequential):
    def __init__(self) -> None:
        def block(c: int) -> nn.Module:
            return nn.Sequential(
                Sum(nn.Sequential(unit(c, c), conv(c, c), nn.BatchNorm2d(c), Squeeze(c, 4))), nn.ReLU()
            )

        super().__init__(unit(3, 16), block(16), block(16), head(16))


@network("CBAM (2018)", (3, 12, 12))
class CBAM(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.out = unit(3, 16), head(16)
        self.shared = nn.Sequential(nn.Conv2d(16, 4, 1, bias=False), nn.ReLU(), nn.Conv2d(4, 16, 1, bias=False))
        self.place = nn.Conv2d(2, 1, 7, padding=3, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        channels = self.shared(F.adaptive_avg_pool2d(x, 1)) + self.shared(F.adaptive_max_pool2d(x, 1))
        x = x * torch.sigmoid(channels)
        both = torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], 1)
        return self.out(x * torch.sigmoid(self.place(both)))


@network("Res2Net (2019)", (3, 12, 12))
class Res2Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.last, self.out = unit(3, 16, 1), nn.Conv2d(16, 16, 1), head(16)
        self.parts = nn.ModuleList(unit(4, 4) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        parts = list(torch.chunk(x, 4, 1))
        made = [parts[0], self.parts[0](parts[1])]
        for part, unit_ in zip(parts[2:], list(self.parts)[1:], strict=True):
            made.append(unit_(part + made[-1]))
        return self.out(F.relu(x + self.last(torch.cat(made, 1))))


@network("RepVGG, as it is trained (2021)", (3, 16, 16))
class RepVGG(nn.Sequential):
    def __init__(self) -> None:
        class Block(nn.Module):
            def __init__(self, cin: int, cout: int, stride: int) -> None:
                super().__init__()
                self.wide = nn.Sequential(conv(cin, cout, 3, stride), nn.BatchNorm2d(cout))
                self.thin = nn.Sequential(nn.Conv2d(cin, cout, 1, stride), nn.BatchNorm2d(cout))
                self.same = nn.BatchNorm2d(cin) if (cin, stride) == (cout, 1) else None

            def forward(self, x: Tensor) -> Tensor:
                y = self.wide(x) + self.thin(x)
                return F.relu(y if self.same is None else y + self.same(x))

        super().__init__(Block(3, 12, 2), Block(12, 12, 1), Block(12, 16, 2), Block(16, 16, 1), head(16))


class ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of images (N, C, H, W)."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


@network("ConvNeXt (2022)", (3, 32, 32))
class ConvNeXt(nn.Module):
    def __init__(self) -> None:
        class Block(nn.Module):
            def __init__(self, c: int) -> None:
                super().__init__()
                self.depthwise, self.norm = conv(c, c, 7, groups=c), nn.LayerNorm(c, eps=1e-6)
                self.wide, self.narrow = nn.Linear(c, 4 * c), nn.Linear(4 * c, c)
                self.gamma = nn.Parameter(torch.ones(c))

            def forward(self, x: Tensor) -> Tensor:
                y = self.norm(self.depthwise(x).permute(0, 2, 3, 1))
                y = self.gamma * self.narrow(F.gelu(self.wide(y)))
                return x + y.permute(0, 3, 1, 2)

        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 12, 4, 4), ChannelNorm(12), Block(12), ChannelNorm(12), nn.Conv2d(12, 16, 2, 2), Block(16)
        )
        self.norm, self.out = nn.LayerNorm(16), nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.norm(self.body(x).mean([-2, -1])))


@network("ConvMixer (2022)", (3, 28, 28))
class ConvMixer(nn.Sequential):
    def __init__(self) -> None:
        def block(c: int) -> list[nn.Module]:
            norm = nn.BatchNorm2d
            return [
                Sum(nn.Sequential(conv(c, c, 5, groups=c), nn.GELU(), norm(c))),
                nn.Conv2d(c, c, 1),
                nn.GELU(),
                norm(c),
            ]

        super().__init__(nn.Conv2d(3, 16, 4, 4), nn.GELU(), nn.BatchNorm2d(16), *block(16), *block(16), head(16))


@network("MLP-Mixer (2021)", (3, 16, 16))
class MLPMixer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.patches, self.out = nn.Conv2d(3, 12, 4, 4), nn.Linear(12, 10)
        self.norms = nn.ModuleList(nn.LayerNorm(12) for _ in range(3))
        self.tokens = nn.Sequential(nn.Linear(16, 8), nn.GELU(), nn.Linear(8, 16))
        self.channels = nn.Sequential(nn.Linear(12, 24), nn.GELU(), nn.Linear(24, 12))

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)  # (N, patches, C)
        x = x + self.tokens(self.norms[0](x).transpose(1, 2)).transpose(1, 2)
        x = x + self.channels(self.norms[1](x))
        return self.out(self.norms[2](x).mean(1))

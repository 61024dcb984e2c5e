"""A number or a class for each pixel: segmentation, poses."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .catalogue import Cat, Sum, conv, network, unit


@network("U-Net, transposed convolution (2015)", (1, 32, 32))
class UNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()

        def double(cin: int, cout: int) -> nn.Module:
            return nn.Sequential(conv(cin, cout), nn.ReLU(), conv(cout, cout), nn.ReLU())

        self.a, self.b, self.c = double(1, 8), double(8, 12), double(12, 16)
        self.up_b, self.up_a = nn.ConvTranspose2d(16, 12, 2, 2), nn.ConvTranspose2d(12, 8, 2, 2)
        self.b_, self.a_, self.out = double(24, 12), double(16, 8), nn.Conv2d(8, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        a = self.a(x)
        b = self.b(F.max_pool2d(a, 2))
        c = self.c(F.max_pool2d(b, 2))
        b = self.b_(torch.cat([b, self.up_b(c)], 1))
        return self.out(self.a_(torch.cat([a, self.up_a(b)], 1)))


@network("U-Net, bilinear, odd sizes, reflection padding", (3, 30, 22))
class BilinearUNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()

        def block(cin: int, cout: int) -> nn.Module:
            plain = nn.Conv2d(cin, cout, 3, padding=1, padding_mode="reflect")
            return nn.Sequential(plain, nn.BatchNorm2d(cout), nn.LeakyReLU(0.2))

        self.a, self.b, self.c = block(3, 8), block(8, 12), block(12, 16)
        self.up = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)
        self.b_, self.a_, self.out = block(28, 12), block(20, 8), nn.Conv2d(8, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        a = self.a(x)
        b = self.b(F.max_pool2d(a, 2))
        c = self.up(self.c(F.max_pool2d(b, 2)))
        rows, columns = b.shape[2] - c.shape[2], b.shape[3] - c.shape[3]
        c = F.pad(c, [columns // 2, columns - columns // 2, rows // 2, rows - rows // 2])
        b = self.b_(torch.cat([b, c], 1))
        return self.out(self.a_(torch.cat([a, self.up(b)], 1)))


@network("Attention U-Net (2018)", (1, 16, 16))
class AttentionUNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.out = unit(1, 8), unit(8, 12), nn.Sequential(unit(20, 8), nn.Conv2d(8, 1, 1))
        self.of_a, self.of_b, self.gate = nn.Conv2d(8, 6, 1, 2), nn.Conv2d(12, 6, 1), nn.Conv2d(6, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        a = self.a(x)
        b = self.b(F.max_pool2d(a, 2))
        gate = torch.sigmoid(self.gate(F.relu(self.of_a(a) + self.of_b(b))))
        gate = F.interpolate(gate, size=a.shape[2:], mode="bilinear", align_corners=False)
        up = F.interpolate(b, scale_factor=2, mode="nearest")
        return torch.sigmoid(self.out(torch.cat([a * gate, up], 1)))


@network("SegNet, upsampling without indices (2015)", (3, 32, 32))
class SegNet(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(
            unit(3, 8), unit(8, 8), nn.MaxPool2d(2), unit(8, 16), nn.MaxPool2d(2),
            unit(16, 8), nn.UpsamplingNearest2d(scale_factor=2), unit(8, 8), nn.Upsample(scale_factor=2), conv(8, 4),
            nn.Softmax(1),
        )  # fmt: skip


@network("FCN-8s (2014)", (3, 32, 32))
class FCN(nn.Module):
    def __init__(self) -> None:
        super().__init__()

        def stage(cin: int, cout: int) -> nn.Module:
            return nn.Sequential(conv(cin, cout), nn.ReLU(), nn.MaxPool2d(2, 2, ceil_mode=True))

        self.three = nn.Sequential(stage(3, 8), stage(8, 8), stage(8, 12))
        self.four, self.five = stage(12, 12), stage(12, 16)
        self.scores = nn.ModuleList(nn.Conv2d(c, 3, 1) for c in (12, 12, 16))
        self.twice = nn.ModuleList(nn.ConvTranspose2d(3, 3, 4, 2, bias=False) for _ in range(2))
        self.eight = nn.ConvTranspose2d(3, 3, 16, 8, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        three = self.three(x)
        four = self.four(three)
        score = self.twice[0](self.scores[2](self.five(four)))
        score = self.scores[1](four) + score[:, :, 1:3, 1:3]
        score = self.twice[1](score)
        score = self.scores[0](three) + score[:, :, 1:5, 1:5]
        return self.eight(score)[:, :, 4:36, 4:36].contiguous()


@network("ENet (2016)", (3, 32, 32))
class ENet(nn.Module):
    def __init__(self) -> None:
        super().__init__()

        def bottleneck(*middle: nn.Module) -> nn.Module:
            body = nn.Sequential(
                nn.Conv2d(16, 4, 1, bias=False), nn.BatchNorm2d(4), nn.PReLU(4), *middle,
                nn.BatchNorm2d(4), nn.PReLU(4),
                nn.Conv2d(4, 16, 1, bias=False), nn.BatchNorm2d(16), nn.Dropout2d(0.1),
            )  # fmt: skip
            return nn.Sequential(Sum(body), nn.PReLU(16))

        self.first = Cat(nn.Conv2d(3, 5, 3, 2, 1), nn.MaxPool2d(2))
        self.down = nn.Sequential(nn.Conv2d(8, 16, 2, 2), nn.BatchNorm2d(16), nn.PReLU())
        self.body = nn.Sequential(
            bottleneck(conv(4, 4)), bottleneck(conv(4, 4, dilation=2)),
            bottleneck(nn.Conv2d(4, 4, (5, 1), padding=(2, 0)), nn.Conv2d(4, 4, (1, 5), padding=(0, 2))),
        )  # fmt: skip
        self.up = nn.ConvTranspose2d(16, 8, 3, 2, 1, output_padding=1)
        self.out = nn.ConvTranspose2d(8, 3, 2, 2)

    def forward(self, x: Tensor) -> Tensor:
        first = self.first(x)
        short = F.max_pool2d(first, 2)
        short = F.pad(short, (0, 0, 0, 0, 0, 8))  # channels of zeros
        return self.out(F.relu(self.up(self.body(F.relu(short + self.down(first))))))


@network("ESPNet (2018)", (3, 24, 24))
class ESPNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.reduce = unit(3, 16, 3, 2), nn.Conv2d(16, 4, 1, bias=False)
        self.dilated = nn.ModuleList(conv(4, 4, dilation=d) for d in (1, 2, 4, 8))
        self.norm, self.out = nn.Sequential(nn.BatchNorm2d(16), nn.PReLU(16)), nn.Conv2d(16, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        y = self.reduce(x)
        sums = [self.dilated[0](y)]
        for each in list(self.dilated)[1:]:
            sums.append(sums[-1] + each(y))
        y = self.norm(x + torch.cat(sums, 1))
        return F.interpolate(self.out(y), scale_factor=2, mode="bilinear", align_corners=False)


@network("PSPNet (2016)", (3, 24, 24))
class PSPNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.out = unit(3, 8, 3, 2), nn.Sequential(unit(16, 8), nn.Dropout2d(0.1), nn.Conv2d(8, 3, 1))
        self.pyramid = nn.ModuleList(nn.Sequential(nn.AdaptiveAvgPool2d(s), unit(8, 2, 1)) for s in (1, 2, 3, 6))

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        pooled = [F.interpolate(each(x), x.shape[2:], mode="bilinear", align_corners=True) for each in self.pyramid]
        return F.interpolate(self.out(torch.cat([x, *pooled], 1)), scale_factor=2, mode="bilinear", align_corners=True)


@network("DeepLab v3+, ASPP (2018)", (3, 32, 32))
class DeepLab(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.low, self.high = unit(3, 8, 3, 2), unit(8, 12, 3, 2)
        self.rates = nn.ModuleList(
            nn.Sequential(conv(12, 6, 3, dilation=d), nn.BatchNorm2d(6), nn.ReLU()) for d in (1, 2, 4)
        )
        self.whole = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(12, 6, 1), nn.ReLU())
        self.project, self.side, self.out = unit(24, 8, 1), unit(8, 4, 1), nn.Conv2d(12, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        low = self.low(x)
        high = self.high(low)
        whole = F.interpolate(self.whole(high), size=high.shape[2:], mode="bilinear", align_corners=False)
        y = self.project(torch.cat([*(rate(high) for rate in self.rates), whole], 1))
        y = F.interpolate(y, size=low.shape[2:], mode="bilinear", align_corners=False)
        y = self.out(torch.cat([y, self.side(low)], 1))
        return F.interpolate(y, size=x.shape[2:], mode="bilinear", align_corners=False)


@network("Stacked hourglass (2016)", (3, 32, 32))
class Hourglass(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = unit(3, 8, 7, 2)
        self.glasses = nn.ModuleList(nn.ModuleList(Sum(unit(8, 8)) for _ in range(4)) for _ in range(2))
        self.heats = nn.ModuleList(nn.Conv2d(8, 3, 1) for _ in range(2))
        self.back, self.mix = nn.Conv2d(3, 8, 1), nn.Conv2d(8, 8, 1)

    def glass(self, x: Tensor, parts: nn.ModuleList) -> Tensor:
        low = parts[1](F.max_pool2d(x, 2))
        lower = parts[2](F.max_pool2d(low, 2))
        low = low + F.interpolate(lower, scale_factor=2)
        return parts[0](x) + F.interpolate(parts[3](low), scale_factor=2)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = self.first(x)
        one = self.glass(x, self.glasses[0])
        heat = self.heats[0](one)
        two = self.glass(x + self.mix(one) + self.back(heat), self.glasses[1])
        return heat, self.heats[1](two)

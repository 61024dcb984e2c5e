"""Detection, recognition, comparison; and signals of one axis."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .catalogue import Sum, conv, network, unit


@network("YOLO v3, three heads (2018)", (3, 64, 64))
class YOLOv3(nn.Module):
    def __init__(self) -> None:
        super().__init__()

        class Leaky(nn.LeakyReLU):
            def __init__(self) -> None:
                super().__init__(0.1)

        def block(cin: int, cout: int) -> nn.Module:
            body = nn.Sequential(unit(cout, cin, 1, act=Leaky), unit(cin, cout, act=Leaky))
            return nn.Sequential(unit(cin, cout, 3, 2, act=Leaky), Sum(body))

        self.eight = nn.Sequential(block(3, 8), block(8, 8), block(8, 12))
        self.sixteen, self.last = block(12, 12), block(12, 16)
        self.heads = nn.ModuleList(nn.Conv2d(c, 3 * 7, 1) for c in (16, 20, 20))
        self.narrow = nn.ModuleList(unit(c, 8, 1, act=Leaky) for c in (16, 20))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        eight = self.eight(x)
        sixteen = self.sixteen(eight)
        last = self.last(sixteen)
        middle = torch.cat([F.interpolate(self.narrow[0](last), scale_factor=2), sixteen], 1)
        fine = torch.cat([F.interpolate(self.narrow[1](middle), scale_factor=2), eight], 1)
        return self.heads[0](last), self.heads[1](middle), self.heads[2](fine)


@network("YOLO v5: CSP, SPPF, PANet, decoded boxes (2020)", (3, 32, 32))
class YOLOv5(nn.Module):
    def __init__(self) -> None:
        super().__init__()

        class CSP(nn.Module):
            def __init__(self, c: int) -> None:
                super().__init__()
                self.a, self.b, self.out = (unit(c, n, 1, act=nn.SiLU) for n in (c // 2, c // 2, c))
                self.body = Sum(nn.Sequential(unit(c // 2, c // 2, 1, act=nn.SiLU), unit(c // 2, c // 2, act=nn.SiLU)))

            def forward(self, x: Tensor) -> Tensor:
                return self.out(torch.cat([self.body(self.a(x)), self.b(x)], 1))

        stem = nn.Sequential(nn.Conv2d(3, 8, 6, 2, 2, bias=False), nn.BatchNorm2d(8), nn.SiLU())
        self.eight = nn.Sequential(stem, unit(8, 8, 3, 2, act=nn.SiLU), CSP(8))
        self.deep, self.down = unit(8, 8, 3, 2, act=nn.SiLU), unit(8, 8, 3, 2, act=nn.SiLU)
        self.pooled, self.mix, self.last = unit(32, 8, 1, act=nn.SiLU), CSP(16), CSP(16)
        self.head = nn.ModuleList(nn.Conv2d(16, 2 * 7, 1) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        eight = self.eight(x)
        pools = [self.deep(eight)]
        for _ in range(3):
            pools.append(F.max_pool2d(pools[-1], 5, 1, 2))
        deep = self.pooled(torch.cat(pools, 1))
        fine = self.mix(torch.cat([F.interpolate(deep, size=eight.shape[2:]), eight], 1))
        coarse = self.last(torch.cat([self.down(eight), deep], 1))
        boxes = []
        for head, value in zip(self.head, (fine, coarse), strict=True):
            n, _, h, w = value.shape
            y = head(value).view(n, 2, 7, h, w).permute(0, 1, 3, 4, 2).contiguous().sigmoid()
            boxes.append(y.view(n, -1, 7))
        return torch.cat(boxes, 1)


@network("SSD, boxes and classes of two sizes (2015)", (3, 32, 32))
class SSD(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Sequential(unit(3, 8, 3, 2), unit(8, 12, 3, 2)), unit(12, 16, 3, 2)
        self.boxes = nn.ModuleList(conv(c, 2 * 4) for c in (12, 16))
        self.classes = nn.ModuleList(conv(c, 2 * 3) for c in (12, 16))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        a = self.a(x)
        features = (F.normalize(a, dim=1) * 20.0, self.b(a))

        def rows(heads: nn.ModuleList, size: int) -> Tensor:
            made = (head(each).permute(0, 2, 3, 1) for head, each in zip(heads, features, strict=True))
            return torch.cat([each.reshape(each.shape[0], -1, size) for each in made], 1)

        return rows(self.boxes, 4), rows(self.classes, 3)


@network("RetinaNet, feature pyramid (2017)", (3, 32, 32))
class RetinaNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stages = nn.ModuleList([unit(3, 8, 3, 2), unit(8, 12, 3, 2), unit(12, 16, 3, 2)])
        self.across = nn.ModuleList(nn.Conv2d(c, 8, 1) for c in (8, 12, 16))
        self.tower = nn.Sequential(conv(8, 8), nn.GroupNorm(4, 8), nn.ReLU(), conv(8, 4))

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        made = []
        for stage, across in zip(self.stages, self.across, strict=True):
            x = stage(x)
            made.append(across(x))
        pyramid = [made[-1]]
        for each in made[-2::-1]:
            pyramid.append(each + F.interpolate(pyramid[-1], scale_factor=2, mode="nearest"))
        return tuple(self.tower(each) for each in pyramid)


@network("CRNN without its recurrent part (2015)", (1, 32, 40))
class CRNN(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            conv(1, 8), nn.ReLU(), nn.MaxPool2d(2), conv(8, 12), nn.ReLU(), nn.MaxPool2d(2), unit(12, 16),
            nn.MaxPool2d((2, 2), (2, 1), (0, 1)), nn.Conv2d(16, 16, (4, 2)), nn.ReLU(),
        )  # fmt: skip
        self.out = nn.Linear(16, 11)

    def forward(self, x: Tensor) -> Tensor:
        y = self.body(x).squeeze(2).permute(0, 2, 1)  # (N, T, C)
        return self.out(y).log_softmax(2)


@network("Siamese network (2015)", (1, 28, 28), (1, 28, 28))
class Siamese(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.arm = nn.Sequential(
            nn.Conv2d(1, 8, 7), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 12, 4), nn.ReLU(), nn.Flatten(),
            nn.Linear(768, 16), nn.Sigmoid(),
        )  # fmt: skip
        self.out = nn.Linear(16, 1)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return torch.sigmoid(self.out(torch.abs(self.arm(a) - self.arm(b))))


@network("FaceNet, L2-normalised embedding (2015)", (3, 32, 32))
class FaceNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(unit(3, 8, 3, 2), unit(8, 16, 3, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.out = nn.Sequential(nn.Linear(16, 12, bias=False), nn.BatchNorm1d(12))

    def forward(self, x: Tensor) -> Tensor:
        return F.normalize(self.out(self.body(x)), p=2, dim=1)


@network("ECG, residual CNN of one axis (2017)", (1, 128))
class ECG(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv1d(1, 8, 16, padding="same"), nn.BatchNorm1d(8), nn.ReLU())
        self.body = nn.Sequential(
            nn.Conv1d(8, 8, 15, 2, 7), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.2), nn.Conv1d(8, 8, 15, padding=7)
        )
        self.out = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        return self.out(F.relu(self.body(x) + F.max_pool1d(x, 2)).mean(2))


@network("WaveNet, gated dilated convolutions (2016)", (2, 64))
class WaveNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv1d(2, 8, 1)
        self.filters = nn.ModuleList(nn.Conv1d(8, 8, 2, dilation=2**i) for i in range(4))
        self.gates = nn.ModuleList(nn.Conv1d(8, 8, 2, dilation=2**i) for i in range(4))
        self.across = nn.ModuleList(nn.Conv1d(8, 8, 1) for _ in range(4))
        self.out = nn.Sequential(nn.ReLU(), nn.Conv1d(8, 8, 1), nn.ReLU(), nn.Conv1d(8, 3, 1))

    def forward(self, x: Tensor) -> Tensor:
        x, total = self.first(x), None
        for i, (a, b, across) in enumerate(zip(self.filters, self.gates, self.across, strict=True)):
            padded = F.pad(x, (2**i, 0))
            made = across(torch.tanh(a(padded)) * torch.sigmoid(b(padded)))
            total = made if total is None else total + made
            x = x + made
        return self.out(total)


@network("M5, raw waveforms (2016)", (1, 800))
class M5(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(
            nn.Conv1d(1, 8, 80, 4), nn.BatchNorm1d(8), nn.ReLU(), nn.MaxPool1d(4), nn.Conv1d(8, 12, 3),
            nn.BatchNorm1d(12), nn.ReLU(), nn.MaxPool1d(4), nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(12, 5),
        )  # fmt: skip

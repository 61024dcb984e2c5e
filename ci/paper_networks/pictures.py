"""Images to images: generators, super-resolution, style, noise; and discriminators."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from .catalogue import Sum, conv, network


@network("DCGAN, generator (2015)", (16,))
class DCGANGenerator(nn.Module):
    def __init__(self) -> None:
        super().__init__()

        def up(cin: int, cout: int, stride: int, padding: int) -> list[nn.Module]:
            return [nn.ConvTranspose2d(cin, cout, 4, stride, padding, bias=False), nn.BatchNorm2d(cout), nn.ReLU()]

        self.body = nn.Sequential(
            *up(16, 16, 1, 0), *up(16, 12, 2, 1), *up(12, 8, 2, 1), nn.ConvTranspose2d(8, 3, 4, 2, 1), nn.Tanh()
        )

    def forward(self, z: Tensor) -> Tensor:
        return self.body(z.view(-1, 16, 1, 1))


@network("DCGAN, discriminator (2015)", (3, 32, 32))
class DCGANDiscriminator(nn.Module):
    def __init__(self) -> None:
        super().__init__()

        def down(cin: int, cout: int) -> list[nn.Module]:
            return [nn.Conv2d(cin, cout, 4, 2, 1, bias=False), nn.BatchNorm2d(cout), nn.LeakyReLU(0.2)]

        self.body = nn.Sequential(*down(3, 8), *down(8, 12), *down(12, 16), nn.Conv2d(16, 1, 4, 1, 0), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x).view(-1, 1).squeeze(1)


@network("pix2pix, U-Net generator (2016)", (3, 32, 32))
class Pix2Pix(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        sizes = [3, 8, 12, 16, 16]
        self.down = nn.ModuleList(
            nn.Sequential(nn.LeakyReLU(0.2) if i else nn.Identity(), nn.Conv2d(a, b, 4, 2, 1), nn.InstanceNorm2d(b))
            for i, (a, b) in enumerate(pairwise(sizes))
        )
        self.up = nn.ModuleList(
            nn.Sequential(nn.ReLU(), nn.ConvTranspose2d(a, b, 4, 2, 1), nn.BatchNorm2d(b), nn.Dropout(0.5))
            for a, b in ((16, 16), (32, 12), (24, 8), (16, 3))
        )

    def forward(self, x: Tensor) -> Tensor:
        values = []
        for down in self.down:
            x = down(x)
            values.append(x)
        x = self.up[0](values.pop())
        for up in list(self.up)[1:]:
            x = up(torch.cat([x, values.pop()], 1))
        return torch.tanh(x)


@network("pix2pix, PatchGAN discriminator (2016)", (3, 32, 32), (3, 32, 32))
class PatchGAN(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(6, 8, 4, 2, 1), nn.LeakyReLU(0.2), nn.Conv2d(8, 12, 4, 2, 1), nn.BatchNorm2d(12),
            nn.LeakyReLU(0.2), nn.ZeroPad2d(1), nn.Conv2d(12, 1, 4),
        )  # fmt: skip

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return self.body(torch.cat([x, y], 1))


@network("CycleGAN, residual generator (2017)", (3, 16, 16))
class CycleGAN(nn.Sequential):
    def __init__(self) -> None:
        def block(c: int) -> nn.Module:
            norm = nn.InstanceNorm2d
            return Sum(
                nn.Sequential(
                    nn.ReflectionPad2d(1), nn.Conv2d(c, c, 3), norm(c), nn.ReLU(), nn.ReflectionPad2d(1),
                    nn.Conv2d(c, c, 3), norm(c),
                )
            )  # fmt: skip

        super().__init__(
            nn.ReflectionPad2d(3), nn.Conv2d(3, 8, 7), nn.InstanceNorm2d(8), nn.ReLU(), conv(8, 16, 3, 2), block(16),
            nn.ConvTranspose2d(16, 8, 3, 2, 1, output_padding=1), nn.ReLU(), nn.ReflectionPad2d(3),
            nn.Conv2d(8, 3, 7), nn.Tanh(),
        )  # fmt: skip


@network("Style transfer, instance norm (2016)", (3, 24, 24))
class StyleTransfer(nn.Sequential):
    def __init__(self) -> None:
        def block(cin: int, cout: int, size: int, stride: int) -> list[nn.Module]:
            plain = nn.Conv2d(cin, cout, size, stride)
            return [nn.ReflectionPad2d(size // 2), plain, nn.InstanceNorm2d(cout, affine=True), nn.ReLU()]

        super().__init__(
            *block(3, 8, 9, 1), *block(8, 12, 3, 2), Sum(nn.Sequential(*block(12, 12, 3, 1))),
            nn.Upsample(scale_factor=2), *block(12, 8, 3, 1), nn.ReflectionPad2d(4), nn.Conv2d(8, 3, 9),
        )  # fmt: skip


@network("SRCNN (2014)", (1, 20, 20))
class SRCNN(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(nn.Conv2d(1, 12, 9), nn.ReLU(), nn.Conv2d(12, 8, 1), nn.ReLU(), nn.Conv2d(8, 1, 5))


@network("ESPCN, sub-pixel convolution (2016)", (1, 12, 12))
class ESPCN(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(
            conv(1, 12, 5), nn.Tanh(), conv(12, 8), nn.Tanh(), conv(8, 9), nn.PixelShuffle(3), nn.Sigmoid()
        )


@network("EDSR (2017)", (3, 12, 12))
class EDSR(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = conv(3, 8), conv(8, 8)
        self.blocks = nn.ModuleList(nn.Sequential(conv(8, 8), nn.ReLU(), conv(8, 8)) for _ in range(3))
        self.up = nn.Sequential(conv(8, 32), nn.PixelShuffle(2), conv(8, 32), nn.PixelShuffle(2), conv(8, 3))
        self.register_buffer("mean", torch.tensor([0.4488, 0.4371, 0.4040]).reshape(1, 3, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        first = self.first((x - self.mean) * 255.0)
        y = first
        for block in self.blocks:
            y = y + 0.125 * block(y)  # the paper's 0.1 has float32's digits in files of the newer exporter
        return self.up(first + self.last(y)) / 255.0 + self.mean


@network("DnCNN (2016)", (1, 16, 16))
class DnCNN(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        middle = [nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU()]
        self.noise = nn.Sequential(conv(1, 8), nn.ReLU(), *middle, conv(8, 1))

    def forward(self, x: Tensor) -> Tensor:
        return x - self.noise(x)


@network("Variational autoencoder: code, mean, deviation (2013)", (1, 16, 16), (6,))
class Autoencoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(conv(1, 8, 3, 2), nn.ELU(), conv(8, 12, 3, 2), nn.ELU(), nn.Flatten())
        self.mean, self.deviation, self.first = nn.Linear(192, 6), nn.Linear(192, 6), nn.Linear(6, 192)
        self.decoder = nn.Sequential(
            nn.Unflatten(1, (12, 4, 4)), nn.ConvTranspose2d(12, 8, 3, 2, 1, 1), nn.ELU(),
            nn.ConvTranspose2d(8, 1, 4, 2, 1), nn.Sigmoid(),
        )  # fmt: skip

    def forward(self, x: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        code = self.encoder(x)
        mean, deviation = self.mean(code), nn.functional.softplus(self.deviation(code))
        return self.decoder(self.first(mean + deviation * noise)), mean, deviation

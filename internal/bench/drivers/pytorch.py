"""Times PyTorch. Protocol: "setup what net batch threads format", then "run reps".

what is train, pgd or match; net is cnn, resnet18, mlp or lenet; format is nchw
or nhwc.
"""
import os
import sys
import time

import torch
import torch.nn as nn
import torch.nn.functional as F


now = time.process_time if os.environ.get("BENCH_CLOCK") == "cpu" else time.perf_counter


class Block(nn.Module):
    def __init__(self, cin, cout, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(cin, cout, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(cout)
        self.conv2 = nn.Conv2d(cout, cout, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(cout)
        self.short = None
        if stride != 1 or cin != cout:
            self.short = nn.Sequential(nn.Conv2d(cin, cout, 1, stride, bias=False), nn.BatchNorm2d(cout))

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        y = self.bn2(self.conv2(y))
        return F.relu(y.add_(x if self.short is None else self.short(x)), inplace=True)


def network(name):
    if name == "cnn":
        return nn.Sequential(
            nn.Conv2d(1, 32, 5, padding=2), nn.ReLU(inplace=True), nn.MaxPool2d(2),
            nn.Conv2d(32, 64, 5, padding=2), nn.ReLU(inplace=True), nn.MaxPool2d(2),
            nn.Flatten(), nn.Linear(3136, 1024), nn.ReLU(inplace=True), nn.Linear(1024, 10)), (1, 28, 28)
    if name == "mlp":
        return nn.Sequential(
            nn.Flatten(), nn.Linear(784, 256), nn.ReLU(inplace=True),
            nn.Linear(256, 256), nn.ReLU(inplace=True), nn.Linear(256, 10)), (1, 28, 28)
    if name == "lenet":
        return nn.Sequential(
            nn.Conv2d(3, 6, 5), nn.Sigmoid(), nn.AvgPool2d(2),
            nn.Conv2d(6, 16, 5), nn.Sigmoid(), nn.AvgPool2d(2),
            nn.Flatten(), nn.Linear(400, 120), nn.Sigmoid(), nn.Linear(120, 84), nn.Sigmoid(), nn.Linear(84, 10)), (3, 32, 32)
    if name == "resnet18":
        layers = [nn.Conv2d(3, 64, 3, padding=1, bias=False), nn.BatchNorm2d(64), nn.ReLU(inplace=True)]
        cin = 64
        for stage in range(4):
            cout = 64 << stage
            layers += [Block(cin, cout, 1 if stage == 0 else 2), Block(cout, cout, 1)]
            cin = cout
        return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 10)), (3, 32, 32)
    raise ValueError("network " + name)


def setup(what, name, batch, threads, layout):
    torch.manual_seed(1)
    torch.set_num_threads(threads)
    net, shape = network(name)
    layout = torch.channels_last if layout == "nhwc" else torch.contiguous_format
    net = net.to(memory_format=layout)
    x = torch.rand(batch, *shape).to(memory_format=layout)
    y = torch.randint(10, (batch,))
    params = list(net.parameters())

    if what == "train":
        net.train()
        opt = torch.optim.SGD(params, lr=1e-3, momentum=0.9, foreach=True)

        def step():
            opt.zero_grad(set_to_none=True)
            F.cross_entropy(net(x), y).backward()
            opt.step()
    elif what == "pgd":
        net.eval()
        for p in params:
            p.requires_grad_(False)

        def step():
            adv = (x + torch.empty_like(x).uniform_(-0.3, 0.3)).clamp_(0, 1)
            for _ in range(10):
                adv.requires_grad_(True)
                loss = F.cross_entropy(net(adv), y, reduction="sum")
                grad, = torch.autograd.grad(loss, adv)
                with torch.no_grad():
                    adv = adv.detach().add_(grad.sign_(), alpha=0.075)
                    adv = torch.min(torch.max(adv, x - 0.3), x + 0.3).clamp_(0, 1)
    elif what == "match":
        net.train()
        for m in net.modules():
            if isinstance(m, nn.ReLU):
                m.inplace = False
        target = [torch.randn_like(p) * 1e-2 for p in params]
        guess = x.clone().requires_grad_(True)

        def step():
            grads = torch.autograd.grad(F.cross_entropy(net(guess), y), params, create_graph=True)
            distance = sum(((g - t) ** 2).sum() for g, t in zip(grads, target))
            torch.autograd.grad(distance, guess)
    else:
        raise ValueError("measurement " + what)
    return step, sum(p.numel() for p in params)


step = None
for line in sys.stdin:
    words = line.split()
    try:
        if words[0] == "setup":
            step, count = setup(words[1], words[2], int(words[3]), int(words[4]), words[5])
            print("ok", count)
        else:
            times = []
            for _ in range(int(words[1])):
                start = now()
                step()
                times.append("%.9f" % (now() - start))
            print(" ".join(times))
    except Exception as e:
        print("error:", type(e).__name__, str(e).split("\n")[0])
    sys.stdout.flush()

"""Times PyTorch. Protocol: "setup what net batch threads format", then "run reps".

what is train, pgd, match or advcl, the last for resnet18 only; net is cnn, resnet18, mlp or lenet; format is nchw
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


class Routed(nn.Module):
    """Three sets of normalisation statistics, one of which is in use."""
    route = 0

    def __init__(self, channels):
        super().__init__()
        self.sets = nn.ModuleList(nn.BatchNorm2d(channels) for _ in range(3))

    def forward(self, x):
        return self.sets[Routed.route](x)


def routed(module):
    """Gives every normalisation of images three sets of statistics."""
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm2d):
            setattr(module, name, Routed(child.num_features))
        else:
            routed(child)
    return module


def ntxent(views, temperature=0.5, base=0.07):
    z = F.normalize(torch.cat(views), dim=1)
    m, b = len(views), len(views[0])
    s = (z @ z.t() / temperature).fill_diagonal_(float("-inf"))
    image = torch.arange(b).repeat(m)
    positive = (image[:, None] == image[None, :]).fill_diagonal_(False)
    mean = s.masked_fill(~positive, 0).sum(1) / (m - 1)
    return temperature / base * (s.logsumexp(1) - mean).mean()


def advcl(batch, layout):
    """A step of AdvCL: five attack steps, clean views passed once, five views."""
    net, shape = network("resnet18")
    encoder = routed(nn.Sequential(*list(net.children())[:-1])).to(memory_format=layout)
    project = nn.Sequential(nn.Linear(512, 512), nn.BatchNorm1d(512), nn.ReLU(inplace=True), nn.Linear(512, 128))
    clusters = (2, 10, 50, 100, 500)
    heads = nn.ModuleList(nn.Linear(512, k) for k in clusters)
    labels = [torch.randint(k, (batch,)) for k in clusters]
    x, t1, t2 = (torch.rand(batch, *shape).to(memory_format=layout) for _ in range(3))
    u = torch.fft.fftfreq(32) * 32
    keep = (u[:, None] ** 2 + u[None, :] ** 2 >= 64).float()
    eps, alpha = 8 / 255, 2 / 255
    params = [p for m in (encoder, project, heads) for p in m.parameters()]
    opt = torch.optim.SGD(params, lr=1e-3, momentum=0.9, weight_decay=1e-4, foreach=True)

    def embed(v, route):
        Routed.route = route
        return project(encoder(v))

    def pseudo(v):
        Routed.route = 2
        f = encoder(v)
        return sum(F.cross_entropy(h(f), y) for h, y in zip(heads, labels)) / len(clusters)

    def climb(objective):
        adv = x + torch.empty_like(x).uniform_(-eps, eps)
        for _ in range(5):
            adv.requires_grad_(True)
            grad, = torch.autograd.grad(objective(adv), adv)
            with torch.no_grad():
                adv = adv.detach().add_(grad.sign_(), alpha=alpha)
                adv = torch.min(torch.max(adv, x - eps), x + eps).clamp_(0, 1)
        return adv

    def step():
        opt.zero_grad(set_to_none=True)
        high = torch.fft.ifft2(torch.fft.fft2(x) * keep).real.contiguous(memory_format=layout)
        clean = [embed(v, 0) for v in (t1, t2, high)]
        held = [z.detach() for z in clean]
        adv = climb(lambda v: ntxent([embed(v, 1)] + held))
        loss = ntxent([embed(adv, 1)] + clean) + 0.2 * pseudo(climb(pseudo))
        loss.backward()
        opt.step()
    return step, sum(p.numel() for p in params)


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
    if what == "advcl":
        return advcl(batch, layout)
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
